import test from 'ava';
import fc from 'fast-check';
import { asRevision, asStreamId, type LogEvent, type NewEvent, type Position } from '../../domain/event.ts';
import { topicMatches } from '../../domain/names.ts';
import { createHandler } from '../../src/command/handle.ts';
import { newId } from '../../src/ids.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import type { Watched } from '../../src/nexus-core.ts';
import { trimStream } from '../../src/retention/trim.ts';
import { selectionOf, type WatchFilter } from '../../src/watch/filter.ts';
import { createHub } from '../../src/watch/hub.ts';
import { createTrims } from '../../src/watch/trims.ts';
import { positionAt, record } from '../support/recorded.ts';
import { eventFor, openWorld, quiet, watchUntil } from './world.ts';

const metadata = { actor: 'system', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
const forever = (): AbortSignal => new AbortController().signal;

/** Messages on each of `topics`, in this order; their positions. */
const publish = async (log: EventLog, ...topics: readonly string[]): Promise<readonly Position[]> => {
  const positions: Position[] = [];
  for (const topic of topics) {
    const messageId = newId();
    const data = { messageId, topic, payload: null, priority: 'NORMAL' };
    const event: NewEvent = { id: messageId, type: 'MessagePublished', data, metadata };
    const appended = await log.append(asStreamId(`topic-${topic}`), [event], 'any');
    if (!appended.ok) throw new Error('conflict');
    positions.push(...appended.events.map(({ position }) => position));
  }
  return positions;
};
const trim = async (log: EventLog, topic: string, before: number): Promise<boolean> =>
  trimStream(log, createHandler(log), asStreamId(`topic-${topic}`), before, metadata);

const gapsOf = (parts: readonly Watched<LogEvent>[]) => parts.filter(({ type }) => type === 'gap');

const trimmed = (topic: string, place: number, at: number): LogEvent => {
  const data = { topic, before: 1, position: positionAt(place) };
  const [event] = record(`trim-${topic}`, [{ actor: 'system', event: { type: 'TopicTrimmed', data } }]);
  if (event === undefined) throw new Error('no event');
  return { ...event, position: positionAt(at) };
};

const segment = fc.constantFrom('a', 'b', 'c', '_reply');
const topic = fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(segment, fc.constant('*')), { maxLength: 3 }), fc.boolean())
  .map(([segments, rest]) => [...segments, ...(rest || segments.length === 0 ? ['>'] : [])].join('.'));
const history = fc.array(fc.tuple(topic, fc.integer({ min: 1, max: 99 })), { maxLength: 20 });
const noLog = { start: positionAt(0), readAll: () => Promise.reject(new Error('not asked')) };

const newestBy = (
  removed: readonly (readonly [string, number])[],
  after: number,
  fits: (topic: string) => boolean,
): Position | undefined => {
  const places = removed.filter(([one, place]) => fits(one) && place > after).map(([, place]) => place);
  return places.length === 0 ? undefined : positionAt(Math.max(...places));
};

test('the newest removed message of a pattern is that of the topics that match it, and no other', (t) => {
  const property = fc.property(history, pattern, fc.nat({ max: 99 }), (removed, asked, after) => {
    const trims = createTrims(noLog);
    trims.dispatched(
      removed.map(([name, place], n) => trimmed(name, place, 100 + n)),
      positionAt(0),
    );
    const wanted = newestBy(removed, after, (name) => topicMatches(asked, name));
    t.is(trims.newestBehind(positionAt(after), selectionOf({ topic: asked })), wanted);
  });
  t.notThrows(() => fc.assert(property, { seed: 20_260_101, numRuns: 500 }));
});

test('with more topics than there is room for, what is lost is told to whoever may have missed it, never kept quiet', (t) => {
  const property = fc.property(history, pattern, fc.nat({ max: 4 }), (removed, asked, room) => {
    const trims = createTrims(noLog, room);
    trims.dispatched(
      removed.map(([name, place], n) => trimmed(name, place, 100 + n)),
      positionAt(0),
    );
    const wanted = newestBy(removed, 0, (name) => topicMatches(asked, name));
    const told = trims.newestBehind(positionAt(0), selectionOf({ topic: asked }));
    t.true(wanted === undefined || (told !== undefined && told >= wanted));
  });
  t.notThrows(() => fc.assert(property, { seed: 20_260_101, numRuns: 500 }));
});

test('what was recorded before the hub began is read once, and only what is new after that', async (t) => {
  const { log } = await openWorld(t);
  const positions = await publish(log, 'a', 'a', 'a');
  await trim(log, 'a', 2);
  const asked: (Position | undefined)[] = [];
  const counted: EventLog = {
    ...log,
    position: () => log.position(),
    readAll: (options) => {
      asked.push(options.after);
      return log.readAll(options);
    },
  };
  const hub = createHub({ log: counted, logger: quiet });
  await hub.start();
  const wanted = { from: log.start, to: positions[1] };
  t.deepEqual(await hub.gapBehind(log.start, { topic: 'a' }), wanted);
  t.deepEqual(await hub.gapBehind(log.start, { topic: 'a' }), wanted);
  t.deepEqual(asked, [log.start, await log.position()]);
  await hub.close();
});

const filters: readonly (readonly [string, WatchFilter])[] = [
  ['one topic', { topic: 'orders.eu' }],
  ['one stream', { stream: asStreamId('topic-orders.eu') }],
  ['a pattern', { topic: 'orders.*' }],
  ['all topics', { topic: '>' }],
  ['the category', { category: 'topic' }],
  ['the whole log', { all: true }],
];
for (const [name, filter] of filters) {
  test(`a watch of ${name} › that begins before what was removed is told so once, before its first item`, async (t) => {
    const { log, hub } = await openWorld(t);
    const positions = await publish(log, 'orders.eu', 'other', 'orders.eu', 'orders.eu', 'orders.eu');
    await trim(log, 'orders.eu', 3);
    const { parts } = await watchUntil(hub.watch({ filter, after: log.start, signal: forever() }));
    t.deepEqual(parts[0], { type: 'gap', from: log.start, to: positions[3] });
    t.is(gapsOf(parts).length, 1);
    const middle = positions[2] ?? log.start;
    const behind = await watchUntil(hub.watch({ filter, after: middle, signal: forever() }));
    t.deepEqual(behind.parts[0], { type: 'gap', from: middle, to: positions[3] });
    const last = positions[3] ?? log.start;
    const after = await watchUntil(hub.watch({ filter, after: last, signal: forever() }));
    t.deepEqual(gapsOf(after.parts), [], 'behind the last removed message nothing is missing');
  });
}

test('a watch that nothing was removed of is told of no gap', async (t) => {
  const { log, hub } = await openWorld(t);
  await publish(log, 'orders.eu', 'orders.eu', 'orders.us', 'orders.us', 'orders.us.west', 'orders');
  await log.append(asStreamId('state-k'), [eventFor('state-k')], 'any');
  await trim(log, 'orders.us', 1);
  for (const filter of [
    { topic: 'orders.eu' },
    { topic: 'orders.us.*' },
    { topic: 'orders' },
    { topic: '*' },
    { stream: asStreamId('state-k') },
    { category: 'state' },
    { keyPrefix: '' },
  ] as const) {
    const { parts } = await watchUntil(hub.watch({ filter, after: log.start, signal: forever() }));
    t.deepEqual(gapsOf(parts), [], JSON.stringify(filter));
  }
});

test('messages of other topics that stand before the end of a gap still come', async (t) => {
  const { log, hub } = await openWorld(t);
  const positions = await publish(log, 'a', 'b', 'a', 'b', 'a');
  await trim(log, 'a', 2);
  const { parts, events } = await watchUntil(
    hub.watch({ filter: { topic: '*' }, after: log.start, signal: forever() }),
  );
  t.deepEqual(parts[0], { type: 'gap', from: log.start, to: positions[2] });
  t.deepEqual(
    events.map(({ position }) => position),
    [positions[1], positions[3], positions[4]],
  );
});

for (const filter of [{ topic: 'slow' }, { topic: '*' }] as const) {
  test(`a watch of ${filter.topic} that is behind › is told of what is removed in front of it, and then goes on`, async (t) => {
    const { log, hub } = await openWorld(t);
    const positions = await publish(log, ...Array.from({ length: 60 }, () => 'slow'));
    const watch = hub.watch({ filter, after: log.start, signal: forever(), maxBatchEvents: 10 });
    const iterator = watch[Symbol.asyncIterator]();
    const first = await iterator.next();
    t.is(first.value?.type, 'items');
    const read = first.value?.type === 'items' ? first.value.items.length : 0;
    await trim(log, 'slow', 40);
    const parts: Watched<LogEvent>[] = [];
    for (let part = await iterator.next(); part.value?.type !== 'caughtUp'; part = await iterator.next())
      if (part.value !== undefined) parts.push(part.value);
    t.deepEqual(gapsOf(parts), [{ type: 'gap', from: positions[read - 1], to: positions[39] }]);
    t.is(parts[0]?.type, 'gap');
    const rest = parts.flatMap((part) => (part.type === 'items' ? part.items : []));
    t.deepEqual(
      rest.map(({ position }) => position),
      positions.slice(40),
    );
  });
}

test('a synced watch that falls behind what memory holds › is told of what was removed meanwhile', async (t) => {
  const { log, hub } = await openWorld(t, { ringEvents: 8 });
  const watch = hub.watch({
    filter: { topic: '>' },
    after: await log.position(),
    signal: forever(),
    maxBufferedEvents: 4,
  });
  const iterator = watch[Symbol.asyncIterator]();
  t.is((await iterator.next()).value?.type, 'caughtUp');
  const pending = iterator.next();
  const positions = await publish(log, ...Array.from({ length: 50 }, () => 'live'));
  const first = await pending;
  const seen = first.value?.type === 'items' ? first.value.items.at(-1)?.position : undefined;
  t.not(seen, undefined);
  await trim(log, 'live', 45);
  const gap = await iterator.next();
  t.deepEqual(gap.value, { type: 'gap', from: seen, to: positions[44] });
  const rest: LogEvent[] = [];
  while (rest.filter(({ type }) => type === 'MessagePublished').length < 5) {
    const part = await iterator.next();
    if (part.value?.type === 'items') rest.push(...part.value.items);
  }
  t.deepEqual(
    rest.map(({ position }) => position),
    positions.slice(45),
  );
  await iterator.return?.();
});

test('a page that passed a hole is told of it, however late the record of it is dispatched', async (t) => {
  // The hub hears nothing more of the log once it was reached, as when it lags behind another node.
  const { log, hub } = await openWorld(t, {}, (inner) => ({
    ...inner,
    position: () => inner.position(),
    watch: async function* ({ signal }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      yield* [];
    },
  }));
  const positions = await publish(log, 'a', 'a', 'a');
  await trim(log, 'a', 2);
  const iterator = hub
    .watch({ filter: { topic: '>' }, after: log.start, signal: forever() })
    [Symbol.asyncIterator]();
  t.deepEqual((await iterator.next()).value, { type: 'gap', from: log.start, to: positions[1] });
  await iterator.return?.();
});

test('a topic is trimmed once: a stale or repeated order changes nothing, and the newest record is the furthest', async (t) => {
  const { log } = await openWorld(t);
  const positions = await publish(log, 'a', 'a', 'a', 'a', 'a');
  t.true(await trim(log, 'a', 3));
  t.false(await trim(log, 'a', 2));
  t.false(await trim(log, 'a', 3));
  const both = await Promise.all([trim(log, 'a', 4), trim(log, 'a', 4)]);
  t.deepEqual(both.toSorted(), [false, true]);
  const records = await log.readStream(asStreamId('trim-a'), { from: asRevision(0), limit: 10 });
  t.deepEqual(
    records.map(({ data }) => data),
    [{ topic: 'a', before: 4, position: positions[3] }],
  );
  t.is((await log.head(asStreamId('topic-a')))?.truncatedBefore, asRevision(4));
});

test('what the read models know is not read from the log again', async (t) => {
  const { log } = await openWorld(t);
  await publish(log, 'a', 'a', 'a');
  const asked: (Position | undefined)[] = [];
  const trims = createTrims({
    start: log.start,
    readAll: (options) => {
      asked.push(options.after);
      return log.readAll(options);
    },
  });
  const known = await log.position();
  trims.seed([['a', positionAt(1)]], known);
  await trim(log, 'a', 2);
  await trims.refresh();
  t.deepEqual(asked, [known]);
  t.is(trims.newestBehind(log.start, selectionOf({ topic: '>' })), positionAt(2));
});

test('a consumer that need not know is told of no gap, and asks the log for none', async (t) => {
  const { log, hub } = await openWorld(t);
  await publish(log, 'a', 'a', 'a');
  await trim(log, 'a', 2);
  const watch = hub.watch({ filter: { all: true }, after: log.start, signal: forever(), gaps: false });
  t.deepEqual(gapsOf((await watchUntil(watch)).parts), []);
});
