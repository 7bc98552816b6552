import test from 'ava';
import { asRevision, type LogEvent } from '../../domain/event.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import {
  impatient,
  numberOf,
  someEvent,
  someStream,
  withEsdb,
  writeElsewhere,
} from '../support/esdb/fixture.ts';

/** The numbers of the first `count` events that a watch from the start hands out; `between` runs after each batch. */
const follow = async (
  log: EventLog,
  count: number,
  between: (seen: number) => Promise<void> | void = () => undefined,
): Promise<unknown[]> => {
  const seen: LogEvent[] = [];
  const stop = new AbortController();
  for await (const batch of log.watch({ after: log.start, signal: stop.signal })) {
    seen.push(...batch);
    if (seen.length >= count) stop.abort();
    else await between(seen.length);
  }
  return seen.map(numberOf);
};

const upTo = (count: number): number[] => [...Array(count).keys()];

test.serial(
  'EventStoreDB › a watch goes on behind the last event when the server restarts in the middle',
  (t) =>
    withEsdb(async ({ server, log, warnings }) => {
      const stream = someStream();
      writeElsewhere(server, stream, 0, 50);
      let restarts = 0;
      const seen = await follow(log, 2_000, async (count) => {
        if (restarts < 3 && count >= (restarts + 1) * 50) {
          restarts++;
          await server.restart();
          writeElsewhere(server, stream, restarts * 50, restarts < 3 ? (restarts + 1) * 50 : 2_000);
        }
      });
      t.is(restarts, 3);
      t.deepEqual(seen, upTo(2_000));
      t.is(server.subscribedFrom.length, 4);
      for (const [index, from] of server.subscribedFrom.entries()) {
        // Behind what was handed out when the server went away, not from where the watch began.
        t.true(from >= (server.store.log[index * 50 - 1]?.commit ?? 0n));
      }
      t.true(warnings.includes('the watch of EventStoreDB is opened again'));
    }),
);

for (const outcome of ['drop', 'fellBehind'] as const) {
  const what = outcome === 'drop' ? 'dropped' : 'sent back to catch up';
  test.serial(
    `EventStoreDB › a consumer too slow for the server is ${what}, and still gets each event once, in order`,
    (t) =>
      withEsdb(async ({ server, log }) => {
        const total = 12_000;
        const stream = someStream();
        server.faults.settings.slowLimit = 6_000;
        server.faults.settings.slowOutcome = outcome;
        writeElsewhere(server, stream, 0, 1);
        let written = 1;
        const seen = await follow(log, total, async () => {
          // Live now, and not asking for more: what is written meanwhile piles up at the server, not here.
          while (written < total && server.faults.settings.slowConsumers === 0) {
            writeElsewhere(server, stream, written, written + 100, 1_000);
            written += 100;
            await new Promise(setImmediate);
          }
          if (written < total) {
            writeElsewhere(server, stream, written, total);
            written = total;
          }
        });
        t.true(server.faults.settings.slowConsumers >= 1);
        t.is(seen.length, total);
        t.deepEqual(seen, upTo(total));
        t.is(server.calls('subscribe'), outcome === 'drop' ? 2 : 1);
      }),
  );
}

test.serial(
  "EventStoreDB › the server's own events and those of other applications are left out everywhere",
  (t) =>
    withEsdb(async ({ server, log }) => {
      const stream = someStream();
      const foreign = {
        id: crypto.randomUUID(),
        type: 'OrderPlaced',
        contentType: 'application/json',
        data: Buffer.from('{"n":"foreign"}'),
        metadata: Buffer.alloc(0),
      };
      for (let n = 0; n < 40; n++) {
        server.systemEvent();
        writeElsewhere(server, stream, n, n + 1);
        server.store.append('order-1', [{ ...foreign, id: crypto.randomUUID() }], 'any');
      }
      for (let more = 0; more < 100; more++) server.systemEvent();
      const newest = (await log.readStream(stream, { direction: 'backwards', limit: 1 }))[0];
      t.is(await log.position(), newest?.position ?? log.start);
      const page = await log.readAll({ limit: 40 });
      t.deepEqual(page.events.map(numberOf), upTo(40));
      t.false(page.more);
      t.deepEqual(await log.readAll({ limit: 40, after: page.position }), {
        events: [],
        position: page.position,
        more: false,
      });
      t.deepEqual(await follow(log, 40), upTo(40));
      writeElsewhere(server, stream, 40, 41);
      t.true((await log.position()) > (newest?.position ?? log.start));
    }),
);

test.serial('EventStoreDB › position › of a log that holds only events of the server is its start', (t) =>
  withEsdb(async ({ server, log }) => {
    for (let n = 0; n < 3_000; n++) server.systemEvent();
    t.is(await log.position(), log.start);
    const reads = server.calls('readAll');
    t.is(await log.position(), log.start);
    t.is(server.calls('readAll'), reads + 1);
  }),
);

for (const inclusive of [false, true]) {
  test.serial(
    `EventStoreDB › pages and watches have no seam when the server begins ${inclusive ? 'at' : 'behind'} a position`,
    (t) =>
      withEsdb(async ({ server, log }) => {
        server.faults.settings.inclusive = inclusive;
        writeElsewhere(server, someStream(), 0, 25);
        const seen: LogEvent[] = [];
        let more = true;
        let after: LogEvent['position'] | undefined;
        while (more) {
          const page = await log.readAll({
            direction: 'backwards',
            limit: 4,
            ...(after === undefined ? {} : { after }),
          });
          seen.push(...page.events);
          ({ more, position: after } = page);
        }
        t.deepEqual(seen.map(numberOf), upTo(25).toReversed());
        const stop = new AbortController();
        const watched: LogEvent[] = [];
        for await (const batch of log.watch({
          after: seen[20]?.position ?? log.start,
          signal: stop.signal,
        })) {
          watched.push(...batch);
          if (watched.length >= 20) stop.abort();
        }
        t.deepEqual(watched.map(numberOf), upTo(25).slice(5));
      }),
  );
}

test.serial(
  'EventStoreDB › reads wait for a server that is not ready, and give up on one that is silent',
  (t) =>
    withEsdb(
      async ({ server, log }) => {
        const stream = someStream();
        writeElsewhere(server, stream, 0, 3);
        server.faults.settings.notReadyReads = 5;
        t.is((await log.readStream(stream, { limit: 10 })).length, 3);
        server.faults.settings.silentReads = 1_000;
        await t.throwsAsync(log.readStream(stream, { limit: 10 }), { code: 'log_unavailable' });
        t.false(log.reachable);
        server.faults.settings.silentReads = 0;
        t.is((await log.readStream(stream, { limit: 10 })).length, 3);
        t.true(log.reachable);
      },
      { silenceMs: 500 },
    ),
);

test.serial('EventStoreDB › a subscription that the server never confirms is opened again', (t) =>
  withEsdb(
    async ({ server, log }) => {
      writeElsewhere(server, someStream(), 0, 10);
      server.faults.settings.silentReads = 2;
      t.deepEqual(await follow(log, 10), upTo(10));
      t.true(server.calls('subscribe') >= 3);
    },
    { silenceMs: 500 },
  ),
);

test.serial(
  'EventStoreDB › truncate › keeps what else stands in the metadata, and survives lost answers',
  (t) =>
    withEsdb(async ({ server, log }) => {
      const stream = someStream();
      writeElsewhere(server, stream, 0, 10);
      const metadata = Buffer.from(JSON.stringify({ $maxAge: 86_400, owner: 'ops' }));
      const event = { id: crypto.randomUUID(), type: '$metadata', contentType: 'application/json' };
      server.store.append(`$$${stream}`, [{ ...event, data: metadata, metadata: Buffer.alloc(0) }], 'any');
      const [first] = await log.readStream(stream, { from: asRevision(4), limit: 1 });
      server.faults.nextAppends('kill', 'killBefore', 'mute');
      await log.truncate(stream, asRevision(4));
      await log.truncate(stream, asRevision(6));
      t.deepEqual(await log.head(stream), { revision: asRevision(9), truncatedBefore: asRevision(6) });
      const document: unknown = JSON.parse(
        Buffer.from(server.store.stream(`$$${stream}`)?.at(-1)?.data ?? []).toString('utf8'),
      );
      t.deepEqual(document, { $maxAge: 86_400, owner: 'ops', $tb: 6 });
      t.is(first?.revision, asRevision(4));
      t.true((await log.append(stream, [someEvent(10)], asRevision(9))).ok);
    }, impatient),
);
