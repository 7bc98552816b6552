import type { Json } from '../event.ts';
import { sameJson } from '../json.ts';
import { currentVersion, stateDecider } from './decider.ts';
import type { StateCommand, StateEvent, StateRejection, StateState } from './state.ts';

/** What is compared of a key; it holds when all that is named holds. */
export type StateCompare = {
  readonly key: string;
  /** 0: the key must not exist. */
  readonly version?: number;
  readonly exists?: boolean;
  /** The key exists and has this value. */
  readonly value?: Json;
  /** The value is a number, and not less. */
  readonly atLeast?: number;
  /** The value is a number, and not more. */
  readonly atMost?: number;
};

/** Without a command the key is only read. */
export type StateOperation = { readonly key: string; readonly command?: StateCommand };

export type StateTransaction = {
  readonly compare: readonly StateCompare[];
  /** Done when all of `compare` hold. */
  readonly success: readonly StateOperation[];
  /** Done otherwise. */
  readonly failure: readonly StateOperation[];
};

export type StateTransactionRejection = {
  readonly succeeded: boolean;
  /** Of the operation that was refused. */
  readonly index: number;
  readonly key: string;
  readonly rejection: StateRejection;
};

export type DecidedStateTransaction =
  | {
      readonly ok: true;
      readonly succeeded: boolean;
      readonly events: readonly { readonly key: string; readonly event: StateEvent }[];
    }
  | { readonly ok: false; readonly rejection: StateTransactionRejection };

export const holds = (
  { version, exists, value, atLeast, atMost }: StateCompare,
  state: StateState,
): boolean => {
  if (version !== undefined && version !== currentVersion(state)) return false;
  if (exists !== undefined && exists !== state.exists) return false;
  if (value !== undefined && !(state.exists && sameJson(value, state.value))) return false;
  const number = state.exists && typeof state.value === 'number' ? state.value : Number.NaN;
  if (atLeast !== undefined && !(number >= atLeast)) return false;
  return atMost === undefined || number <= atMost;
};

/**
 * Decides all operations of one branch, or refuses the whole. A key comes once in a branch at most, so each operation is
 * decided on the state before. Deleting a key that is not there changes nothing.
 *
 * @param stateOf is asked for all that the decision rests on, what is only read included, and for nothing else.
 */
export const decideStateTransaction = (
  transaction: StateTransaction,
  stateOf: (key: string) => StateState,
): DecidedStateTransaction => {
  const succeeded = transaction.compare.every((compare) => holds(compare, stateOf(compare.key)));
  const operations = succeeded ? transaction.success : transaction.failure;
  const events: { readonly key: string; readonly event: StateEvent }[] = [];
  for (const [index, { key, command }] of operations.entries()) {
    const state = stateOf(key);
    if (command === undefined) continue;
    const decision = stateDecider.decide(command, state);
    if (decision.ok) {
      for (const event of decision.events) events.push({ key, event });
    } else if (command.type !== 'DeleteState' || decision.rejection.code !== 'not_found') {
      return { ok: false, rejection: { succeeded, index, key, rejection: decision.rejection } };
    }
  }
  return { ok: true, succeeded, events };
};
