import test from 'ava';
import fc from 'fast-check';
import { asRevision, asStreamId, type LogEvent, type Position } from '../../domain/event.ts';
import { createHandler } from '../../src/command/handle.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import type { Watched } from '../../src/nexus-core.ts';
import { trimStream } from '../../src/retention/trim.ts';
import { selectionOf, type WatchFilter } from '../../src/watch/filter.ts';
import { createKeyTrims } from '../../src/watch/key-trims.ts';
import { createTrims } from '../../src/watch/trims.ts';
import { append, stateSet } from '../projection/world.ts';
import { positionAt } from '../support/recorded.ts';
import { openWorld, watchUntil } from './world.ts';

const metadata = { actor: 'system', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
const forever = (): AbortSignal => new AbortController().signal;

/** A version of each of `keys`, in this order; their positions. */
const set = async (log: EventLog, ...keys: readonly string[]): Promise<readonly Position[]> => {
  const positions: Position[] = [];
  for (const key of keys) {
    const { events } = await append(log, `state-${key}`, stateSet(positions.length));
    positions.push(...events.map(({ position }) => position));
  }
  return positions;
};
const trim = (log: EventLog, key: string, before: number): Promise<boolean> =>
  trimStream(log, createHandler(log), asStreamId(`state-${key}`), before, metadata);

const gapsOf = (parts: readonly Watched<LogEvent>[]) => parts.filter(({ type }) => type === 'gap');

const key = fc.string({ unit: fc.constantFrom('a', 'b', '/', '-', 'é', '𝒳'), minLength: 1, maxLength: 5 });
const removals = fc.array(fc.tuple(key, fc.integer({ min: 1, max: 99 })), { maxLength: 30 });
const newest = (places: readonly number[]) =>
  places.length === 0 ? undefined : positionAt(Math.max(...places));
const placesOf = (removed: readonly (readonly [string, number])[], fits: (key: string) => boolean) =>
  removed.filter(([one]) => fits(one)).map(([, place]) => place);

test('the newest removed version of a key is its own, and of a prefix that of the keys that begin with it', (t) => {
  const property = fc.property(removals, key, fc.constantFrom('', 'a', '/'), (removed, asked, rest) => {
    const trims = createKeyTrims(1_000);
    for (const [one, place] of removed) trims.put(one, positionAt(place));
    t.is(trims.of(asked), newest(placesOf(removed, (one) => one === asked)));
    for (const prefix of ['', asked, asked.slice(0, -1), `${asked}${rest}`])
      t.is(trims.below(prefix), newest(placesOf(removed, (one) => one.startsWith(prefix))), prefix);
  });
  t.notThrows(() => fc.assert(property, { seed: 20_260_101, numRuns: 1_000 }));
});

test('with more keys than there is room for, what is lost is told to whoever may have missed it, never kept quiet', (t) => {
  const property = fc.property(removals, key, fc.nat({ max: 6 }), (removed, asked, room) => {
    const trims = createKeyTrims(room);
    for (const [one, place] of removed) trims.put(one, positionAt(place));
    const own = newest(placesOf(removed, (one) => one === asked));
    t.true(own === undefined || (trims.of(asked) ?? '') >= own);
    const below = newest(placesOf(removed, (one) => one.startsWith(asked)));
    t.true(below === undefined || (trims.below(asked) ?? '') >= below);
    t.is(trims.below(''), newest(removed.map(([, place]) => place)));
  });
  t.notThrows(() => fc.assert(property, { seed: 20_260_101, numRuns: 1_000 }));
});

const filters: readonly (readonly [string, WatchFilter])[] = [
  ['one key', { stream: asStreamId('state-orders/eu') }],
  ['a prefix', { keyPrefix: 'orders/' }],
  ['all keys', { keyPrefix: '' }],
  ['the category', { category: 'state' }],
  ['the whole log', { all: true }],
];
for (const [name, filter] of filters) {
  test(`a watch of ${name} › that begins before what was removed is told so once, before its first item`, async (t) => {
    const { log, hub } = await openWorld(t);
    const positions = await set(log, 'orders/eu', 'other', 'orders/eu', 'orders/eu', 'orders/eu');
    t.true(await trim(log, 'orders/eu', 3));
    const from = async (after: Position) =>
      (await watchUntil(hub.watch({ filter, after, signal: forever() }))).parts;
    const begun = await from(log.start);
    t.deepEqual(begun[0], { type: 'gap', from: log.start, to: positions[3] });
    t.is(gapsOf(begun).length, 1);
    const middle = positions[2] ?? log.start;
    t.deepEqual((await from(middle))[0], { type: 'gap', from: middle, to: positions[3] });
    t.deepEqual(gapsOf(await from(positions[3] ?? log.start)), [], 'behind it nothing is missing');
  });
}

test('a watch that nothing was removed of is told of no gap: of another key, of a topic of the same name, of one that is caught up', async (t) => {
  const { log, hub } = await openWorld(t);
  await set(log, 'a', 'ab', 'ab', 'b');
  await log.append(asStreamId('topic-ab'), [stateSet(1)], 'any');
  const live = hub
    .watch({ filter: { keyPrefix: 'ab' }, after: await log.position(), signal: forever() })
    [Symbol.asyncIterator]();
  t.is((await live.next()).value?.type, 'caughtUp');
  const next = live.next();
  await trim(log, 'ab', 1);
  for (const filter of [
    { stream: asStreamId('state-a') },
    { stream: asStreamId('state-abc') },
    { keyPrefix: 'abc' },
    { keyPrefix: 'b' },
    { topic: 'ab' },
    { topic: '>' },
    { category: 'service' },
  ] as const) {
    const { parts } = await watchUntil(hub.watch({ filter, after: log.start, signal: forever() }));
    t.deepEqual(gapsOf(parts), [], JSON.stringify(filter));
  }
  await set(log, 'ab');
  t.is((await next).value?.type, 'items');
  await live.return?.();
});

for (const filter of [{ stream: asStreamId('state-slow') }, { keyPrefix: 's' }] as const) {
  test(`a watch of ${JSON.stringify(filter)} that is behind › is told of what is removed in front of it, and then goes on`, async (t) => {
    const { log, hub } = await openWorld(t);
    const positions = await set(log, ...Array.from({ length: 60 }, () => 'slow'));
    const watch = hub.watch({ filter, after: log.start, signal: forever(), maxBatchEvents: 10 });
    const iterator = watch[Symbol.asyncIterator]();
    const first = await iterator.next();
    const read = first.value?.type === 'items' ? first.value.items.length : 0;
    t.true(read > 0);
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

test('a key is trimmed once and apart from a topic of its name, and the newest record is the furthest', async (t) => {
  const { log } = await openWorld(t);
  const positions = await set(log, 'a', 'a', 'a', 'a', 'a');
  t.true(await trim(log, 'a', 3));
  t.false(await trim(log, 'a', 2));
  const both = await Promise.all([trim(log, 'a', 4), trim(log, 'a', 4)]);
  t.deepEqual(both.toSorted(), [false, true]);
  const records = await log.readStream(asStreamId('trim-state/a'), { from: asRevision(0), limit: 10 });
  t.deepEqual(
    records.map(({ data }) => data),
    [{ key: 'a', before: 4, position: positions[3] }],
  );
  t.deepEqual(await log.readStream(asStreamId('trim-a'), { limit: 1 }), []);
  t.is((await log.head(asStreamId('state-a')))?.truncatedBefore, asRevision(4));
});

test('what the read models know of keys is not read from the log again', async (t) => {
  const { log } = await openWorld(t);
  const trims = createTrims(log);
  trims.seed([['state/a/b', positionAt(5)]], positionAt(9));
  const behind = (filter: WatchFilter) => trims.newestBehind(log.start, selectionOf(filter));
  t.is(behind({ keyPrefix: 'a/' }), positionAt(5));
  t.is(behind({ stream: asStreamId('state-a/b') }), positionAt(5));
  t.is(behind({ all: true }), positionAt(5));
  t.is(behind({ keyPrefix: 'b' }), undefined);
  t.is(behind({ topic: '>' }), undefined);
});
