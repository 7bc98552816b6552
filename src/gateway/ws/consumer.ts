import { ok, type Problem, problem, type Result } from '../../errors.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import type { Consumption, Settlement } from '../../nexus-subscriptions.ts';
import type { GroupSelector } from './frame.ts';
import type { Outbox } from './outbox.ts';

/** The deliveries that one consumer was sent and has not settled. */
export type Held = {
  add(delivery: string): void;
  /** False when the consumer does not hold it. Extending leaves it there; all else takes it away. */
  settle(delivery: string, how: Settlement): boolean;
};

/**
 * @param max Deliveries that the hub lets the consumer hold at once. When twice as many stand here, the oldest have long
 *   timed out: they are in the order in which they were sent or extended.
 */
export const createHeld = (max: number): Held => {
  const held = new Set<string>();
  return {
    add: (delivery) => {
      held.add(delivery);
      if (held.size <= 2 * max) return;
      for (const oldest of held) {
        held.delete(oldest);
        break;
      }
    },
    settle: (delivery, how) => {
      if (!held.delete(delivery)) return false;
      if (how === 'extend') held.add(delivery);
      return true;
    },
  };
};

/** One consumer of a durable subscription on one socket. */
export type Consumer = {
  readonly group: string;
  readonly consumption: Consumption;
  readonly held: Held;
};

/**
 * How a consumer leaves its group, as the reason of the abort: `cut` when the client is gone, so that what it held has
 * failed once; `released` when that is nobody's failure.
 */
export type Leaving = 'cut' | 'released';

/** Deliveries that a consumer may hold which does not say. */
const defaultMax = 100;

export const openConsumer = async (
  core: NexusCore,
  { group, max = defaultMax }: GroupSelector,
  signal: AbortSignal,
  context: Context,
): Promise<Result<Consumer>> => {
  const consumption = await core.consume(group, { max, signal }, context);
  return consumption.ok ? ok({ group, consumption: consumption.value, held: createHeld(max) }) : consumption;
};

/**
 * Writes deliveries to a socket until the consumption ends or `signal` aborts. While the socket's buffer is full nothing
 * is taken, so what a slow reader has in front of it is what it may hold.
 *
 * @throws what the consumption throws.
 */
export const deliver = async (
  { consumption, held }: Consumer,
  subscription: string,
  outbox: Outbox,
  signal: AbortSignal,
): Promise<void> => {
  const head = `{"type":"message","subscription":${JSON.stringify(subscription)},"delivery":`;
  for await (const batch of consumption.deliveries) {
    for (const { delivery, attempt, message } of batch) {
      while (outbox.full && !signal.aborted) await outbox.drained();
      if (signal.aborted) return;
      held.add(delivery);
      const tail = JSON.stringify(message).slice(1);
      outbox.send(`${head}${JSON.stringify(delivery)},"attempt":${attempt},${tail}`);
    }
  }
};

/** Why a consumption ended that nobody has ended here. */
export const whyEnded = async (core: NexusCore, group: string, context: Context): Promise<Problem> => {
  const found = await core.subscription(group, context);
  return found.ok
    ? problem('not_owner', 'This node no longer serves the subscription; subscribe again')
    : found.problem;
};
