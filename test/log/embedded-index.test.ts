import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { asRevision, asStreamId, type NewEvent } from '../../domain/event.ts';
import { newId } from '../../src/ids.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { freshStream, newEvent, newEvents, numbers, revisions } from './contract/fixture.ts';
import { readEverything, temporaryFolder, withLog } from './embedded-fixture.ts';

const hourMs = 3_600_000;

test('an id is known for a day at least with any, and its memory does not grow for ever', async (t) => {
  const directory = temporaryFolder(t);
  let nowMs = Date.UTC(2030, 0, 1);
  const stream = asStreamId('topic-ids');
  const clock = (): number => nowMs;
  const events = [newEvent({ n: 'random' }, 'X', randomUUID()), newEvent({ n: 'timed' }, 'X', newId(nowMs))];
  const isKnown = async (log: EventLog, event: NewEvent): Promise<boolean> => {
    const result = await log.append(stream, [event], 'any');
    return result.ok && result.duplicate;
  };
  /** Each opening and closing writes the index, which is when a day may end. */
  const later = (hours: number): Promise<readonly boolean[]> => {
    nowMs += hours * hourMs;
    return withLog({ directory, clock }, async (log) => {
      const known = [];
      for (const event of events) known.push(await isKnown(log, event));
      await log.append(stream, [newEvent({ n: hours }, 'X', newId(nowMs))], 'any');
      return known;
    });
  };
  t.deepEqual(await later(0), [false, false]);
  t.deepEqual(await later(1), [true, true]);
  t.deepEqual(await later(23), [true, true]);
  t.deepEqual(await later(23), [true, true], 'the generation before is looked into too');
  t.deepEqual(await later(2), [true, true]);
  t.deepEqual(await later(25), [false, false], 'after two turns of a day they are forgotten');
});

test('ids are told apart by stream, and in whatever order their times come', async (t) => {
  const directory = temporaryFolder(t);
  const base = Date.UTC(2030, 0, 1);
  // Ids of one process ascend; these come from many, with clocks that differ.
  const ids = Array.from({ length: 400 }, (_, index) => {
    const id = newId(base);
    const shifted = (base + ((index * 7_919) % 1_000)).toString(16).padStart(12, '0');
    return `${shifted.slice(0, 8)}-${shifted.slice(8)}${id.slice(13)}`;
  });
  const [one, two] = [freshStream(), freshStream()];
  for (const flushEvents of [1_000_000, 16]) {
    await withLog({ directory, flushEvents }, async (log) => {
      for (const [index, id] of ids.entries()) {
        const first = await log.append(one, [newEvent({ n: index }, 'X', id)], 'any');
        t.is(first.ok && first.duplicate, flushEvents === 16);
        const again = await log.append(one, [newEvent({ n: index }, 'X', id)], 'any');
        t.true(again.ok && again.duplicate);
        t.is(again.ok ? again.events[0]?.revision : undefined, asRevision(index));
      }
      const elsewhere = await log.append(two, [newEvent({ n: 0 }, 'X', ids[0])], 'any');
      t.is(elsewhere.ok && elsewhere.duplicate, flushEvents === 16);
    });
  }
});

test('recordedAt never decreases, whatever the clock does, also over a restart', async (t) => {
  const directory = temporaryFolder(t);
  const times = [1_000_000, 2_000_000, 1_500_000, 500, 2_000_001];
  let at = 0;
  const clock = (): number => times[Math.min(at++, times.length - 1)] ?? 0;
  const stream = freshStream();
  await withLog({ directory, clock }, async (log) => {
    for (let n = 0; n < 6; n++) await log.append(stream, [newEvent({ n })], 'any');
  });
  await withLog({ directory, clock: () => 7 }, async (log) => {
    await log.append(stream, [newEvent({ n: 6 })], 'any');
    const recorded = (await log.readStream(stream, { limit: 10 })).map((event) => event.metadata.recordedAt);
    t.deepEqual(recorded, [...recorded].sort());
    t.is(recorded.at(-1), recorded.at(-2));
  });
});

test('scavenge › leaves a log from which the index can be made again', async (t) => {
  const directory = temporaryFolder(t);
  const streams = Array.from({ length: 4 }, (_, index) => asStreamId(`topic-s${index}`));
  const before = await withLog({ directory, flushEvents: 30 }, async (log) => {
    for (let n = 0; n < 200; n++) {
      await log.append(streams[n % 4] ?? freshStream(), newEvents(3, n * 3), 'any');
    }
    for (const stream of streams.slice(0, 3)) await log.truncate(stream, asRevision(100));
    await log.scavenge();
    return readEverything(log);
  });
  rmSync(join(directory, 'index'), { recursive: true });
  await withLog({ directory, flushEvents: 30 }, async (log) => {
    t.deepEqual(await readEverything(log), before);
    for (const [index, stream] of streams.entries()) {
      const read = await log.readStream(stream, { limit: 1_000 });
      t.deepEqual(
        read,
        before.filter((event) => event.stream === stream),
      );
      t.is(revisions(read)[0], index < 3 ? 100 : 0);
      const result = await log.append(stream, [newEvent()], asRevision(149));
      t.true(result.ok);
    }
    t.deepEqual((await log.readAll({ category: 'topic', limit: 1_000 })).events.length, before.length + 4);
  });
});

test('scavenge › is stopped by its signal between two steps, and done by the next', async (t) => {
  const directory = temporaryFolder(t);
  const stream = freshStream();
  await withLog({ directory }, async (log) => {
    for (let n = 0; n < 300; n++) await log.append(stream, [newEvent({ n, pad: 'x'.repeat(20_000) })], 'any');
    await log.truncate(stream, asRevision(290));
    const stopped = await log.scavenge({ signal: AbortSignal.abort() });
    t.true(stopped.events > 0 && stopped.events < 290);
    t.is((await log.readStream(stream, { limit: 1_000 })).length, 10);
    const rest = await log.scavenge();
    t.is(stopped.events + rest.events, 290);
    t.deepEqual(await log.scavenge(), { events: 0, bytes: 0 });
    t.deepEqual(numbers(await readEverything(log)), [290, 291, 292, 293, 294, 295, 296, 297, 298, 299]);
  });
});

test('watch › of one who is far behind gets all from the disk, then all that comes', async (t) => {
  const directory = temporaryFolder(t);
  const stream = freshStream();
  await withLog({ directory }, async (log) => {
    const total = 24_000;
    for (let n = 0; n < 20_000; n += 1_000) await log.append(stream, newEvents(1_000, n), 'any');
    const stop = new AbortController();
    let next = 0;
    let live = Promise.resolve();
    for await (const batch of log.watch({ after: log.start, signal: stop.signal })) {
      if (next === 0) {
        live = (async () => {
          for (let n = 20_000; n < total; n += 500) await log.append(stream, newEvents(500, n), 'any');
        })();
      }
      const expected = Array.from({ length: batch.length }, (_, index) => next + index);
      t.deepEqual(numbers(batch), expected);
      next += batch.length;
      if (next === total) stop.abort();
    }
    await live;
    t.is(next, total);
  });
});
