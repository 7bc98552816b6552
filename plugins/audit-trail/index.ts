import type { Json, PluginContext } from 'nexus-integration-core/plugin';
import { type Batches, createBatches } from './batches.ts';
import {
  type Action,
  count,
  dayIn,
  dayOf,
  type Entry,
  entryOf,
  maxInFlight,
  recentIn,
  remember,
} from './documents.ts';

type Config = {
  readonly topics: readonly string[];
  readonly retentionDays: number;
  readonly entries: number;
  readonly maxSubjects: number;
  readonly flushMs: number;
};

const maxTries = 10;
const daySec = 86_400;

/** Of a topic pattern, for the name of its subscription: FNV-1a, 32 bits. */
const shortHash = (text: string): string => {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
};

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

let batches: Batches | undefined;

export const initialize = async (context: PluginContext<Config>): Promise<void> => {
  const { config, hooks, log, messageBus, state, timers } = context;

  /**
   * Other nodes write there too: written against the version that was read, and anew when that is another by then.
   *
   * @param changed gives undefined when there is nothing to change.
   */
  const change = async (
    key: string,
    changed: (value: Json | undefined) => Json | undefined,
    ttlSec?: number,
  ): Promise<void> => {
    for (let tries = 1; ; tries++) {
      const entry = await state.get(key);
      const value = changed(entry?.value);
      if (value === undefined) return;
      try {
        await state.set(key, value, {
          expectedVersion: entry?.version ?? 0,
          ...(ttlSec === undefined ? {} : { ttlSec }),
        });
        return;
      } catch (error) {
        if (!hasCode(error, 'version_conflict') || tries === maxTries) throw error;
      }
    }
  };

  const write = async (entries: readonly Entry[]): Promise<void> => {
    const days = Map.groupBy(entries, ({ at }) => dayOf(at));
    for (const [day, own] of days) {
      const key = `${state.prefix}days/${day}`;
      const ttlSec = config.retentionDays * daySec;
      await change(key, (value) => count(dayIn(day, value), own, config.maxSubjects), ttlSec);
    }
    // The counts stand: a list that lacks some is not worth counting them again.
    try {
      await change(`${state.prefix}recent`, (value) => remember(recentIn(value), entries, config.entries));
    } catch (error) {
      log.warn('the list of the last entries could not be written', { reason: String(error) });
    }
  };

  const own = createBatches(maxInFlight, write);
  batches = own;

  // Told apart from those of other nodes and other starts by where it began.
  const start = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  let told = 0;
  const add = (subject: string, action: Action, target: string, outcome?: string): void =>
    own.add(entryOf(`${start}-${told++}`, new Date().toISOString(), subject, action, target, outcome));

  hooks.register('after_state_change', ({ key, subject, deleted }) =>
    add(subject, 'state', key, deleted ? 'deleted' : 'written'),
  );
  hooks.register('after_service_invoke', ({ service, method, subject, outcome }) => {
    add(subject, 'invoke', `${service}/${method}`, outcome);
    return undefined;
  });
  hooks.register('before_service_register', ({ service, subject }) => {
    add(subject, 'register', String(service.name ?? service.id ?? ''), 'asked');
    return undefined;
  });

  for (const topic of config.topics) {
    await messageBus.subscribe(
      topic,
      ({ position, publishedAt, publisher, topic: target }) =>
        own.write(entryOf(position, publishedAt, publisher, 'publish', target)),
      {
        durable: `messages-${shortHash(topic)}`,
        maxInFlight,
        maxDeliver: 20,
        backoffMs: [100, 1_000, 10_000],
      },
    );
  }

  let dropped = 0;
  timers.every(config.flushMs, async () => {
    await own.flush();
    if (own.dropped > dropped) log.warn('entries were dropped', { dropped: own.dropped - dropped });
    ({ dropped } = own);
  });
};

export const shutdown = async (): Promise<void> => {
  await batches?.flush();
};
