import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { Json } from '../../../domain/event.ts';
import type { Priority } from '../../../domain/message/message.ts';
import type { DeadLetter, SubscriptionSettings } from '../../../domain/subscription/subscription.ts';
import { soleOwnership } from '../../../src/bus/ownership.ts';
import { createDispatcher, type DispatcherOptions } from '../../../src/bus/subscription/dispatcher.ts';
import { createEntry, type Entry, type Origin } from '../../../src/bus/subscription/entry.ts';
import type { SubscriptionServer } from '../../../src/bus/subscription/server.ts';
import {
  openSubscriptions,
  type Subscriptions,
  type SubscriptionsOptions,
} from '../../../src/bus/subscriptions.ts';
import { createHandler } from '../../../src/command/handle.ts';
import { parseConfig } from '../../../src/config.ts';
import { createDeciders } from '../../../src/core/deciders.ts';
import { messageFrom } from '../../../src/core/logs.ts';
import { createSubscriptionWrites } from '../../../src/core/subscription-writes.ts';
import { type Core, openCore } from '../../../src/core.ts';
import type { Result } from '../../../src/errors.ts';
import type { Context } from '../../../src/nexus-core.ts';
import type { Delivery } from '../../../src/nexus-subscriptions.ts';
import { createTestClock, quiet } from '../../registry/support.ts';
import { positionAt } from '../../support/recorded.ts';
import { settings as sample } from '../../support/subscription-samples.ts';

/** Lets everything go on that waits for nothing but its turn. */
export const turns = async (count = 4): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

export const nobody: Origin = { delivered: () => {}, settled: () => {} };

export type EntryChanges = {
  readonly key?: string;
  readonly priority?: Priority;
  readonly payload?: Json;
  readonly headers?: Readonly<Record<string, string>>;
  readonly expiresAt?: string;
  readonly nowMs?: number;
  readonly attempts?: number;
  readonly origin?: Origin;
  readonly topic?: string;
};

/** The message at `place`, whose id is `m{place}`. */
export const entryAt = (place: number, changes: EntryChanges = {}): Entry => {
  const { key, priority = 'NORMAL', payload = place, topic = 'orders.created', origin = nobody } = changes;
  return createEntry({
    origin,
    message: {
      messageId: `m${place}`,
      topic,
      payload,
      priority,
      ...(key === undefined ? {} : { key }),
      headers: changes.headers ?? {},
      publishedAt: '2030-01-01T00:00:00.000Z',
      publisher: 'ann',
      position: positionAt(place),
    },
    place: { stream: `topic-${topic}`, revision: place },
    expiresAt: changes.expiresAt,
    nowMs: changes.nowMs ?? 0,
    ...(changes.attempts === undefined ? {} : { attempts: changes.attempts }),
  });
};

export const entriesTo = (count: number, changes: EntryChanges = {}): readonly Entry[] =>
  Array.from({ length: count }, (_, index) => entryAt(index + 1, changes));

/** A dispatcher on a clock that stands, whose log takes everything at once unless `bury` or `save` say otherwise. */
export const dispatcherWith = (
  changes: Partial<SubscriptionSettings> = {},
  options: Partial<DispatcherOptions> = {},
) => {
  const clock = createTestClock();
  const buried: DeadLetter[] = [];
  const troubles: unknown[] = [];
  const counts = { saves: 0, lost: 0 };
  const settings = { ...sample, ...changes };
  const dispatcher = createDispatcher({
    settings,
    paused: false,
    clock,
    wallMs: clock.now,
    random: () => 0,
    isOwner: () => true,
    bury: (letters) => {
      buried.push(...letters);
      return Promise.resolve('done');
    },
    save: () => {
      counts.saves++;
      return Promise.resolve('done');
    },
    lost: () => counts.lost++,
    troubled: (error) => troubles.push(error),
    ...options,
  });
  const signal = new AbortController().signal;
  const pull = (max = 1_000, waitMs = 0): Promise<readonly Delivery[]> => {
    const pulled = dispatcher.pull(max, waitMs, signal);
    clock.advance(0);
    return pulled;
  };
  return { dispatcher, clock, buried, troubles, counts, settings, pull };
};

export const idsOf = (deliveries: readonly Delivery[] | undefined): readonly string[] =>
  (deliveries ?? []).map(({ message }) => message.messageId);
export const tokensOf = (deliveries: readonly Delivery[] | undefined): readonly string[] =>
  (deliveries ?? []).map(({ delivery }) => delivery);

export const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };

/** @throws {Error} with the problem's detail. */
export const okOf = <Value>(result: Result<Value>): Value => {
  if (!result.ok) throw new Error(`${result.problem.code}: ${result.problem.detail}`);
  return result.value;
};

export const newFolder = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-engine-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

/** The core alone, on the embedded log in `folder`. @param wallMs what it takes for the time of day. */
export const openBus = async (folder: string, wallMs?: () => number) => {
  const parsed = parseConfig([], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, dataDir: folder, log: [`file:${folder}`], stateFile: 'none' };
  const core = await openCore(config, {
    logger: quiet,
    ...(wallMs === undefined ? {} : { clock: wallMs }),
  });
  // Nothing of the core keeps a process alive, and a test is one that waits for it.
  const alive = setInterval(() => {}, 60_000);
  const close = async (): Promise<void> => {
    await core.close();
    clearInterval(alive);
  };
  return { ...busOf(core), close };
};

type Pull = (max: number) => Promise<readonly Delivery[]>;

/** The next `count` deliveries, however many pulls it takes. */
const take = async (pull: Pull, count: number): Promise<readonly Delivery[]> => {
  const taken: Delivery[] = [];
  while (taken.length < count) taken.push(...(await pull(Math.min(1_000, count - taken.length))));
  return taken;
};

export const takeFrom = (server: SubscriptionServer, count: number): Promise<readonly Delivery[]> =>
  take(async (max) => okOf(await server.pull(max, 5_000, new AbortController().signal)), count);

/** What tests of subscriptions say most. */
export const busOf = (core: Core) => {
  const execute = async (type: string, data: object, commandId?: string) =>
    okOf(await core.execute({ type, data, ...(commandId === undefined ? {} : { commandId }) }, context));
  return {
    core,
    execute,
    create: (name: string, data: object = {}) =>
      execute('CreateSubscription', { name, topic: 'orders.>', from: 'start', ...data }),
    publish: (payload: Json, data: object = {}) =>
      execute('PublishMessage', { topic: 'orders.created', payload, ...data }),
    /** Up to `max` that come within 5 s, which is long after they must have. */
    pull: async (name: string, max = 1_000, waitMs = 5_000) =>
      okOf(await core.pull(name, { max, waitMs }, context)).deliveries,
    take: (name: string, count: number) =>
      take(async (max) => okOf(await core.pull(name, { max, waitMs: 5_000 }, context)).deliveries, count),
    settle: async (
      how: 'ack' | 'nak' | 'term' | 'extend',
      name: string,
      deliveries: readonly Delivery[],
      more = {},
    ) => okOf(await core.settle(how, name, { deliveries: tokensOf(deliveries), ...more }, context)),
    show: async (name: string) => okOf(await core.subscription(name, context)),
    letters: async (name: string, limit = 1_000) =>
      okOf(await core.deadLetters(name, { limit }, context)).deadLetters,
  };
};

export type Bus = Awaited<ReturnType<typeof openBus>>;

export const payloadsOf = (deliveries: readonly Delivery[]): readonly Json[] =>
  deliveries.map(({ message }) => message.payload);

/** Ends the subscriptions of `core` and opens others on its parts, with what a test wants to be otherwise. */
export const reopenSubscriptions = async (
  { parts, node }: Core,
  changes: Partial<SubscriptionsOptions>,
): Promise<Subscriptions> => {
  await parts.subscriptions.close();
  const { log, hub, runner } = parts;
  const writes = createSubscriptionWrites(
    { log, runner, node },
    createHandler(log),
    createDeciders(runner).subscription,
  );
  return openSubscriptions({
    log,
    hub,
    runner,
    node,
    logger: quiet,
    ownership: soleOwnership,
    wallMs: Date.now,
    messageFrom,
    truncated: () => {},
    peer: () => {
      throw new Error('there is no other node');
    },
    ...writes,
    ...changes,
  });
};
