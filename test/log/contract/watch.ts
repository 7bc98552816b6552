import type { LogEvent } from '../../../domain/event.ts';
import {
  accepted,
  assertOrdered,
  type Case,
  freshCategory,
  freshStream,
  ids,
  newEvent,
  newEvents,
  numbers,
  watchEvents,
} from './fixture.ts';

export const watchCases = (register: Case): void => {
  register(
    'watch › hands out what stands in the log, then what comes, in order, each once',
    async (t, log) => {
      const category = freshCategory();
      const stream = freshStream(category);
      const after = await log.position();
      await log.append(stream, newEvents(50), 'none');
      const watching = watchEvents(t, log, { after, category, count: 150 });
      for (let n = 50; n < 150; n++) await log.append(stream, [newEvent({ n })], 'any');
      const seen = await watching;
      assertOrdered(t, seen);
      t.deepEqual(numbers(seen), [...Array(150).keys()]);
    },
  );

  register('watch › from a position in the middle repeats nothing and misses nothing', async (t, log) => {
    const category = freshCategory();
    const { events } = accepted(await log.append(freshStream(category), newEvents(20), 'none'));
    const seen = await watchEvents(t, log, { after: events[9]?.position ?? log.start, category, count: 10 });
    t.deepEqual(numbers(seen), [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  register('watch › gives the same events as readStream', async (t, log) => {
    const category = freshCategory();
    const stream = freshStream(category);
    const after = await log.position();
    const watching = watchEvents(t, log, { after, category, count: 30 });
    for (let n = 0; n < 10; n++) await log.append(stream, newEvents(3, n * 3), 'any');
    const live = await watching;
    const stored = await log.readStream(stream, { limit: 100 });
    t.deepEqual(live, stored);
    t.deepEqual(await watchEvents(t, log, { after, category, count: 30 }), stored);
  });

  register('watch › three at once with 16 writers each see one order', async (t, log) => {
    const category = freshCategory();
    const after = await log.position();
    const watchers = [1, 2, 3].map(() => watchEvents(t, log, { after, category, count: 160 }));
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        const stream = freshStream(category);
        for (let n = 0; n < 10; n++) await log.append(stream, [newEvent({ n })], 'any');
      }),
    );
    const [one, two, three] = await Promise.all(watchers);
    assertOrdered(t, one ?? []);
    t.is(one?.length, 160);
    t.deepEqual(ids(two ?? []), ids(one ?? []));
    t.deepEqual(ids(three ?? []), ids(one ?? []));
  });

  register('watch › whose consumer pauses goes on where it was', async (t, log) => {
    const category = freshCategory();
    const stream = freshStream(category);
    const after = await log.position();
    const stop = new AbortController();
    const seen: LogEvent[] = [];
    await log.append(stream, newEvents(5), 'none');
    for await (const batch of log.watch({ after, signal: stop.signal })) {
      const own = batch.filter((event) => event.stream === stream);
      if (seen.length === 0 && own.length > 0) {
        for (let round = 0; round < 20; round++)
          await log.append(stream, newEvents(100, 5 + round * 100), 'any');
      }
      seen.push(...own);
      if (seen.length >= 2_005) stop.abort();
    }
    t.deepEqual(numbers(seen), [...Array(2_005).keys()]);
  });

  register('watch › ends without an error when its signal aborts, waiting or not', async (t, log) => {
    const aborted = AbortSignal.abort();
    for await (const _ of log.watch({ after: log.start, signal: aborted }))
      t.fail('nothing comes after an abort');
    const stop = new AbortController();
    const watcher = log.watch({ after: await log.position(), signal: stop.signal })[Symbol.asyncIterator]();
    const waiting = (async () => {
      for (;;) if ((await watcher.next()).done) return true;
    })();
    stop.abort();
    t.true(await waiting);
  });

  register('watch › is released by return, and leaves the log usable', async (t, log) => {
    const category = freshCategory();
    const stream = freshStream(category);
    const after = await log.position();
    await log.append(stream, newEvents(3), 'none');
    for await (const batch of log.watch({ after, signal: new AbortController().signal })) {
      if (batch.some((event) => event.stream === stream)) break;
    }
    accepted(await log.append(stream, newEvents(1, 3), 'any'));
    t.deepEqual(numbers(await watchEvents(t, log, { after, category, count: 4 })), [0, 1, 2, 3]);
  });

  register('watch › ends without an error when the log closes', async (t, log) => {
    const watcher = log.watch({ after: await log.position(), signal: new AbortController().signal });
    const ended = (async () => {
      for await (const _ of watcher);
      return true;
    })();
    await log.close();
    t.true(await ended);
  });
};
