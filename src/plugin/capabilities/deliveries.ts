import type { Json } from '../../../domain/event.ts';
import { released } from '../../bus/subscriptions.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import { given } from '../../given.ts';
import type { Context, Watch } from '../../nexus-core.ts';
import type { Delivery, Settlement } from '../../nexus-subscriptions.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';
import type { CapabilitiesOptions } from './capabilities.ts';
import { createFeeds, type Feed, type FeedTarget, type Follow, type Opened } from './feeds.ts';
import { selectorOf } from './grants.ts';
import { exceeds } from './sizes.ts';
import type { WishData } from './wishes.ts';

/** What a delivery may wait for its place, and what its handler may take, are 30 s each at most. */
const ackWaitMs = 120_000;
/** A guest that has too many calls waiting is asked again, for a while. */
const overloadedMs = 250;
const maxTries = 20;
const maxReasonLength = 512;
/** Names of durable subscriptions in one life of a plugin: they stay when it goes. */
const maxDurables = 64;

/** What comes from the guest is text for a person: no longer than the hub takes, and no lone surrogate at the cut. */
const reasonOf = (answer: CallAnswer & { readonly ok: false }): string =>
  `${answer.fault}: ${answer.message}`.slice(0, maxReasonLength).toWellFormed();

const settlementOf = (answer: CallAnswer): Settlement => {
  if (answer.ok) return 'ack';
  // It is no smaller the next time.
  return answer.fault === 'too_large' ? 'term' : 'nak';
};

export type DeliveriesOptions = Pick<
  CapabilitiesOptions,
  'hub' | 'name' | 'limits' | 'call' | 'limited' | 'clock' | 'logger'
> & {
  /** A new one for each thing that is asked of the hub. */
  context(): Context;
};

/** What is handed to a guest, as it asked for it: messages and changes of state. */
export const createDeliveries = (options: DeliveriesOptions) => {
  const { hub, name, limits, call, limited, clock, logger, context } = options;
  const feeds = createFeeds(clock);
  const durables = new Set<string>();

  const pause = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(overloadedMs, resolve);
      const end = (): void => {
        cancel();
        resolve();
      };
      signal.addEventListener('abort', end, { once: true });
    });

  const hand = async (target: FeedTarget, input: Json, { stopping }: Feed): Promise<CallAnswer> => {
    if (exceeds(input, limits.messageBytes)) {
      const message = `${target} is larger than ${limits.messageBytes} bytes`;
      limited('messageBytes', message);
      return { ok: false, fault: 'too_large', message };
    }
    for (let tries = 1; ; tries++) {
      const answer = await call(target, input, limits.timeoutMs);
      const isBusy = !answer.ok && answer.fault === 'overloaded';
      if (!isBusy || tries === maxTries || stopping.aborted) return answer;
      await pause(stopping);
    }
  };

  /** Each once at most: what its handler fails at is over. */
  const followWatch =
    (watch: Watch<Json>, target: FeedTarget, feed: Feed): Follow =>
    async () => {
      const handle = async (item: Json): Promise<void> => {
        const answer = await hand(target, item, feed);
        if (!answer.ok) logger.debug({ plugin: name, target, reason: reasonOf(answer) }, 'not handled');
      };
      try {
        for await (const part of watch.items) {
          if (part.type === 'gap') {
            const { from, to } = part;
            logger.warn(
              { plugin: name, target, from, to },
              'what was watched was removed before it was handled',
            );
          }
          if (part.type !== 'items') continue;
          for (const item of part.items) if (!(await feed.begin(item, () => handle(item)))) return;
        }
      } catch (error) {
        logger.warn({ plugin: name, target, error }, 'what a plugin watches cannot be read any more');
      }
    };

  const openWatch = async (
    target: FeedTarget,
    feed: Feed,
    begin: (signal: AbortSignal) => Promise<Result<Watch<Json>>>,
  ): Promise<Opened> => {
    const watch = await begin(feed.stopping);
    if (!watch.ok) return watch;
    const { position } = watch.value;
    return ok({ value: { position }, follow: followWatch(watch.value, target, feed), close: () => {} });
  };

  const settle = async (subscription: string, delivery: string, answer: CallAnswer): Promise<void> => {
    const data = { deliveries: [delivery], ...(answer.ok ? {} : { reason: reasonOf(answer) }) };
    try {
      const settled = await hub.settle(settlementOf(answer), subscription, data, context());
      if (settled.ok && settled.value.done === 1) return;
      logger.debug({ plugin: name, subscription }, 'a message was delivered elsewhere meanwhile');
    } catch (error) {
      logger.debug({ plugin: name, subscription, error }, 'a message could not be settled');
    }
  };

  const openDurable = async (
    target: FeedTarget,
    feed: Feed,
    { durable, pattern, from, maxDeliver, backoffMs, maxInFlight }: WishData<'subscribe'>,
  ): Promise<Opened> => {
    const subscription = `plugin.${name}.${durable}`;
    const known = durables.has(subscription);
    if (!known && durables.size >= maxDurables)
      return fault(problem('overloaded', `a plugin has ${maxDurables} durable subscriptions at most`));
    durables.add(subscription);
    const data = {
      name: subscription,
      topic: pattern,
      ackWaitMs,
      ...given({ from, maxDeliver, backoffMs }),
    };
    const created = await hub.execute({ type: 'CreateSubscription', data }, context());
    if (!created.ok) {
      if (!known) durables.delete(subscription);
      return created;
    }
    const leaving = new AbortController();
    const consuming = await hub.consume(
      subscription,
      { max: maxInFlight, signal: leaving.signal },
      context(),
    );
    if (!consuming.ok) return consuming;
    const { position, deliveries } = consuming.value;
    const handle = async ({ delivery, message }: Delivery): Promise<void> =>
      settle(subscription, delivery, await hand(target, message, feed));
    const follow = async (): Promise<void> => {
      try {
        // What is not begun is held until the consumer leaves, and is then delivered to another one.
        for await (const batch of deliveries) {
          for (const delivery of batch)
            if (!(await feed.begin(delivery.message, () => handle(delivery)))) break;
        }
      } catch (error) {
        logger.warn({ plugin: name, subscription, error }, 'a plugin cannot be served its subscription');
      }
    };
    return ok({ value: { position }, follow, close: () => leaving.abort(released) });
  };

  return {
    subscribe(data: WishData<'subscribe'>): Promise<Result<Json>> {
      const target: FeedTarget = `message:${data.n}`;
      return feeds.add(target, data.maxInFlight, (feed) =>
        data.durable === undefined
          ? openWatch(target, feed, (signal) => hub.watchMessages(data.pattern, { signal }, context()))
          : openDurable(target, feed, data),
      );
    },
    /** One change at a time: two at once could overtake each other. */
    watch({ n, selector }: WishData<'state.watch'>): Promise<Result<Json>> {
      const target: FeedTarget = `change:${n}`;
      return feeds.add(target, 1, (feed) =>
        openWatch(target, feed, (signal) => hub.watchState(selectorOf(selector), { signal }, context())),
      );
    },
    end: feeds.end,
    stop: feeds.stop,
  };
};
