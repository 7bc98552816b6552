import test from 'ava';
import type { Json } from '../../../domain/event.ts';
import { stateDecider } from '../../../domain/state/decider.ts';
import { builtInResolver } from '../../../domain/state/resolvers.ts';
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

const expiresAt = '2030-01-01T00:00:00.000Z';
const later = '2030-01-01T00:01:00.000Z';
const lasting = by<StateEvent>('ann', { type: 'StateSet', data: { value: 1, expiresAt } });

test('put › with a time at which it expires; without one what was there before is gone', (t) => {
  given(t, stateDecider)
    .when({ type: 'SetState', value: 1, expiresAt })
    .thenEvents({ type: 'StateSet', data: { value: 1, expiresAt } });
  given(t, stateDecider, lasting).when(put()).thenEvents(set);
});

test('patch › a merge patch makes a key that is not there, a JSON patch does not', (t) => {
  given(t, stateDecider)
    .when({ type: 'PatchState', format: 'merge-patch', patch: { a: 1, b: null } })
    .thenEvents({ type: 'StateSet', data: { value: { a: 1 } } });
  given(t, stateDecider)
    .when({ type: 'PatchState', format: 'json-patch', patch: [{ op: 'add', path: '', value: 1 }] })
    .thenRejected({ code: 'not_found' });
});

test('patch › of what is there, on the version that was expected; the time of expiry stays', (t) => {
  const there = by<StateEvent>('ann', { type: 'StateSet', data: { value: { a: 1 }, expiresAt } });
  const patch = [{ op: 'replace', path: '/a', value: 2 }] as const;
  given(t, stateDecider, there)
    .when({ type: 'PatchState', format: 'json-patch', patch, expectedVersion: 1 })
    .thenEvents({ type: 'StateSet', data: { value: { a: 2 }, expiresAt } });
  given(t, stateDecider, there)
    .when({ type: 'PatchState', format: 'json-patch', patch, expectedVersion: 2 })
    .thenRejected({
      code: 'version_conflict',
      expectedVersion: 2,
      currentVersion: 1,
      currentValue: { a: 1 },
    });
  given(t, stateDecider, there)
    .when({ type: 'PatchState', format: 'json-patch', patch: [{ op: 'remove', path: '/b' }] })
    .thenRejected({ code: 'patch_failed', index: 0, detail: 'there is nothing at "/b"', currentVersion: 1 });
});

test('increment › from 0 where nothing is, by any number, and of numbers only', (t) => {
  const counted = (value: number): StateEvent => ({ type: 'StateSet', data: { value } });
  given(t, stateDecider).when({ type: 'IncrementState', by: 2 }).thenEvents(counted(2));
  given(t, stateDecider, was(1)).when({ type: 'IncrementState', by: -0.5 }).thenEvents(counted(0.5));
  given(t, stateDecider, was(1), gone).when({ type: 'IncrementState', by: 1 }).thenEvents(counted(1));
  given(t, stateDecider, by('ann', set))
    .when({ type: 'IncrementState', by: 1 })
    .thenRejected({ code: 'not_a_number', detail: 'the value is not a number', currentVersion: 1 });
  given(t, stateDecider, was(Number.MAX_SAFE_INTEGER)).when({ type: 'IncrementState', by: 1 }).thenRejected({
    code: 'not_a_number',
    detail: 'the sum is beyond what a number holds exactly',
    currentVersion: 1,
  });
});

test('increment › keeps the time of expiry unless it is given another', (t) => {
  given(t, stateDecider, lasting)
    .when({ type: 'IncrementState', by: 1 })
    .thenEvents({ type: 'StateSet', data: { value: 2, expiresAt } });
  given(t, stateDecider, lasting)
    .when({ type: 'IncrementState', by: 1, expiresAt: later })
    .thenEvents({ type: 'StateSet', data: { value: 2, expiresAt: later } });
});

test('expiry › of the version whose time has come; nothing happens to a newer one, or to one that stays', (t) => {
  const expire: StateCommand = { type: 'ExpireState', expectedVersion: 1 };
  given(t, stateDecider, lasting)
    .when(expire)
    .thenEvents({ type: 'StateDeleted', data: { reason: 'expired' } });
  given(t, stateDecider, lasting, lasting).when(expire).thenEvents();
  given(t, stateDecider, was(1)).when(expire).thenEvents();
  given(t, stateDecider, lasting, gone).when(expire).thenEvents();
});

const lock = (holder: string, token: number, until = expiresAt): StateEvent => ({
  type: 'StateSet',
  data: { value: { holder, token }, expiresAt: until, lock: { holder, token } },
});
const locked = by('ann', lock('ann', 1));
const released: StateEvent = { type: 'StateDeleted', data: { reason: 'released' } };

test('lock › the token is the version by which it was taken, and a later holder’s is greater', (t) => {
  given(t, stateDecider).when({ type: 'AcquireLock', holder: 'ann', expiresAt }).thenEvents(lock('ann', 1));
  given(t, stateDecider, locked, locked, by('ann', released))
    .when({ type: 'AcquireLock', holder: 'bob', expiresAt })
    .thenEvents(lock('bob', 4));
});

test('lock › is refused while it is held, also to its holder, and where another value is', (t) => {
  for (const holder of ['ann', 'bob']) {
    given(t, stateDecider, locked)
      .when({ type: 'AcquireLock', holder, expiresAt: later })
      .thenRejected({ code: 'lock_held', holder: 'ann', token: 1, expiresAt });
  }
  given(t, stateDecider, was(1))
    .when({ type: 'AcquireLock', holder: 'ann', expiresAt })
    .thenRejected({ code: 'not_a_lock', currentVersion: 1 });
});

test('lock › is renewed and released by its token alone; a renewal keeps the token', (t) => {
  given(t, stateDecider, locked)
    .when({ type: 'RenewLock', token: 1, expiresAt: later })
    .thenEvents(lock('ann', 1, later));
  given(t, stateDecider, locked, locked).when({ type: 'ReleaseLock', token: 1 }).thenEvents(released);
  const another: StateCommand[] = [
    { type: 'RenewLock', token: 2, expiresAt: later },
    { type: 'ReleaseLock', token: 2 },
  ];
  for (const command of another)
    given(t, stateDecider, locked).when(command).thenRejected({ code: 'lock_lost', token: 2, heldBy: 'ann' });
  given(t, stateDecider, locked, by('ann', released))
    .when({ type: 'RenewLock', token: 1, expiresAt: later })
    .thenRejected({ code: 'lock_lost', token: 1, heldBy: null });
});

test('lock › an operator releases it whoever holds it', (t) => {
  given(t, stateDecider, locked).when({ type: 'ReleaseLock', token: null }).thenEvents(released);
  given(t, stateDecider).when({ type: 'ReleaseLock', token: null }).thenRejected({ code: 'not_found' });
});

test('lock › while it is held nothing else is written to the key', (t) => {
  const writes: StateCommand[] = [
    put(),
    put(1),
    remove(),
    { type: 'IncrementState', by: 1 },
    { type: 'PatchState', format: 'merge-patch', patch: {} },
  ];
  for (const command of writes)
    given(t, stateDecider, locked)
      .when(command)
      .thenRejected({ code: 'lock_held', holder: 'ann', token: 1, expiresAt });
});

const union = (rest: { readonly expectedVersion?: number; readonly base?: Json }): StateCommand => {
  const resolve = builtInResolver('set-union');
  if (resolve === undefined) throw new Error('there is no set-union');
  return { type: 'ResolveState', incoming: [2], resolver: 'set-union', resolve, keepsExpiry: false, ...rest };
};
const list = by<StateEvent>('ann', { type: 'StateSet', data: { value: [1], expiresAt } });
const resolution = { resolver: 'set-union', base: null, current: [1], incoming: [2] };

test('resolve › with the current version, or of a key that is not there, is a put', (t) => {
  const plain: StateEvent = { type: 'StateSet', data: { value: [2] } };
  given(t, stateDecider, list)
    .when(union({ expectedVersion: 1 }))
    .thenEvents(plain);
  given(t, stateDecider).when(union({})).thenEvents(plain);
  given(t, stateDecider, list, gone)
    .when(union({ expectedVersion: 0 }))
    .thenEvents(plain);
});

test('resolve › of another version makes what the resolver says, and records of what', (t) => {
  given(t, stateDecider, was(0), list)
    .when(union({ expectedVersion: 1, base: 0 }))
    .thenEvents({ type: 'StateSet', data: { value: [1, 2], resolution: { ...resolution, base: 0 } } });
  given(t, stateDecider, list)
    .when(union({}))
    .thenEvents({ type: 'StateSet', data: { value: [1, 2], resolution } });
});

test('resolve › of a patch keeps the time at which the key expires', (t) => {
  const command = union({ expectedVersion: 0 });
  if (command.type !== 'ResolveState') throw new Error('another command');
  given(t, stateDecider, list)
    .when({ ...command, keepsExpiry: true })
    .thenEvents({ type: 'StateSet', data: { value: [1, 2], resolution, expiresAt } });
});

test('resolve › what the resolver refuses is the conflict, with its reason', (t) => {
  const unsettled = { resolver: 'set-union', reason: 'the current value is not a list' };
  given(t, stateDecider, was(1), was(2))
    .when(union({ expectedVersion: 1 }))
    .thenRejected({ ...conflict(1, 2, 2), unsettled });
});

test('resolve › values that no event could hold together are refused', (t) => {
  const decided = (length: number) =>
    stateDecider.decide(union({ expectedVersion: 0 }), {
      exists: true,
      version: 1,
      value: ['x'.repeat(length)],
    });
  t.true(decided(400_000).ok);
  const unsettled = { reason: 'the values are too large to record the conflict' };
  t.like(decided(600_000), { ok: false, rejection: { code: 'version_conflict', unsettled } });
});
