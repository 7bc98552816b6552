import type { ExecutionContext } from 'ava';
import { asRevision } from '../../../domain/event.ts';
import {
  type AppendAllResult,
  type AppendedAll,
  type EventLog,
  LogError,
  maxAppendBytes,
} from '../../../src/log/event-log.ts';
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
  watchEvents,
} from './fixture.ts';

type AppendAll = NonNullable<EventLog['appendAll']>;

const all = (log: EventLog): AppendAll => {
  if (log.appendAll === undefined) throw new Error(`the ${log.kind} log has no appendAll`);
  return log.appendAll.bind(log);
};

const done = (result: AppendAllResult): AppendedAll => {
  if (!result.ok) throw new Error(`the append was a conflict: ${JSON.stringify(result)}`);
  return result;
};

const allOf = async (log: EventLog, stream: Parameters<EventLog['readStream']>[0]) =>
  log.readStream(stream, { limit: 1_000 });

export const appendAllCases = (register: Case, { appendsToSeveral }: Capabilities): void => {
  if (!appendsToSeveral) {
    register('appendAll › is not there', async (t, log) => {
      t.is(log.appendAll, undefined);
    });
    return;
  }

  register(
    'appendAll › writes the events of every part, contiguous and in the order of the parts',
    async (t, log) => {
      const category = freshCategory();
      const [one, two, three] = [freshStream(category), freshStream(category), freshStream(category)];
      const before = accepted(await log.append(one, newEvents(1), 'none'));
      const parts = [
        { stream: two, events: newEvents(2, 1), expected: 'none' },
        { stream: one, events: newEvents(1, 3), expected: asRevision(0) },
        { stream: three, events: newEvents(3, 4), expected: 'none' },
      ] as const;
      const others = Array.from({ length: 5 }, () => freshStream());
      const append = () => Promise.all(others.map((stream) => log.append(stream, newEvents(2), 'any')));
      const [, answer] = await Promise.all([append(), all(log)(parts), append()]);
      const result = done(answer);
      const read = (await log.readAll({ category, limit: 100 })).events;

      t.deepEqual(numbers(read), [0, 1, 2, 3, 4, 5, 6]);
      t.deepEqual(
        [...before.events, ...result.parts.flat()],
        read.map(({ revision, position }) => ({ revision, position })),
      );
      t.is(read.at(-1)?.position, result.position);
      t.false(result.duplicate);
      assertOrdered(t, read);
      const after = before.events[0]?.position ?? log.start;
      // Nothing of others stands between them.
      const behind = (await log.readAll({ after, limit: 100 })).events;
      const from = behind.findIndex(({ id }) => id === parts[0].events[0]?.id);
      t.deepEqual(
        ids(behind.slice(from, from + 6)),
        parts.flatMap(({ events }) => ids(events)),
      );
      t.deepEqual(numbers(await watchEvents(t, log, { after, category, count: 6 })), [1, 2, 3, 4, 5, 6]);
    },
  );

  register(
    'appendAll › with one expectation that does not hold writes nothing and names it',
    async (t, log) => {
      const [one, two, three] = [freshStream(), freshStream(), freshStream()];
      await log.append(two, newEvents(2), 'none');
      const write = { stream: one, events: newEvents(2), expected: 'none' } as const;
      const end = await log.position();

      t.deepEqual(
        await all(log)([
          write,
          { stream: two, events: newEvents(1), expected: asRevision(0) },
          { stream: three, events: [], expected: asRevision(5) },
        ]),
        { ok: false, stream: two, expected: asRevision(0), actual: asRevision(1) },
      );
      t.deepEqual(await all(log)([write, { stream: three, events: [], expected: asRevision(5) }]), {
        ok: false,
        stream: three,
        expected: asRevision(5),
        actual: 'none',
      });
      t.deepEqual(await all(log)([write, { stream: two, events: [], expected: 'none' }]), {
        ok: false,
        stream: two,
        expected: 'none',
        actual: asRevision(1),
      });
      t.deepEqual(await allOf(log, one), []);
      t.is((await allOf(log, two)).length, 2);
      t.is(await log.position(), end);
    },
  );

  register('appendAll › of parts without events asserts what stands and writes nothing', async (t, log) => {
    const [one, two] = [freshStream(), freshStream()];
    await log.append(one, newEvents(3), 'none');
    const end = await log.position();
    const result = await all(log)([
      { stream: one, events: [], expected: asRevision(2) },
      { stream: two, events: [], expected: 'none' },
    ]);
    t.deepEqual(result, { ok: true, parts: [[], []], position: end, duplicate: false });
    t.is(await log.position(), end);
    t.deepEqual(done(await all(log)([{ stream: two, events: [], expected: 'none' }])).parts, [[]]);
  });

  register('appendAll › of known ids answers their first places, however old', async (t, log, opened) => {
    const [one, two, three] = [freshStream(), freshStream(), freshStream()];
    const parts = [
      { stream: one, events: newEvents(2), expected: 'none' },
      { stream: two, events: newEvents(1), expected: 'none' },
      { stream: three, events: [], expected: 'none' },
    ] as const;
    const first = done(await all(log)(parts));
    await log.append(one, newEvents(2), asRevision(1));
    await log.append(three, newEvents(1), 'none');
    t.deepEqual(await all(log)(parts), { ...first, duplicate: true });
    const again = await opened.reopen();
    t.deepEqual(await all(again)(parts), { ...first, duplicate: true });
    t.is((await allOf(again, one)).length, 4);
  });

  register('appendAll › with the ids of some parts known and of others not is invalid', async (t, log) => {
    const [one, two] = [freshStream(), freshStream()];
    const known = { stream: one, events: newEvents(1), expected: 'none' } as const;
    accepted(await log.append(one, known.events, 'none'));
    const both = [known, { stream: two, events: newEvents(1), expected: 'none' } as const];
    await t.throwsAsync(all(log)(both), { instanceOf: LogError, code: 'invalid' });
    t.deepEqual(await allOf(log, two), []);
  });

  register('appendAll › 20 times at once on the same streams writes one', async (t, log) => {
    const streams = [freshStream(), freshStream(), freshStream()];
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        all(log)(streams.map((stream) => ({ stream, events: [newEvent({ n })], expected: 'none' }))),
      ),
    );
    t.is(results.filter(({ ok }) => ok).length, 1);
    const winner = results.findIndex(({ ok }) => ok);
    for (const stream of streams) t.deepEqual(numbers(await allOf(log, stream)), [winner]);
  });

  register('appendAll › among appends of other streams fails by itself', async (t, log) => {
    const streams = Array.from({ length: 20 }, () => freshStream());
    const [first = freshStream()] = streams;
    const wrong = () =>
      all(log)([
        { stream: freshStream(), events: newEvents(1), expected: 'none' },
        { stream: first, events: newEvents(1), expected: asRevision(7) },
      ]);
    const results = await Promise.all(
      streams.flatMap((stream) => [log.append(stream, newEvents(2), 'none'), wrong()]),
    );
    for (const [index, { ok }] of results.entries()) t.is(ok, index % 2 === 0);
    for (const stream of streams) t.is((await allOf(log, stream)).length, 2);
  });

  register('appendAll › takes 1,000 parts, and 1,000,000 bytes in all', async (t, log) => {
    const category = freshCategory();
    const part = () => ({ stream: freshStream(category), events: newEvents(1), expected: 'none' }) as const;
    const parts = Array.from({ length: 1_000 }, part);
    const { position } = done(await all(log)(parts));
    t.is((await log.readAll({ category, limit: 1_000 })).events.at(-1)?.position, position);
    const many = [...parts, part()];
    await t.throwsAsync(all(log)(many), { instanceOf: LogError, code: 'too_large' });
    const large = (bytes: number) => ({ ...part(), events: [newEvent('x'.repeat(bytes))] });
    await t.throwsAsync(all(log)([large(maxAppendBytes / 2), large(maxAppendBytes / 2)]), {
      instanceOf: LogError,
      code: 'too_large',
    });
    done(await all(log)([large(maxAppendBytes / 2), large(maxAppendBytes / 2 - 1_000)]));
  });

  register('appendAll › of nothing, or twice of one stream, is invalid', async (t: ExecutionContext, log) => {
    const part = { stream: freshStream(), events: [newEvent()], expected: 'none' } as const;
    for (const parts of [[], [part, { ...part, events: [newEvent()] }]]) {
      await t.throwsAsync(all(log)(parts), { instanceOf: LogError, code: 'invalid' });
    }
    t.deepEqual(await allOf(log, part.stream), []);
  });
};
