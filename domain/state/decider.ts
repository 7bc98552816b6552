import { accept, type Decider, reject, unreachable } from '../decider.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from './state.ts';

/** What `expectedVersion` is compared with: 0 for a key that was never put, or was deleted. */
export const currentVersion = (state: StateState): number => (state.exists ? state.version : 0);

const conflict = (command: StateCommand, state: StateState): StateRejection | undefined =>
  command.expectedVersion === undefined || command.expectedVersion === currentVersion(state)
    ? undefined
    : {
        code: 'version_conflict',
        expectedVersion: command.expectedVersion,
        currentVersion: currentVersion(state),
        currentValue: state.value,
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
    const mismatch = conflict(command, state);
    if (mismatch !== undefined) return reject(mismatch);
    switch (command.type) {
      case 'SetState':
        return accept({ type: 'StateSet', data: { value: command.value } });
      case 'DeleteState':
        return state.exists ? accept({ type: 'StateDeleted', data: {} }) : reject({ code: 'not_found' });
      default:
        return unreachable(command);
    }
  },

  evolve(_state, event, recorded) {
    const version = recorded.revision + 1;
    switch (event.type) {
      case 'StateSet':
        return { exists: true, version, value: event.data.value };
      case 'StateDeleted':
        return { exists: false, version, value: null };
      default:
        return unreachable(event);
    }
  },
};
