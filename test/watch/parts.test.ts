import test from 'ava';
import fc from 'fast-check';
import { asStreamId, type LogEvent } from '../../domain/event.ts';
import { type Selection, selects } from '../../src/watch/filter.ts';
import { createWatcherIndex } from '../../src/watch/index-of-watchers.ts';
import { createRing } from '../../src/watch/ring.ts';
import { createTurns } from '../../src/watch/turns.ts';
import { positionAt, record } from '../support/recorded.ts';

const eventAt = (place: number, stream = 'state-a'): LogEvent => {
  const [event] = record(stream, [{ actor: 'a', event: { type: 'Happened', data: {} } }]);
  if (event === undefined) throw new Error('no event');
  return { ...event, position: positionAt(place) };
};

test('ring › holds the newest events within both bounds, and knows from where on it holds all', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 120 }),
      fc.nat({ max: 45 }),
      (sizes, maxEvents, maxBytes, asked) => {
        const ring = createRing({ maxEvents, maxBytes }, positionAt(0));
        for (const [index, bytes] of sizes.entries()) ring.push(eventAt(index + 1), bytes);
        const held = sizes.length - ring.events;
        t.is(ring.floor, positionAt(held));
        t.true(ring.events <= maxEvents);
        t.is(
          ring.bytes,
          sizes.slice(held).reduce((sum, bytes) => sum + bytes, 0),
        );
        t.true(ring.bytes <= maxBytes);
        // Not fewer than fit.
        const oneMore = sizes[held - 1];
        t.true(oneMore === undefined || ring.events === maxEvents || ring.bytes + oneMore > maxBytes);
        const seen: LogEvent[] = [];
        ring.after(positionAt(asked), (event) => seen.push(event) > 0);
        const places = sizes.map((_, index) => index + 1).filter((place) => place > asked && place > held);
        t.deepEqual(
          seen.map(({ position }) => position),
          places.map(positionAt),
        );
        t.is(ring.countAfter(positionAt(asked)), places.length);
      },
    ),
    { seed: 3, numRuns: 300 },
  );
});

const anySelection: fc.Arbitrary<Selection> = fc.oneof(
  fc.constant<Selection>({ type: 'all' }),
  fc
    .constantFrom('state-a', 'state-ab', 'topic-x.y')
    .map((stream): Selection => ({ type: 'stream', stream: asStreamId(stream) })),
  fc.constantFrom('state', 'topic', 'service').map((category): Selection => ({ type: 'category', category })),
  fc.constantFrom('x.*', '>', 'x.>', '*').map((pattern): Selection => ({ type: 'topics', pattern })),
  fc.constantFrom('a', 'ab', 'é', 'abc').map((prefix): Selection => ({ type: 'keys', prefix })),
);

test('index › finds exactly the watchers whose selection holds the event, also after some have left', (t) => {
  const events = ['state-a', 'state-ab', 'state-é', 'topic-x.y', 'topic-x', 'service-1', 'nexus-log'].map(
    (stream) => eventAt(1, stream),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(anySelection, fc.boolean()), { maxLength: 30 }), (list) => {
      const watchers = list.map(([selection, leaves]) => ({ selection, leaves }));
      const index = createWatcherIndex<(typeof watchers)[number]>();
      for (const watcher of watchers) index.add(watcher.selection, watcher);
      for (const watcher of watchers) if (watcher.leaves) index.delete(watcher.selection, watcher);
      for (const event of events) {
        const found: (typeof watchers)[number][] = [];
        index.match(event, (watcher) => found.push(watcher));
        const wanted = watchers.filter(({ selection, leaves }) => !leaves && selects(selection, event));
        t.is(found.length, wanted.length);
        t.true(wanted.every((watcher) => found.includes(watcher)));
      }
    }),
    { seed: 5, numRuns: 200 },
  );
});

test('turns › at most so many run at a time, in the order of asking, and who gives up is skipped', async (t) => {
  const turns = createTurns(2);
  const { signal } = new AbortController();
  const impatient = new AbortController();
  const order: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  let most = 0;
  const runs = gates.map((gate, n) =>
    turns.run(
      async () => {
        order.push(n);
        most = Math.max(most, turns.active);
        await gate.promise;
        return n;
      },
      n === 3 ? impatient.signal : signal,
    ),
  );
  await new Promise(setImmediate);
  t.deepEqual(order, [0, 1]);
  t.is(turns.waiting, 3);
  impatient.abort();
  t.is(await runs[3], undefined);
  t.is(turns.waiting, 2);
  for (const gate of gates) gate.resolve();
  t.deepEqual(await Promise.all(runs), [0, 1, 2, undefined, 4]);
  t.deepEqual(order, [0, 1, 2, 4]);
  t.is(most, 2);
  t.is(turns.active, 0);
});

test('turns › a task that fails gives its turn back', async (t) => {
  const turns = createTurns(1);
  const { signal } = new AbortController();
  await t.throwsAsync(
    turns.run(() => Promise.reject(new Error('failed')), signal),
    { message: 'failed' },
  );
  t.is(await turns.run(() => Promise.resolve('next'), signal), 'next');
  t.is(await turns.run(() => Promise.resolve('never'), AbortSignal.abort()), undefined);
});
