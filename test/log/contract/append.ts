import { asRevision, asStreamId } from '../../../domain/event.ts';
import { LogError, maxAppendBytes } from '../../../src/log/event-log.ts';
import { accepted, type Case, freshStream, ids, newEvent, newEvents, numbers, revisions } from './fixture.ts';

export const appendCases = (register: Case): void => {
  register(
    'append › gives each event its revision, a later position and the time it was recorded',
    async (t, log) => {
      const stream = freshStream();
      const events = newEvents(3);
      const first = accepted(await log.append(stream, events, 'none'));
      const second = accepted(await log.append(stream, [newEvent({ n: 3 })], asRevision(2)));
      const read = await log.readStream(stream, { limit: 10 });

      t.false(first.duplicate);
      t.deepEqual(
        [...first.events, ...second.events],
        read.map(({ revision, position }) => ({ revision, position })),
      );
      t.deepEqual(revisions(read), [0, 1, 2, 3]);
      t.deepEqual(ids(read.slice(0, 3)), ids(events));
      for (const [index, event] of read.entries()) {
        t.is(event.stream, stream);
        t.is(event.position.length, log.start.length);
        t.regex(event.position, /^[0-9a-f]+$/);
        t.true(event.position > (read[index - 1]?.position ?? log.start));
        t.regex(event.metadata.recordedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        t.true(event.metadata.recordedAt >= (read[index - 1]?.metadata.recordedAt ?? ''));
      }
    },
  );

  register('append › keeps type, data and metadata as they were given', async (t, log) => {
    const stream = freshStream();
    const data = {
      text: 'ünïcödé \u0000 "quoted" \\ 🚀 \u2028',
      numbers: [0, -1, 1.5, 1e21, Number.MAX_SAFE_INTEGER],
      nested: { null: null, empty: {}, list: [[], [true, false]] },
      '': 'empty key',
    };
    const given = newEvent(data, 'Some.Type_v2-x');
    const traced = {
      ...newEvent(null),
      metadata: { ...given.metadata, causationId: 'c', commandId: 'd', traceparent: '00-ü' },
    };
    await log.append(stream, [given, traced, newEvent('text'), newEvent(0), newEvent([])], 'none');
    const read = await log.readStream(stream, { limit: 10 });
    const [one, two] = read;
    t.is(one?.type, 'Some.Type_v2-x');
    t.deepEqual(one?.data, data);
    t.deepEqual(one?.metadata, { ...given.metadata, recordedAt: one?.metadata.recordedAt ?? '' });
    t.deepEqual(two?.metadata, { ...traced.metadata, recordedAt: two?.metadata.recordedAt ?? '' });
    t.deepEqual(
      read.slice(1).map((event) => event.data),
      [null, 'text', 0, []],
    );
  });

  register('append › takes a stream name of 600 bytes in any script', async (t, log) => {
    const stream = asStreamId(`${freshStream()}-ü/"\\ €`.padEnd(580, 'é').slice(0, 320));
    const other = asStreamId(`${stream}x`);
    await log.append(stream, [newEvent({ n: 1 })], 'none');
    await log.append(other, [newEvent({ n: 2 })], 'none');
    const [event] = await log.readStream(stream, { limit: 10 });
    t.is(event?.stream, stream);
    t.deepEqual(numbers(await log.readStream(other, { limit: 10 })), [2]);
  });

  register(
    'append › with a stale or future expected revision is a conflict and writes nothing',
    async (t, log) => {
      const stream = freshStream();
      await log.append(stream, newEvents(3), 'none');
      for (const expected of ['none', asRevision(1), asRevision(3)] as const) {
        const result = await log.append(stream, [newEvent()], expected);
        t.deepEqual(result, { ok: false, stream, expected, actual: asRevision(2) });
      }
      t.is((await log.readStream(stream, { limit: 10 })).length, 3);
      t.is((await log.head(stream))?.revision, asRevision(2));
    },
  );

  register(
    'append › to a stream that has no event is a conflict with exists or a revision',
    async (t, log) => {
      const stream = freshStream();
      for (const expected of ['exists', asRevision(0)] as const) {
        const result = await log.append(stream, [newEvent()], expected);
        t.deepEqual(result, { ok: false, stream, expected, actual: 'none' });
      }
      t.is(await log.head(stream), undefined);
    },
  );

  register('append › with exists or any goes to the end of the stream', async (t, log) => {
    const stream = freshStream();
    accepted(await log.append(stream, [newEvent({ n: 0 })], 'any'));
    accepted(await log.append(stream, [newEvent({ n: 1 })], 'exists'));
    accepted(await log.append(stream, [newEvent({ n: 2 })], 'any'));
    const read = await log.readStream(stream, { limit: 10 });
    t.deepEqual(numbers(read), [0, 1, 2]);
    t.deepEqual(revisions(read), [0, 1, 2]);
  });

  register('append › of 500 at once with the same expected revision lets one win', async (t, log) => {
    const stream = freshStream();
    await log.append(stream, newEvents(2), 'none');
    const tries = newEvents(500, 100);
    const results = await Promise.all(tries.map((event) => log.append(stream, [event], asRevision(1))));
    const winners = tries.filter((_, index) => results[index]?.ok);
    t.is(winners.length, 1);
    for (const result of results) if (!result.ok) t.is(result.actual, asRevision(2));
    t.deepEqual(ids(await log.readStream(stream, { from: asRevision(2), limit: 10 })), ids(winners));
  });

  register(
    'append › of 64 writers over 16 streams keeps every stream dense and every event once',
    async (t, log) => {
      const streams = Array.from({ length: 16 }, () => freshStream());
      const written: string[] = [];
      const writer = async (index: number): Promise<void> => {
        for (let round = 0; round < 5; round++) {
          const stream = streams[(index + round) % streams.length] ?? freshStream();
          const events = newEvents(2);
          accepted(await log.append(stream, events, 'any'));
          written.push(...ids(events));
        }
      };
      await Promise.all(Array.from({ length: 64 }, (_, index) => writer(index)));
      const read = await Promise.all(streams.map((stream) => log.readStream(stream, { limit: 1_000 })));
      for (const events of read) t.deepEqual(revisions(events), [...events.keys()]);
      t.deepEqual(ids(read.flat()).sort(), written.sort());
    },
  );

  register('append › holds 1,000 events together, and refuses 1,001 as too_large', async (t, log) => {
    const stream = freshStream();
    await t.throwsAsync(log.append(stream, newEvents(1_001), 'none'), {
      instanceOf: LogError,
      code: 'too_large',
    });
    const result = accepted(await log.append(stream, newEvents(1_000), 'none'));
    t.is(result.events.length, 1_000);
    const read = await log.readStream(stream, { limit: 10_000 });
    t.deepEqual(numbers(read), [...Array(1_000).keys()]);
    t.deepEqual(
      read.map((event) => event.position),
      result.events.map((event) => event.position),
    );
  });

  register('append › takes 990,000 bytes, and refuses more than 1,000,000 as too_large', async (t, log) => {
    const stream = freshStream();
    const large = 'é'.repeat(495_000);
    await t.throwsAsync(log.append(stream, [newEvent('é'.repeat(maxAppendBytes / 2))], 'none'), {
      instanceOf: LogError,
      code: 'too_large',
    });
    t.is(await log.head(stream), undefined);
    accepted(await log.append(stream, [newEvent(large)], 'none'));
    const [event] = await log.readStream(stream, { limit: 1 });
    t.true(event?.data === large);
  });

  register('append › of what no log can hold is invalid and writes nothing', async (t, log) => {
    const stream = freshStream();
    const twin = newEvent();
    const cyclic: Record<string, unknown> = {};
    cyclic.self = cyclic;
    const bad = [[], [twin, twin], [newEvent(undefined)].map((event) => ({ ...event, data: undefined }))];
    bad.push([newEvent(1n)], [newEvent(cyclic)], [{ ...newEvent(), id: 'no-uuid' }], [newEvent({}, '$type')]);
    for (const events of bad) {
      await t.throwsAsync(log.append(stream, events, 'any'), { instanceOf: LogError, code: 'invalid' });
    }
    for (const name of ['', '$all', 'a-\u0007', `a-${'x'.repeat(600)}`, 'a-\ud800']) {
      await t.throwsAsync(log.append(asStreamId(name), [newEvent()], 'any'), {
        instanceOf: LogError,
        code: 'invalid',
      });
    }
    await t.throwsAsync(log.append(stream, [newEvent()], asRevision(-1)), {
      instanceOf: LogError,
      code: 'invalid',
    });
    t.is(await log.head(stream), undefined);
  });
};
