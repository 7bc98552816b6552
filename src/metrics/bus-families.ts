import type { SubscriptionDocument } from '../../projections/documents.ts';
import { type Family, type Sample, samplesOf } from './exposition.ts';
import type { Measured } from './families.ts';
import { allOthers } from './meters.ts';

/** Subscriptions that are told one by one; the others by name are told together. */
const maxNamed = 100;
/** What one subscription tells, or all others; their lag is not counted, as that takes a watcher each. */
type Told = {
  readonly name: string;
  readonly lagEvents?: number;
  readonly inFlight: number;
  readonly deadLetters: number;
};

/** What this node serves; a subscription that another node serves is told there. */
const subscriptionsOf = async ({ runner, subscriptions }: Measured['parts']): Promise<readonly Told[]> => {
  const lettersOf = (name: string): number =>
    runner.store.read<SubscriptionDocument>('subscriptions', name)?.deadLetters ?? 0;
  const serving = [...subscriptions.serving()].sort(([left], [right]) => (left < right ? -1 : 1));
  const named = await Promise.all(
    serving.slice(0, maxNamed).map(async ([name, local]): Promise<Told> => {
      const { lagEvents, inFlight } = await local.live();
      return { name, lagEvents, inFlight, deadLetters: lettersOf(name) };
    }),
  );
  if (serving.length <= maxNamed) return named;
  let [inFlight, deadLetters] = [0, 0];
  for (const [name, { dispatcher }] of serving.slice(maxNamed)) {
    inFlight += dispatcher.inFlight;
    deadLetters += lettersOf(name);
  }
  return [...named, { name: allOthers, inFlight, deadLetters }];
};

/** The same answer for all who ask while it is being made: the families of one scrape. */
const shared = <Value>(make: () => Promise<Value>): (() => Promise<Value>) => {
  let making: Promise<Value> | undefined;
  return () => {
    making ??= make().finally(() => {
      making = undefined;
    });
    return making;
  };
};

/** Watchers, and durable subscriptions. */
export const busFamilies = ({ parts, meters }: Measured): readonly Family[] => {
  const { hub } = parts;
  const subscriptions = shared(() => subscriptionsOf(parts));
  const perSubscription = async (value: (told: Told) => number | undefined): Promise<readonly Sample[]> =>
    (await subscriptions()).flatMap((told) => {
      const known = value(told);
      return known === undefined ? [] : [{ labels: { subscription: told.name }, value: known }];
    });

  return [
    {
      name: 'nexus_watchers',
      help: 'Watchers of the log: synced ones are pushed to, those catching up are fed from the log.',
      type: 'gauge',
      labels: ['state'],
      samples: () => {
        const { synced, catchingUp } = hub.stats();
        return [
          { labels: { state: 'synced' }, value: synced },
          { labels: { state: 'catching_up' }, value: catchingUp },
        ];
      },
    },
    {
      name: 'nexus_watch_queued_events',
      help: 'Events that wait in the queues of all watchers.',
      type: 'gauge',
      samples: () => [{ value: hub.stats().queuedEvents }],
    },
    {
      name: 'nexus_watch_queued_bytes',
      help: 'Bytes of the events that wait in the queues of all watchers, about.',
      type: 'gauge',
      samples: () => [{ value: hub.stats().queuedBytes }],
    },
    {
      name: 'nexus_watch_dispatched_events_total',
      help: 'Events of the log that were handed to whoever they concern.',
      type: 'counter',
      samples: () => [{ value: hub.stats().dispatchedEvents }],
    },
    {
      name: 'nexus_watch_lagged_total',
      help: 'How often a synced watcher was too slow, and was fed from the log from then on.',
      type: 'counter',
      samples: () => [{ value: hub.stats().lagged }],
    },
    {
      name: 'nexus_watch_items_total',
      help: 'Items that watchers took, by what they watch.',
      type: 'counter',
      labels: ['kind'],
      samples: () => samplesOf('kind', meters.watched),
    },
    {
      name: 'nexus_subscription_lag_events',
      help: 'Messages that a durable subscription of this node has not settled; of the first 100 by name.',
      type: 'gauge',
      labels: ['subscription'],
      samples: () => perSubscription(({ lagEvents }) => lagEvents),
    },
    {
      name: 'nexus_subscription_in_flight',
      help: 'Deliveries that consumers of a durable subscription of this node hold.',
      type: 'gauge',
      labels: ['subscription'],
      samples: () => perSubscription(({ inFlight }) => inFlight),
    },
    {
      name: 'nexus_subscription_dead_letters',
      help: 'Dead letters of a durable subscription of this node.',
      type: 'gauge',
      labels: ['subscription'],
      samples: () => perSubscription(({ deadLetters }) => deadLetters),
    },
    {
      name: 'nexus_subscription_deliveries_total',
      help: 'Messages that consumers of durable subscriptions took: for the first time, or again.',
      type: 'counter',
      labels: ['attempt'],
      samples: () => samplesOf('attempt', meters.deliveries),
    },
  ];
};
