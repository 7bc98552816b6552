import test from 'ava';
import fc from 'fast-check';
import { asRevision, asStreamId, type LogEvent, type Position } from '../../domain/event.ts';
import { selectionOf, selects, type WatchFilter } from '../../src/watch/filter.ts';
import { eventFor, openWorld, positionsOf, readLog, watchUntil } from './world.ts';

const all = { all: true } as const;
const forever = () => new AbortController().signal;

test('a watch hands out what stands in the log, says that it has caught up, then hands out what comes', async (t) => {
  const { log, hub, append } = await openWorld(t);
  await append('state-a', 'topic-b', 'state-c');
  const watch = hub.watch({ filter: all, after: log.start, signal: forever() })[Symbol.asyncIterator]();
  const past = await watch.next();
  t.is(past.value?.type, 'items');
  const caughtUp = await watch.next();
  const [first, second, third] = await readLog(log);
  t.deepEqual(past.value, { type: 'items', items: [first, second, third], position: third?.position });
  t.deepEqual(caughtUp.value, { type: 'caughtUp', position: third?.position });
  const coming = watch.next();
  await append('state-d');
  const [fourth] = (await readLog(log)).slice(3);
  t.deepEqual((await coming).value, { type: 'items', items: [fourth], position: fourth?.position });
});

test('after is exclusive, and a watch from the head has only what is new', async (t) => {
  const { log, hub, append } = await openWorld(t);
  await append('state-a', 'state-b');
  const [first] = await readLog(log);
  const fromFirst = await watchUntil(
    hub.watch({ filter: all, after: first?.position ?? log.start, signal: forever() }),
  );
  t.deepEqual(
    fromFirst.events.map(({ stream }) => String(stream)),
    ['state-b'],
  );
  const fromHead = hub.watch({ filter: all, after: await log.position(), signal: forever() });
  const iterator = fromHead[Symbol.asyncIterator]();
  t.is((await iterator.next()).value?.type, 'caughtUp');
  const next = iterator.next();
  await append('state-c');
  const { value } = await next;
  t.deepEqual(value?.type === 'items' && value.items.map(({ stream }) => String(stream)), ['state-c']);
});

const streams = [
  'state-a',
  'state-a/b',
  'state-ab',
  'topic-user.created',
  'topic-user.created.eu',
  'topic-user.deleted',
  'service-1',
  'nexus-log',
];
const anyFilter: fc.Arbitrary<WatchFilter> = fc.oneof(
  fc.constant(all),
  fc.constantFrom(...streams, 'state-none').map((stream) => ({ stream: asStreamId(stream) })),
  fc.constantFrom('state', 'topic', 'plugin', 'nexus').map((category) => ({ category })),
  fc.constantFrom('user.created', 'user.*', 'user.>', '*.created', '>', '*').map((topic) => ({ topic })),
  fc.constantFrom('', 'a', 'a/', 'ab', 'zz').map((keyPrefix) => ({ keyPrefix })),
);

test('whatever the filter, the place, the sizes and the cuts, a watcher that reconnects misses nothing and gets nothing twice', async (t) => {
  const { log, hub, append } = await openWorld(t, { ringEvents: 16 });
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      anyFilter,
      fc.array(fc.constantFrom(...streams), { maxLength: 40 }),
      fc.array(fc.constantFrom(...streams), { maxLength: 40 }),
      fc.nat(),
      fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 6 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      async (filter, before, during, place, cuts, maxBufferedEvents, maxBatchEvents) => {
        runs++;
        await append(...before);
        const past = await readLog(log);
        // Not from the very start in every run: the log grows from run to run.
        const start = Math.max(0, past.length - 60) + (place % 61);
        let after: Position = past[Math.min(start, past.length) - 1]?.position ?? log.start;
        const begun = after;
        const appending = append(...during, ...streams);
        // Each of the last ones matches something; the watch is over when all that match were seen.
        const got: LogEvent[] = [];
        const options = { filter, maxBufferedEvents, maxBatchEvents, signal: forever() };
        for (const cut of cuts) {
          for await (const part of hub.watch({ ...options, after })) {
            if (part.type === 'caughtUp') break;
            if (part.type !== 'items') continue;
            // The client has seen only some of the batch when its connection is lost.
            const seen = part.items.slice(0, cut);
            got.push(...seen);
            after = seen.at(-1)?.position ?? after;
            break;
          }
        }
        await appending;
        const selection = selectionOf(filter);
        const wanted = (await readLog(log)).filter(
          (event) => event.position > begun && selects(selection, event),
        );
        const last = wanted.at(-1)?.position;
        if (last !== undefined && got.at(-1)?.position !== last) {
          got.push(...(await watchUntil(hub.watch({ ...options, after }), last)).events);
        }
        t.deepEqual(positionsOf(got), positionsOf(wanted));
      },
    ),
    { seed: 11, numRuns: 120 },
  );
  t.is(runs, 120);
  t.is(hub.stats().watchers, 0);
  t.is(hub.stats().indexed, 0);
});

test('a watcher that takes one event at a time gets 20,000 in order, and never more than its bound waits for it', async (t) => {
  const { log, hub } = await openWorld(t, { ringEvents: 2_000 });
  const total = 20_000;
  const watch = hub.watch({ filter: { category: 'topic' }, after: log.start, signal: forever() });
  const iterator = watch[Symbol.asyncIterator]();
  t.is((await iterator.next()).value?.type, 'caughtUp');
  const first = iterator.next();
  let appended = 0;
  const writer = (async () => {
    for (let round = 0; round < total / 500; round++) {
      await Promise.all(
        Array.from({ length: 5 }, () =>
          log.append(
            asStreamId('topic-fast'),
            Array.from({ length: 100 }, () => eventFor('topic-fast', { n: appended++ })),
            'any',
          ),
        ),
      );
    }
  })();
  const positions: Position[] = [];
  let peak = 0;
  for (let pull: typeof first | undefined = first; positions.length < total; pull = undefined) {
    const { value } = await (pull ?? iterator.next());
    // More than its queue holds, and than the ring, has come before it asks again.
    while (hub.stats().dispatchedEvents < 5_000) await new Promise(setImmediate);
    if (value?.type !== 'items') continue;
    for (const event of value.items) {
      positions.push(event.position);
      // One event per turn of the loop: the writer is far ahead all the time.
      await new Promise(setImmediate);
      peak = Math.max(peak, hub.stats().queuedEvents);
    }
  }
  await writer;
  t.deepEqual(positions, positionsOf(await readLog(log)));
  const stats = hub.stats();
  t.true(peak <= 1_024);
  t.true(stats.peakQueuedEvents <= 1_024);
  t.true(stats.lagged > 0);
  t.true(stats.ringEvents <= 2_000);
});

test('caughtUp is said once, also to a watcher that falls behind later', async (t) => {
  const { log, hub, append } = await openWorld(t, { ringEvents: 4 });
  const watch = hub.watch({ filter: all, after: log.start, signal: forever(), maxBufferedEvents: 2 });
  const iterator = watch[Symbol.asyncIterator]();
  t.is((await iterator.next()).value?.type, 'caughtUp');
  await append('state-a');
  await iterator.next();
  await append(...Array.from({ length: 30 }, () => 'state-b'));
  await append(...Array.from({ length: 30 }, () => 'state-c'));
  const last = await log.position();
  const { parts } = await watchUntil({ [Symbol.asyncIterator]: () => iterator }, last);
  t.true(hub.stats().lagged > 0);
  t.false(parts.some(({ type }) => type === 'caughtUp'));
});

test('bytes count against the queue as events do, and one event that is larger than it gets through', async (t) => {
  const { log, hub, append } = await openWorld(t, { maxBufferedBytes: 20_000, ringBytes: 20_000 });
  const iterator = hub.watch({ filter: all, after: log.start, signal: forever() })[Symbol.asyncIterator]();
  await iterator.next();
  const first = iterator.next();
  await append('state-a');
  await first;
  const large = () => eventFor('state-a', { text: 'x'.repeat(8_000) });
  for (const event of [large(), large(), large(), eventFor('state-a', { text: 'y'.repeat(90_000) })]) {
    await log.append(asStreamId('state-a'), [event], 'any');
  }
  t.true(hub.stats().lagged > 0);
  t.true(hub.stats().queuedBytes <= 20_000);
  const last = await log.position();
  const { events } = await watchUntil({ [Symbol.asyncIterator]: () => iterator }, last);
  t.is(events.length, 4);
});

test('of 1,000 watchers with filters of their own each gets its own events and no other', async (t) => {
  const { log, hub, append } = await openWorld(t);
  const end = 'state-end';
  const filters: WatchFilter[] = Array.from({ length: 1_000 }, (_, n) => {
    const kinds: WatchFilter[] = [
      { stream: asStreamId(`state-k${n}`) },
      { keyPrefix: `k${n}` },
      { topic: `t${n}.*` },
      { topic: `t${n}.a` },
    ];
    return kinds[n % kinds.length] ?? all;
  });
  const controller = new AbortController();
  const got = filters.map((filter) => {
    const events: LogEvent[] = [];
    const done = (async () => {
      for await (const part of hub.watch({ filter, after: log.start, signal: controller.signal })) {
        if (part.type === 'items') events.push(...part.items);
      }
    })();
    return { events, done };
  });
  const sent: string[] = [];
  for (let n = 0; n < 1_000; n += 7) sent.push(`state-k${n}`, `topic-t${n}.a`, `topic-t${n}.a.b`);
  await append(...sent);
  const ended = watchUntil(
    hub.watch({ filter: { stream: asStreamId(end) }, after: log.start, signal: forever() }),
  );
  await append(end);
  await ended;
  const sync = hub.watch({ filter: { stream: asStreamId(end) }, after: log.start, signal: forever() });
  await watchUntil(sync, await log.position());
  controller.abort();
  await Promise.all(got.map(({ done }) => done));
  const events = await readLog(log);
  for (const [n, filter] of filters.entries()) {
    const selection = selectionOf(filter);
    t.deepEqual(
      positionsOf(got[n]?.events ?? []),
      positionsOf(events.filter((event) => selects(selection, event))),
    );
  }
  t.is(hub.stats().watchers, 0);
});

test('events of a stream that were truncated are said to be missing, and the rest follows', async (t) => {
  const { log, hub, append } = await openWorld(t);
  const stream = asStreamId('state-a');
  await append('state-a', 'state-a', 'state-b', 'state-a', 'state-a');
  const whole = await watchUntil(hub.watch({ filter: { stream }, after: log.start, signal: forever() }));
  t.deepEqual(
    whole.parts.map(({ type }) => type),
    ['items', 'caughtUp'],
  );
  await log.truncate(stream, asRevision(2));
  const { parts, events } = await watchUntil(
    hub.watch({ filter: { stream }, after: log.start, signal: forever() }),
  );
  t.deepEqual(parts[0], { type: 'gap', from: log.start, to: events[0]?.position });
  t.deepEqual(
    events.map(({ revision }) => Number(revision)),
    [2, 3],
  );
});

test('a stream of thousands is taken up at any place by a few reads, not from its beginning', async (t) => {
  let reads = 0;
  const { log, hub } = await openWorld(t, {}, (inner) => ({
    ...inner,
    readStream: (stream, options) => {
      reads++;
      return inner.readStream(stream, options);
    },
    position: () => inner.position(),
  }));
  const stream = asStreamId('state-long');
  for (let round = 0; round < 4; round++) {
    await log.append(asStreamId('state-other'), [eventFor('state-other')], 'any');
    await log.append(
      stream,
      Array.from({ length: 1_000 }, () => eventFor('state-long')),
      'any',
    );
  }
  const events = (await readLog(log)).filter((event) => event.stream === stream);
  for (const place of [0, 1, 500, 999, 1_000, 2_345, 3_990, 3_999]) {
    reads = 0;
    const after = events[place]?.position ?? log.start;
    const iterator = hub.watch({ filter: { stream }, after, signal: forever() })[Symbol.asyncIterator]();
    const { value } = await iterator.next();
    if (place === 3_999) t.is(value?.type, 'caughtUp');
    else t.is(value?.type === 'items' ? Number(value.items[0]?.revision) : undefined, place + 1);
    t.true(reads <= 16, `${reads} reads at ${place}`);
    await iterator.return?.();
  }
});
