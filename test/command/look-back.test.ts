import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type LogEvent, type NewEvent, type NewMetadata, streamId } from '../../domain/event.ts';
import { createHandler } from '../../src/command/handle.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog, ReadStreamOptions } from '../../src/log/event-log.ts';

const metadata: NewMetadata = { actor: 'me', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
const stream = streamId('topic', 'a');
const large = 'x'.repeat(250_000);

const event = (data: unknown, id = newId()): NewEvent => ({ id, type: 'MessagePublished', data, metadata });
const tiny = (count: number) => Array.from({ length: count }, (_, n) => event({ n }));

type Read = {
  readonly asked: ReadStreamOptions;
  readonly events: readonly LogEvent[];
  readonly turn: number;
};

const withLog = test.macro(
  async (
    t,
    body: (
      t: ExecutionContext,
      log: EventLog,
      look: (id: string | readonly string[]) => Promise<readonly LogEvent[] | undefined>,
      reads: Read[],
    ) => Promise<void>,
  ) => {
    const directory = await mkdtemp(join(tmpdir(), 'nexus-look-back-'));
    const log = await openEmbeddedLog({ directory, watchdogMs: 60_000 });
    const reads: Read[] = [];
    let turn = 0;
    let ticking = setImmediate(function tick() {
      turn++;
      ticking = setImmediate(tick);
    });
    const counted: EventLog = {
      ...log,
      readStream: async (name, asked) => {
        const events = await log.readStream(name, asked);
        reads.push({ asked, events, turn });
        return events;
      },
    };
    const { recorded } = createHandler(counted);
    const look = (id: string | readonly string[]) =>
      recorded({ metadata, eventId: (index) => [id].flat()[index] ?? '' }, stream);
    try {
      await body(t, log, look, reads);
    } finally {
      clearImmediate(ticking);
      await log.close();
      await rm(directory, { recursive: true });
    }
  },
);

const publishLarge = async (log: EventLog, count: number, data = large): Promise<void> => {
  for (let n = 0; n < count; n++) await log.append(stream, [event(data)], 'any');
};

test(
  'look back › large messages are read one at a time, also behind many small ones, and what stands behind them is found',
  withLog,
  async (t, log, look, reads) => {
    const id = newId();
    await log.append(stream, [event('first', id)], 'none');
    await publishLarge(log, 12);
    await log.append(stream, tiny(200), 'any');
    const found = await look(id);
    t.deepEqual(
      found?.map(({ data, revision }) => ({ data, revision: Number(revision) })),
      [{ data: 'first', revision: 0 }],
    );
    const largeIn = reads.map(({ events }) => events.filter(({ data }) => data === large).length);
    t.is(Math.max(...largeIn), 1);
    t.is(reads.flatMap(({ events }) => events).length, 213);
  },
);

test(
  'look back › pages of one are of different turns of the event loop, and few of many are of the same',
  withLog,
  async (t, log, look, reads) => {
    await publishLarge(log, 10);
    await look(newId());
    t.is(new Set(reads.map(({ turn }) => turn)).size, reads.length);
    t.is(reads.length, 10);
    reads.length = 0;
    const found = await Promise.all(Array.from({ length: 20 }, () => look(newId())));
    t.true(found.every((one) => one === undefined));
    const further = reads.filter(({ asked }) => asked.from !== undefined);
    const inTurns = Object.values(Object.groupBy(further, ({ turn }) => turn));
    t.is(further.length, 20 * 9);
    t.true(inTurns.every((pages = []) => pages.length <= 4));
  },
);

test(
  'look back › all events of a command are found where its pages part them',
  withLog,
  async (t, log, look) => {
    const ids = [newId(), newId(), newId(), newId()];
    await log.append(stream, tiny(3), 'none');
    await log.append(
      stream,
      ids.slice(0, 3).map((id, n) => event({ n, large }, id)),
      'any',
    );
    await publishLarge(log, 2);
    const found = await look(ids);
    t.deepEqual(
      found?.map(({ id }) => id),
      ids.slice(0, 3),
    );
    t.deepEqual(
      found?.map(({ revision }) => Number(revision)),
      [3, 4, 5],
    );
  },
);

test('look back › reaches the 1,000 newest events, and no further', withLog, async (t, log, look) => {
  const [before, oldest] = [newId(), newId()];
  await log.append(stream, [event(0, before), event(1, oldest)], 'none');
  await log.append(stream, tiny(999), 'any');
  t.is((await look(oldest))?.length, 1);
  t.is(await look(before), undefined);
});

test('look back › reaches 32 MiB, and no further', withLog, async (t, log, look, reads) => {
  const [before, within] = [newId(), newId()];
  await log.append(stream, [event('before', before)], 'none');
  // A string of a megabyte less a little counts for two.
  const [text, fitting] = ['x'.repeat(990_000), 16];
  await publishLarge(log, 4, text);
  await log.append(stream, [event('within', within)], 'any');
  await publishLarge(log, fitting, text);
  t.is((await look(within))?.length, 1);
  reads.length = 0;
  t.is(await look(before), undefined);
  t.true(reads.length < fitting + 4);
});

test('look back › of a stream without events finds nothing', withLog, async (t, _log, look) => {
  t.is(await look(newId()), undefined);
});
