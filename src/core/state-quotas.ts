import type { StateRejection } from '../../domain/state/state.ts';
import type { QuotaRejection } from '../../domain/state-policy/quota.ts';
import type { Outcome } from '../command/handle.ts';
import { type Problem, problem } from '../errors.ts';
import type { Quotas, Reservation } from '../state/quotas.ts';
import { explainState } from './refusals.ts';

export type WriteRejection = StateRejection | QuotaRejection;

const countedWithinMs = 5_000;

/** The pattern whose usage must be known before it can be decided, if that is why a command was refused. */
export const unknownUsage = <State, Event>(
  outcome: Outcome<State, Event, WriteRejection>,
): string | undefined =>
  outcome.outcome === 'rejected' && outcome.rejection.code === 'usage_unknown'
    ? outcome.rejection.pattern
    : undefined;

/**
 * Runs `attempt`, and again once the usage of the quota that it met is counted, for which it waits 5 s at most.
 *
 * @param unknown tells the pattern of that quota from what came of it.
 */
export const onceCounted = async <Value>(
  quotas: Pick<Quotas, 'counted'>,
  attempt: () => Promise<Value>,
  unknown: (value: Value) => string | undefined,
): Promise<Value> => {
  const untilMs = performance.now() + countedWithinMs;
  for (;;) {
    const value = await attempt();
    const pattern = unknown(value);
    if (pattern === undefined) return value;
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0 || !(await quotas.counted(pattern, leftMs))) return value;
  }
};

/** Runs a command with a reservation that ends with it; without one while there is no quota at all. */
export const reserving = <Value>(
  quotas: Pick<Quotas, 'reserve'>,
  run: (reservation: Reservation | undefined) => Promise<Value>,
): Promise<Value> => {
  const reservation = quotas.reserve();
  const done = run(reservation);
  return reservation === undefined ? done : done.finally(() => reservation.settle(undefined));
};

/** Why a write of `key` was refused. */
export const explainWrite =
  (key: string) =>
  (rejection: WriteRejection): Problem => {
    switch (rejection.code) {
      case 'quota_exceeded': {
        const { pattern, of, limit, used, needed } = rejection;
        const detail = `the ${of} of ${pattern} may be ${limit}, are ${used}, and would be ${needed} more`;
        return problem('quota_exceeded', detail, { key, pattern, of, limit, used, needed });
      }
      case 'usage_unknown':
        return problem('not_ready', `what the keys of ${rejection.pattern} take up is being counted`, {
          pattern: rejection.pattern,
        });
      case 'quota_busy':
        return problem('overloaded', `too many writes of the keys of ${rejection.pattern} are under way`, {
          pattern: rejection.pattern,
        });
      default:
        return explainState(key)(rejection);
    }
  };
