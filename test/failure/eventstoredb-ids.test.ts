import { randomUUID } from 'node:crypto';
import test from 'ava';
import { idOf, newId } from '../../src/ids.ts';
import { LogError } from '../../src/log/event-log.ts';
import { openClient } from '../../src/log/eventstoredb/client.ts';
import { createFreshness } from '../../src/log/eventstoredb/freshness.ts';
import { createGate } from '../../src/log/eventstoredb/gate.ts';
import { createLookback } from '../../src/log/eventstoredb/lookback.ts';
import { createHealth, defaultLimits, type Session } from '../../src/log/eventstoredb/session.ts';
import { someEvent, someStream, timesWritten, withEsdb, writeElsewhere } from '../support/esdb/fixture.ts';
import { type EsdbServer, startEsdbServer } from '../support/esdb-server.ts';

const hourMs = 3_600_000;

/** A UUIDv7 as made at another time; `newId` never goes back. */
const idAt = (ms: number): string => {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
};

test.serial(
  'EventStoreDB › ids repeated with any or exists 23 hours later are recognised by a server that has forgotten them',
  async (t) => {
    let clock = Date.now() - 23 * hourMs;
    await withEsdb(
      async ({ server, log }) => {
        const stream = someStream();
        const events = [idOf('topic', 'message-1'), randomUUID(), idAt(clock)].map((id, n) =>
          someEvent(n, id),
        );
        const first = await log.append(stream, events, 'any');
        clock = Date.now();
        writeElsewhere(server, stream, 3, 3_000);
        await server.restart();
        for (const expected of ['any', 'exists'] as const) {
          t.deepEqual(await log.append(stream, events, expected), { ...first, duplicate: true });
          await t.throwsAsync(log.append(stream, [...events, someEvent()], expected), {
            instanceOf: LogError,
            code: 'invalid',
          });
        }
        for (const { id } of events) t.is(timesWritten(server, id), 1);
      },
      {},
      () => clock,
    );
  },
);

test.serial(
  'EventStoreDB › an id made by another process a while ago is looked for back to when it was made, not further',
  async (t) => {
    let clock = Date.now() - 10 * hourMs;
    await withEsdb(
      async ({ server, log }) => {
        const stream = someStream();
        writeElsewhere(server, stream, 0, 5_000);
        clock = Date.now();
        const event = someEvent(1, idAt(clock - hourMs));
        t.like(await log.append(stream, [event], 'any'), { ok: true, duplicate: false });
        // One look that meets an event of ten hours ago at once, and one read of what was written.
        t.is(server.calls('readStream'), 2);
        await server.restart();
        t.like(await log.append(stream, [event], 'any'), { ok: true, duplicate: true });
        t.is(timesWritten(server, event.id), 1);
      },
      {},
      () => clock,
    );
  },
);

test.serial(
  'EventStoreDB › an id made here a moment ago costs no read; one of a client costs two, however long the stream',
  (t) =>
    withEsdb(async ({ server, log }) => {
      const stream = someStream();
      writeElsewhere(server, stream, 0, 2_000);
      for (let n = 0; n < 50; n++) t.true((await log.append(stream, [someEvent(n, newId())], 'any')).ok);
      t.is(server.calls('readStream'), 0);
      t.true((await log.append(stream, [someEvent(0, idOf('a', 'b'))], 'any')).ok);
      const before = server.calls('readStream');
      for (let n = 0; n < 50; n++) {
        t.true((await log.append(stream, [someEvent(n, idOf('message', `${n}`))], 'any')).ok);
        t.true((await log.append(stream, [someEvent(n, newId())], 'any')).ok);
      }
      t.is(server.calls('readStream') - before, 100);
    }),
);

test.serial('createFreshness › an id is new once, and only when it was made here since it can tell', (t) => {
  const start = 1_800_000_000_000;
  let clock = start;
  const freshness = createFreshness(() => clock);
  const [one, two] = [idAt(start), idAt(start + 500)];
  t.true(freshness.claim([one]));
  t.false(freshness.claim([one]));
  t.false(freshness.claim([two, one]));
  t.false(freshness.claim([two]), 'claimed by the call before');
  t.false(freshness.claim([idAt(start - 1)]), 'made before this process could have seen it');
  t.false(freshness.claim([idAt(start + 60_000)]), 'made by a clock that is far ahead');
  t.false(freshness.claim([randomUUID()]), 'tells no time');
  clock += 31_000;
  t.false(freshness.claim([one]), 'held for a second generation');
  clock += 31_000;
  t.true(freshness.claim([idAt(clock)]));
  t.false(freshness.claim([one]), 'forgotten, and therefore not certain');
  t.false(freshness.claim([idAt(start + 100)]), 'older than what is held');
});

test.serial('createFreshness › holds a bounded number of ids, and stays right beyond it', (t) => {
  const start = 1_800_000_000_000;
  let clock = start;
  const freshness = createFreshness(() => clock);
  const first = idAt(start);
  t.true(freshness.claim([first]));
  for (let n = 0; n < 250; n++) {
    clock++;
    freshness.claim(Array.from({ length: 1_000 }, (_, index) => idAt(clock - (index % 2))));
  }
  t.false(freshness.claim([first]));
  t.true(freshness.claim([idAt(clock)]));
});

const sessionOver = (server: EsdbServer, warnings: string[]): { session: Session; close: () => void } => {
  const closed = new AbortController();
  const logger = { warn: (_facts: object, message: string) => void warnings.push(message) };
  const client = openClient(server.url, closed.signal);
  return {
    session: { client, limits: defaultLimits, logger, closed: closed.signal, health: createHealth(logger) },
    close: () => {
      closed.abort();
      client.close();
    },
  };
};

test.serial(
  'createLookback › reads a stream once, then only what came since, and further back only when asked',
  async (t) => {
    let clock = Date.now() - 5 * hourMs;
    const server = await startEsdbServer(() => clock);
    const { session, close } = sessionOver(server, []);
    const lookback = createLookback(session);
    writeElsewhere(server, 'thing-1', 0, 1_000);
    clock = Date.now();
    writeElsewhere(server, 'thing-1', 1_000, 1_010);
    const idsOf = (from: number, to: number) =>
      (server.store.stream('thing-1') ?? []).slice(from, to).map((event) => event.id);

    const near = await lookback.find('thing-1', [...idsOf(999, 1_010), 'missing'], clock - hourMs);
    t.deepEqual([...near.places.keys()], idsOf(1_000, 1_010));
    t.is(Number(near.head), 1_009);
    t.is(server.calls('readStream'), 1);

    writeElsewhere(server, 'thing-1', 1_010, 1_020);
    const next = await lookback.find('thing-1', idsOf(1_000, 1_020), clock - hourMs);
    t.is(next.places.size, 20);
    t.is(server.calls('readStream'), 2);

    const far = await lookback.find('thing-1', idsOf(0, 1_020), clock - 6 * hourMs);
    t.is(far.places.size, 1_020);
    const reads = server.calls('readStream');
    t.is((await lookback.find('thing-1', idsOf(0, 5), clock - 6 * hourMs)).places.size, 5);
    t.is(server.calls('readStream'), reads + 1);
    t.deepEqual(await lookback.find('thing-2', ['x'], 0), { head: 'none', places: new Map() });
    close();
    server.stop();
  },
);

test.serial(
  'createLookback › looks at a bounded number of events, says so, and goes on from there next time',
  async (t) => {
    const warnings: string[] = [];
    const server = await startEsdbServer();
    const { session, close } = sessionOver(server, warnings);
    const lookback = createLookback(session, { heldIds: 1_000, events: 100 });
    // Each recorded at a time of its own.
    writeElsewhere(server, 'thing-1', 0, 300);
    const oldest = server.store.stream('thing-1')?.[150]?.id ?? '';
    t.is((await lookback.find('thing-1', [oldest], 0)).places.size, 0);
    t.is(warnings.length, 1);
    t.is((await lookback.find('thing-1', [oldest], 0)).places.size, 1);
    for (let n = 0; n < 30; n++) {
      writeElsewhere(server, `thing-${n + 2}`, 0, 50);
      await lookback.find(`thing-${n + 2}`, ['x'], 0);
    }
    const reads = server.calls('readStream');
    // Asked for longest ago, so its ids made room for those of the others: it is read again.
    t.is((await lookback.find('thing-1', [oldest], 0)).places.size, 0);
    t.true(server.calls('readStream') > reads + 1);
    close();
    server.stop();
  },
);

test.serial(
  'createGate › lets through what fits, the others in order, and refuses what would wait too long',
  async (t) => {
    const gate = createGate(10, 2);
    const one = await gate.enter(8, 1_000);
    const order: string[] = [];
    const two = gate.enter(20, 60_000).then((leave) => {
      order.push('heavy');
      return leave;
    });
    const three = gate.enter(2, 60_000).then((leave) => {
      order.push('light');
      return leave;
    });
    t.is(await gate.enter(1, 60_000), undefined, 'two wait already');
    one?.();
    (await two)?.();
    (await three)?.();
    t.deepEqual(order, ['heavy', 'light']);
    const last = await gate.enter(10, 1_000);
    t.is(await gate.enter(1, 1), undefined, 'nothing left in time');
    last?.();
    t.not(await gate.enter(10, 1), undefined);
  },
);
