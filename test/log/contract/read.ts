import { asRevision, type LogEvent } from '../../../domain/event.ts';
import type { EventLog } from '../../../src/log/event-log.ts';
import {
  accepted,
  assertOrdered,
  type Capabilities,
  type Case,
  freshCategory,
  freshStream,
  ids,
  newEvent,
  newEvents,
  numbers,
  readPages,
} from './fixture.ts';

/** Appends events one by one to several streams of one category, with two types; returns them as read. */
const mixed = async (log: EventLog, category: string, count: number): Promise<void> => {
  const streams = Array.from({ length: 5 }, () => freshStream(category));
  for (let n = 0; n < count; n++) {
    const stream = streams[n % streams.length] ?? freshStream(category);
    accepted(await log.append(stream, [newEvent({ n }, n % 3 === 0 ? 'Third' : 'Other')], 'any'));
  }
};

export const readCases = (register: Case, capabilities: Capabilities): void => {
  if (capabilities.fresh) {
    register('read › of a new log finds nothing at its start', async (t, log) => {
      t.regex(log.start, /^(0{16}|0{32})$/);
      t.is(await log.position(), log.start);
      const empty = { events: [], position: log.start, more: false };
      t.deepEqual(await log.readAll({ limit: 10 }), empty);
      t.deepEqual(await log.readAll({ limit: 10, after: log.start }), empty);
      t.deepEqual(await log.readAll({ limit: 10, category: 'nothing' }), empty);
      t.deepEqual((await log.readAll({ limit: 10, direction: 'backwards' })).events, []);
    });
  }

  register('readStream › goes both ways from a revision, at most limit events', async (t, log) => {
    const stream = freshStream();
    await log.append(stream, newEvents(10), 'none');
    const read = async (from: number | undefined, direction: 'forwards' | 'backwards', limit: number) =>
      numbers(
        await log.readStream(stream, {
          direction,
          limit,
          ...(from === undefined ? {} : { from: asRevision(from) }),
        }),
      );
    t.deepEqual(await read(undefined, 'forwards', 3), [0, 1, 2]);
    t.deepEqual(await read(4, 'forwards', 3), [4, 5, 6]);
    t.deepEqual(await read(8, 'forwards', 10), [8, 9]);
    t.deepEqual(await read(10, 'forwards', 10), []);
    t.deepEqual(await read(undefined, 'backwards', 3), [9, 8, 7]);
    t.deepEqual(await read(4, 'backwards', 3), [4, 3, 2]);
    t.deepEqual(await read(1, 'backwards', 10), [1, 0]);
    t.deepEqual(await read(99, 'backwards', 2), [9, 8]);
  });

  register('readStream › in pages of few bytes leaves out and repeats nothing', async (t, log) => {
    const stream = freshStream();
    const text = 'x'.repeat(20_000);
    for (let n = 0; n < 12; n++) await log.append(stream, [newEvent({ n, text })], 'any');
    for (const direction of ['forwards', 'backwards'] as const) {
      const step = direction === 'forwards' ? 1 : -1;
      const found: unknown[] = [];
      for (let from = direction === 'forwards' ? 0 : 11; from >= 0; ) {
        const options = { direction, limit: 5, maxBytes: 30_000, from: asRevision(from) };
        const page = await log.readStream(stream, options);
        if (page.length === 0) break;
        t.true(page.length <= 5);
        found.push(...numbers(page));
        from += step * page.length;
      }
      const all = Array.from({ length: 12 }, (_, n) => n);
      t.deepEqual(found, direction === 'forwards' ? all : all.toReversed());
    }
  });

  register('readStream › of a stream that has no event is empty', async (t, log) => {
    t.deepEqual(await log.readStream(freshStream(), { limit: 10 }), []);
    t.deepEqual(await log.readStream(freshStream(), { limit: 10, direction: 'backwards' }), []);
  });

  register('readAll › goes through the log in one order, both ways, page by page', async (t, log) => {
    const category = freshCategory();
    const before = await log.position();
    await mixed(log, category, 25);
    const own = (events: readonly LogEvent[]) =>
      events.filter((event) => event.stream.startsWith(`${category}-`));
    const forwards = await readPages(t, log, { after: before, limit: 7 });
    assertOrdered(t, forwards);
    t.deepEqual(numbers(own(forwards)), [...Array(25).keys()]);

    const last = own(forwards).at(-1);
    const first = own(forwards).at(0);
    const back: LogEvent[] = [];
    let after = last?.position;
    while (first !== undefined && (after ?? log.start) > first.position) {
      const page = await log.readAll({
        direction: 'backwards',
        limit: 7,
        ...(after === undefined ? {} : { after }),
      });
      back.push(...page.events);
      after = page.position;
    }
    assertOrdered(t, back.toReversed());
    t.deepEqual(numbers(own(back)), [...Array(24).keys()].reverse());
  });

  register('readAll › backwards from the end meets the newest event first', async (t, log) => {
    const category = freshCategory();
    await mixed(log, category, 5);
    const page = await log.readAll({ direction: 'backwards', category, limit: 2 });
    t.deepEqual(numbers(page.events), [4, 3]);
    t.true(page.more);
  });

  register('readAll › after is exclusive, and its position goes on where it stopped', async (t, log) => {
    const category = freshCategory();
    await mixed(log, category, 3);
    const all = await readPages(t, log, { category, limit: 10 });
    const [first, second] = all;
    const page = await log.readAll({ category, limit: 1, after: first?.position ?? log.start });
    t.deepEqual(ids(page.events), [second?.id ?? '']);
    t.true(page.position >= (second?.position ?? ''));
    const end = await log.readAll({ category, limit: 10, after: all.at(-1)?.position ?? log.start });
    t.deepEqual(end.events, []);
    t.false(end.more);
    t.true(end.position >= (all.at(-1)?.position ?? ''));
  });

  register('readAll › finds a category and types in both directions', async (t, log) => {
    const [category, other] = [freshCategory(), freshCategory()];
    const before = await log.position();
    await mixed(log, category, 10);
    await mixed(log, other, 10);
    await mixed(log, category, 10);
    const select = async (direction: 'forwards' | 'backwards', types?: string[]) =>
      numbers(
        await readPages(t, log, {
          category,
          direction,
          limit: 3,
          ...(types === undefined ? {} : { types }),
          ...(direction === 'forwards' ? { after: before } : {}),
        }),
      );
    const twice = [...Array(10).keys(), ...Array(10).keys()];
    const thirds = twice.filter((n) => n % 3 === 0);
    t.deepEqual(await select('forwards'), twice);
    t.deepEqual(await select('backwards'), twice.toReversed());
    t.deepEqual(await select('forwards', ['Third']), thirds);
    t.deepEqual(await select('backwards', ['Third']), thirds.toReversed());
    t.deepEqual(await select('forwards', ['Other', 'Third']), twice);
    t.deepEqual(await select('forwards', ['Neither']), []);
  });

  register('readAll › finds types over all categories', async (t, log) => {
    const type = `Type${freshCategory()}`;
    const before = await log.position();
    const streams = [freshStream(), freshStream()];
    for (let n = 0; n < 6; n++) {
      const stream = streams[n % 2] ?? freshStream();
      await log.append(stream, [newEvent({ n }, type), newEvent({ n: 'noise' }, 'Noise')], 'any');
    }
    t.deepEqual(
      numbers(await readPages(t, log, { after: before, types: [type], limit: 2 })),
      [0, 1, 2, 3, 4, 5],
    );
    t.deepEqual(
      numbers((await log.readAll({ types: [type], direction: 'backwards', limit: 4 })).events),
      [5, 4, 3, 2],
    );
  });

  register('readAll › never passes a hole while 16 writers append', async (t, log) => {
    const category = freshCategory();
    const before = await log.position();
    const total = 16 * 15;
    let writing = true;
    const writers = Promise.all(
      Array.from({ length: 16 }, async () => {
        const stream = freshStream(category);
        for (let n = 0; n < 15; n++) await log.append(stream, [newEvent({ n })], 'any');
      }),
    ).finally(() => {
      writing = false;
    });
    const seen: LogEvent[] = [];
    let after = before;
    while (writing || seen.length < total) {
      const last = !writing;
      const page = await log.readAll({ after, limit: 10, category });
      seen.push(...page.events);
      after = page.position;
      if (last && !page.more) break;
    }
    await writers;
    t.deepEqual(ids(seen), ids(await readPages(t, log, { after: before, category, limit: 100 })));
    t.is(seen.length, total);
  });

  register('position › is that of the newest event, and head that of the stream', async (t, log) => {
    const stream = freshStream();
    t.is(await log.head(stream), undefined);
    const { events } = accepted(await log.append(stream, newEvents(2), 'none'));
    t.true((await log.position()) >= (events.at(-1)?.position ?? ''));
    t.deepEqual(await log.head(stream), { revision: asRevision(1), truncatedBefore: asRevision(0) });
  });
};
