import { accept, type Decider, type Decision, reject, unreachable } from '../decider.ts';
import type { Json } from '../event.ts';
import { applyPatch } from '../json-patch.ts';
import { mergePatch } from '../merge-patch.ts';
import { acquireLock, releaseLock, renewLock } from './locks.ts';
import { settle } from './settlement.ts';
import type { StateCommand, StateEvent, StatePatch, StateRejection, StateState } from './state.ts';

/** What `expectedVersion` is compared with: 0 for a key that was never put, or was deleted. */
export const currentVersion = (state: StateState): number => (state.exists ? state.version : 0);

type Decided = Decision<StateEvent, StateRejection>;
type Valued =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly rejection: StateRejection };

const no = (rejection: StateRejection): { readonly ok: false; readonly rejection: StateRejection } => ({
  ok: false,
  rejection,
});

const conflict = (expectedVersion: number | undefined, state: StateState): StateRejection | undefined =>
  expectedVersion === undefined || expectedVersion === currentVersion(state)
    ? undefined
    : {
        code: 'version_conflict',
        expectedVersion,
        currentVersion: currentVersion(state),
        currentValue: state.value,
      };

/** Of a key that is held as a lock only the holder decides. */
const held = ({ lock, expiresAt = '' }: StateState): StateRejection | undefined =>
  lock === undefined ? undefined : { code: 'lock_held', ...lock, expiresAt };

const resolved = (
  command: Extract<StateCommand, { readonly type: 'ResolveState' }>,
  state: StateState,
): Decided => {
  const { incoming, expectedVersion } = command;
  const expiresAt = command.keepsExpiry ? state.expiresAt : command.expiresAt;
  const isConflict = expectedVersion === undefined ? state.exists : expectedVersion !== currentVersion(state);
  if (!isConflict) return set(incoming, expiresAt);
  const settled = settle(command, state);
  if (settled.ok) {
    const { value, resolution } = settled;
    return accept({
      type: 'StateSet',
      data: { value, resolution, ...(expiresAt === undefined ? {} : { expiresAt }) },
    });
  }
  return reject({
    code: 'version_conflict',
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
    currentVersion: currentVersion(state),
    currentValue: state.value,
    unsettled: settled.unsettled,
  });
};

const set = (value: Json, expiresAt: string | undefined): Decided =>
  accept({ type: 'StateSet', data: expiresAt === undefined ? { value } : { value, expiresAt } });

/** The value that a patch makes of the one that is there. */
export const patched = (
  state: Pick<StateState, 'exists' | 'value' | 'version'>,
  { format, patch }: StatePatch,
): Valued => {
  if (format === 'merge-patch')
    return { ok: true, value: mergePatch(state.exists ? state.value : undefined, patch) };
  if (!state.exists) return no({ code: 'not_found' });
  const result = applyPatch(state.value, patch);
  if (result.ok) return result;
  const { index, detail } = result;
  return no({ code: 'patch_failed', index, detail, currentVersion: state.version });
};

const incremented = (state: StateState, by: number): Valued => {
  const value = state.exists ? state.value : 0;
  const refuse = (detail: string): Valued =>
    no({ code: 'not_a_number', detail, currentVersion: currentVersion(state) });
  if (typeof value !== 'number') return refuse('the value is not a number');
  const sum = value + by;
  // Beyond this a count would stand still without a word.
  return Math.abs(sum) > Number.MAX_SAFE_INTEGER
    ? refuse('the sum is beyond what a number holds exactly')
    : { ok: true, value: sum };
};

/**
 * One state key: the stream `state-{key}`. A version is the event's revision + 1; it goes on counting after a
 * deletion, so that no version ever comes twice. Putting the value that is there already makes a version too.
 *
 * Deleting a key that does not exist is `not_found`, unless the caller expected a version: then it learns of the
 * conflict.
 */
export const stateDecider: Decider<StateState, StateCommand, StateEvent, StateRejection> = {
  initial: { exists: false, version: 0, value: null },

  decide(command, state) {
    switch (command.type) {
      case 'AcquireLock':
        return acquireLock(command, state);
      case 'RenewLock':
        return renewLock(command, state);
      case 'ReleaseLock':
        return releaseLock(command, state);
      case 'ExpireState':
        // Whatever came since has another time to go by.
        return state.expiresAt !== undefined && command.expectedVersion === currentVersion(state)
          ? accept({ type: 'StateDeleted', data: { reason: 'expired' } })
          : accept();
      case 'ResolveState': {
        const refused = held(state) ?? conflict(command.resolvedVersion, state);
        return refused === undefined ? resolved(command, state) : reject(refused);
      }
      default: {
        const refused = held(state) ?? conflict(command.expectedVersion, state);
        return refused === undefined ? change(command, state) : reject(refused);
      }
    }
  },

  evolve(_state, event, recorded) {
    const version = recorded.revision + 1;
    switch (event.type) {
      case 'StateSet': {
        const { value, expiresAt, lock } = event.data;
        const state = { exists: true, version, value };
        if (expiresAt === undefined && lock === undefined) return state;
        return {
          ...state,
          ...(expiresAt === undefined ? {} : { expiresAt }),
          ...(lock === undefined ? {} : { lock }),
        };
      }
      case 'StateDeleted':
        return { exists: false, version, value: null };
      default:
        return unreachable(event);
    }
  },
};

type Change = Extract<
  StateCommand,
  { readonly type: 'SetState' | 'PatchState' | 'IncrementState' | 'DeleteState' }
>;

const change = (command: Change, state: StateState): Decided => {
  switch (command.type) {
    case 'SetState':
      return set(command.value, command.expiresAt);
    case 'PatchState': {
      const result = patched(state, command);
      return result.ok ? set(result.value, state.expiresAt) : result;
    }
    case 'IncrementState': {
      const result = incremented(state, command.by);
      return result.ok ? set(result.value, command.expiresAt ?? state.expiresAt) : result;
    }
    case 'DeleteState':
      return state.exists ? accept({ type: 'StateDeleted', data: {} }) : reject({ code: 'not_found' });
    default:
      return unreachable(command);
  }
};
