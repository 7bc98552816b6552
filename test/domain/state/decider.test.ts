import test from 'ava';
import { stateDecider } from '../../../domain/state/decider.ts';
import type { StateCommand, StateEvent } from '../../../domain/state/state.ts';
import { by, given } from '../../support/given.ts';

const was = (value: number) => by<StateEvent>('ann', { type: 'StateSet', data: { value } });
const gone = by<StateEvent>('ann', { type: 'StateDeleted', data: {} });
const put = (expectedVersion?: number): StateCommand =>
  expectedVersion === undefined
    ? { type: 'SetState', value: 'new' }
    : { type: 'SetState', value: 'new', expectedVersion };
const remove = (expectedVersion?: number): StateCommand =>
  expectedVersion === undefined ? { type: 'DeleteState' } : { type: 'DeleteState', expectedVersion };
const set: StateEvent = { type: 'StateSet', data: { value: 'new' } };
const conflict = (expectedVersion: number, currentVersion: number, currentValue: number | null) =>
  ({ code: 'version_conflict', expectedVersion, currentVersion, currentValue }) as const;

test('put › without an expectation sets whatever there is', (t) => {
  given(t, stateDecider).when(put()).thenEvents(set);
  given(t, stateDecider, was(1)).when(put()).thenEvents(set);
  given(t, stateDecider, was(1), gone).when(put()).thenEvents(set);
});

test('put › of the value that is there already is a version of its own', (t) => {
  given(t, stateDecider, by('ann', set)).when(put()).thenEvents(set);
});

test('put › with the current version sets', (t) => {
  given(t, stateDecider, was(1), was(2)).when(put(2)).thenEvents(set);
});

test('put › with a stale version is a conflict with what is there', (t) => {
  given(t, stateDecider, was(1), was(2))
    .when(put(1))
    .thenRejected(conflict(1, 2, 2));
});

test('put › with a version that has not come yet is a conflict', (t) => {
  given(t, stateDecider, was(1))
    .when(put(2))
    .thenRejected(conflict(2, 1, 1));
});

test('put › expecting version 0 creates a key that never was, or was deleted', (t) => {
  given(t, stateDecider).when(put(0)).thenEvents(set);
  given(t, stateDecider, was(1), gone).when(put(0)).thenEvents(set);
});

test('put › expecting version 0 of a key that exists is a conflict', (t) => {
  given(t, stateDecider, was(1))
    .when(put(0))
    .thenRejected(conflict(0, 1, 1));
});

test('put › expecting the version before or of the deletion is a conflict with version 0', (t) => {
  given(t, stateDecider, was(1), gone)
    .when(put(1))
    .thenRejected(conflict(1, 0, null));
  given(t, stateDecider, was(1), gone)
    .when(put(2))
    .thenRejected(conflict(2, 0, null));
});

test('delete › of a key that exists deletes it', (t) => {
  given(t, stateDecider, was(1)).when(remove()).thenEvents(gone.event);
  given(t, stateDecider, was(1)).when(remove(1)).thenEvents(gone.event);
});

test('delete › of a key that never was, or was deleted, is not found', (t) => {
  for (const command of [remove(), remove(0)]) {
    given(t, stateDecider).when(command).thenRejected({ code: 'not_found' });
    given(t, stateDecider, was(1), gone).when(command).thenRejected({ code: 'not_found' });
  }
});

test('delete › of a missing key that was expected to have a version is a conflict', (t) => {
  given(t, stateDecider, was(1), gone)
    .when(remove(1))
    .thenRejected(conflict(1, 0, null));
});

test('delete › with a stale version is a conflict and deletes nothing', (t) => {
  given(t, stateDecider, was(1), was(2))
    .when(remove(1))
    .thenRejected(conflict(1, 2, 2));
});

test('version › goes on counting after a deletion', (t) => {
  given(t, stateDecider, was(1), gone).thenState({ exists: false, version: 2, value: null });
  given(t, stateDecider, was(1), gone, was(3)).thenState({ exists: true, version: 3, value: 3 });
});
