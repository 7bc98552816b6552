import { getEventListeners } from 'node:events';
import test from 'ava';
import { asStreamId, type Position } from '../../domain/event.ts';
import { type EventLog, LogError } from '../../src/log/event-log.ts';
import type { WatchFilter } from '../../src/watch/filter.ts';
import { eventFor, openWorld, positionsOf, readLog, watchUntil } from './world.ts';

const filters: readonly WatchFilter[] = [
  { all: true },
  { stream: asStreamId('state-a') },
  { category: 'state' },
  { topic: 'a.*' },
  { topic: 'a.b' },
  { keyPrefix: 'a' },
];

test('an aborted signal ends waiting, catching-up and unread watches, and leaves nothing behind', async (t) => {
  const held = Promise.withResolvers<void>();
  let holding = false;
  const { log, hub, append } = await openWorld(t, { maxReads: 2 }, (inner) => ({
    ...inner,
    position: () => inner.position(),
    readAll: async (options) => {
      if (holding) await held.promise;
      return inner.readAll(options);
    },
  }));
  await append('state-a', 'topic-a.b');
  const controller = new AbortController();
  const { signal } = controller;
  const begin = (after: Position) =>
    filters.map((filter) => hub.watch({ filter, after, signal })[Symbol.asyncIterator]());

  // Synced and waiting.
  const waiting = begin(await log.position());
  for (const iterator of waiting) t.is((await iterator.next()).value?.type, 'caughtUp');
  const pending = waiting.map((iterator) => iterator.next());
  await append('service-none');
  t.is(hub.stats().synced, filters.length);
  t.is(hub.stats().indexed, filters.length);
  // Catching up, most of them waiting for a turn to read.
  holding = true;
  const late = begin(log.start).map((iterator) => iterator.next());
  await new Promise(setImmediate);
  t.true(hub.stats().waitingReads > 0);
  t.is(hub.stats().watchers, filters.length * 2);

  controller.abort();
  for (const { done } of await Promise.all([...pending.slice(1), ...late.slice(2)])) t.true(done);
  t.is(hub.stats().watchers, 0);
  t.is(hub.stats().indexed, 0);
  t.is(hub.stats().waitingReads, 0);
  t.is(hub.stats().queuedEvents, 0);
  held.resolve();
  await Promise.all(late);
  await new Promise(setImmediate);
  t.is(hub.stats().activeReads, 0);
  t.is(getEventListeners(signal, 'abort').length, 0);
  for (const iterator of waiting) t.true((await iterator.next()).done);
});

test('leaving the loop releases the watch, and a signal that is aborted already begins none', async (t) => {
  const { log, hub, append } = await openWorld(t);
  await append('state-a');
  const { signal } = new AbortController();
  await watchUntil(hub.watch({ filter: { all: true }, after: log.start, signal }));
  t.is(hub.stats().watchers, 0);
  t.is(getEventListeners(signal, 'abort').length, 0);
  const aborted = hub.watch({ filter: { all: true }, after: log.start, signal: AbortSignal.abort() });
  for await (const part of aborted) t.fail(`handed out ${part.type}`);
  t.is(hub.stats().watchers, 0);
});

test('a watch costs nothing until it is iterated', async (t) => {
  const { log, hub } = await openWorld(t);
  const { signal } = new AbortController();
  hub.watch({ filter: { all: true }, after: log.start, signal });
  t.is(hub.stats().watchers, 0);
  t.is(getEventListeners(signal, 'abort').length, 0);
});

test('closing the hub ends every watch', async (t) => {
  const { log, hub, append } = await openWorld(t);
  await append('state-a');
  const { signal } = new AbortController();
  const watches = filters.map(async (filter) => {
    for await (const part of hub.watch({ filter, after: log.start, signal })) {
      if (part.type === 'caughtUp') continue;
    }
  });
  await hub.close();
  await Promise.all(watches);
  t.is(hub.stats().watchers, 0);
});

test('a second next() while one is pending is refused', async (t) => {
  const { log, hub } = await openWorld(t);
  const iterator = hub
    .watch({ filter: { all: true }, after: log.start, signal: new AbortController().signal })
    [Symbol.asyncIterator]();
  await iterator.next();
  const pending = iterator.next();
  await t.throwsAsync(async () => iterator.next(), { instanceOf: TypeError });
  await iterator.return?.();
  t.true((await pending).done);
});

/** The log behind a line that can be cut: its calls fail, and a watch under way breaks. */
const cuttable = (inner: EventLog) => {
  let cut = false;
  let broken = new AbortController();
  const check = (): void => {
    if (cut) throw new LogError('log_unavailable', 'the line is cut');
  };
  const log: EventLog = {
    ...inner,
    position: async () => {
      check();
      return inner.position();
    },
    readAll: async (options) => {
      check();
      return inner.readAll(options);
    },
    readStream: async (stream, options) => {
      check();
      return inner.readStream(stream, options);
    },
    async *watch({ after, signal }) {
      check();
      yield* inner.watch({ after, signal: AbortSignal.any([signal, broken.signal]) });
      if (!signal.aborted) throw new LogError('log_unavailable', 'the line was cut');
    },
  };
  return {
    log,
    cut(): void {
      cut = true;
      broken.abort();
    },
    mend(): void {
      broken = new AbortController();
      cut = false;
    },
  };
};

test('while the log cannot be reached watchers wait, and then go on without loss or repetition', async (t) => {
  let line: ReturnType<typeof cuttable> | undefined;
  const { log, hub, append } = await openWorld(t, { ringEvents: 4 }, (inner) => {
    line = cuttable(inner);
    return line.log;
  });
  const { signal } = new AbortController();
  await append('state-a', 'topic-a.b');
  const collect = filters.map(async (filter) => {
    const positions: Position[] = [];
    for await (const part of hub.watch({ filter, after: log.start, signal })) {
      if (part.type !== 'items') continue;
      positions.push(...positionsOf(part.items));
      if (part.items.some(({ data }) => JSON.stringify(data).includes('last'))) break;
    }
    return positions;
  });
  line?.cut();
  await append('state-a', 'topic-a.b', 'state-a', 'topic-a.b', 'state-a', 'topic-a.b');
  t.false(hub.following);
  line?.mend();
  for (const stream of ['state-a', 'topic-a.b']) {
    await log.append(asStreamId(stream), [eventFor(stream, 'last')], 'any');
  }
  const got = await Promise.all(collect);
  const events = await readLog(log);
  for (const positions of got) {
    t.true(positions.length >= 5);
    t.deepEqual(positions, [...new Set(positions)].sort());
  }
  // With the first event that was the last of its stream, or with both.
  t.true((got[0]?.length ?? 0) >= 9);
  t.deepEqual(got[0], positionsOf(events.slice(0, got[0]?.length)));
  t.deepEqual(got[2], positionsOf(events.filter(({ stream }) => stream === 'state-a')));
  t.deepEqual(got[3], positionsOf(events.filter(({ stream }) => stream === 'topic-a.b')));
});

test('a hub whose log cannot be reached at the start is started, and follows once it can be', async (t) => {
  let line: ReturnType<typeof cuttable> | undefined;
  const { log, hub, append } = await openWorld(t, {}, (inner) => {
    line = cuttable(inner);
    line.cut();
    return line.log;
  });
  t.false(hub.following);
  await append('state-a');
  const { signal } = new AbortController();
  const watch = watchUntil(hub.watch({ filter: { all: true }, after: log.start, signal }));
  line?.mend();
  t.is((await watch).events.length, 1);
  t.true(hub.following);
});

test('a damaged log is told to the watcher that meets it, and no other', async (t) => {
  const { log, hub, append } = await openWorld(t, {}, (inner) => ({
    ...inner,
    position: () => inner.position(),
    readStream: () => Promise.reject(new LogError('log_corrupt', 'block 7 of records')),
  }));
  await append('state-a');
  const { signal } = new AbortController();
  const broken = hub.watch({ filter: { stream: asStreamId('state-a') }, after: log.start, signal });
  await t.throwsAsync(watchUntil(broken), { instanceOf: LogError, message: /block 7/ });
  t.is((await watchUntil(hub.watch({ filter: { all: true }, after: log.start, signal }))).events.length, 1);
  t.is(hub.stats().watchers, 0);
});
