import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Position } from '../../../domain/event.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import type { Delivery, Settled, Settlement } from '../../nexus-subscriptions.ts';
import type { SettleOptions } from './dispatcher.ts';
import type { Live, Local } from './local.ts';

/** One consumer of a group, wherever it is served. */
export type Member = {
  /** Undefined once it has left, or the group is not served there any more. One call at a time. */
  next(): Promise<readonly Delivery[] | undefined>;
  /** @param blameless the hub goes away, not the consumer: what it holds has not failed. */
  leave(blameless: boolean): void;
};

/** What serves one subscription: this node, or another one through its own protocols. */
export type SubscriptionServer = {
  position(): Promise<Position | undefined>;
  /** Undefined when it cannot be asked. */
  live(): Promise<Live | undefined>;
  pull(max: number, waitMs: number, signal: AbortSignal): Promise<Result<readonly Delivery[]>>;
  settle(
    how: Settlement,
    deliveries: readonly string[],
    options: SettleOptions & { readonly durable: boolean },
  ): Promise<Result<Settled>>;
  giveBack(deliveries: readonly string[]): Promise<void>;
  join(max: number): Promise<Result<Member>>;
};

export const notServed = (name: string) =>
  fault(
    problem('not_owner', `no node serves ${name} at this moment; try again`, {
      subscription: name,
      retryAfterSec: 1,
    }),
  );

/** @param isOwner false while another node may serve it: then nothing is accepted. */
export const serverOf = (local: Local, isOwner: () => boolean): SubscriptionServer => {
  const { dispatcher } = local;
  const { name } = local.document;
  return {
    async position() {
      // In a turn of its own: what the lanes have been given, they have taken.
      await nextTurn();
      return local.position;
    },
    live: () => local.live(),
    async pull(max, waitMs, signal) {
      if (!isOwner()) return notServed(name);
      return ok(await dispatcher.pull(max, waitMs, signal));
    },
    async settle(how, deliveries, { durable, ...options }) {
      if (!isOwner()) return notServed(name);
      const refused = dispatcher.settle(how, deliveries, options);
      const done = deliveries.length - refused.length;
      if (!durable) return ok({ done, refused, durable: false });
      if (!(await dispatcher.flushed())) return notServed(name);
      return ok({ done, refused, durable: true });
    },
    giveBack(deliveries) {
      dispatcher.giveBack(deliveries);
      return Promise.resolve();
    },
    join(max) {
      const consumer = dispatcher.join(max);
      return Promise.resolve(
        ok({
          next: () => dispatcher.next(consumer),
          leave: (blameless) => dispatcher.leave(consumer, blameless),
        }),
      );
    },
  };
};
