import { randomUUID } from 'node:crypto';
import test from 'ava';
import { asRevision } from '../../domain/event.ts';
import { newId } from '../../src/ids.ts';
import { LogError } from '../../src/log/event-log.ts';
import { openEventStoreDbLog } from '../../src/log/eventstoredb.ts';
import type { AppendFault } from '../support/esdb/faults.ts';
import { impatient, someEvent, someStream, timesWritten, withEsdb } from '../support/esdb/fixture.ts';
import { startEsdbServer } from '../support/esdb-server.ts';

const unavailable = { instanceOf: LogError, code: 'log_unavailable' } as const;

// What can become of an append whose answer does not come, in the two ways in which the client can ask.
const lostAnswers: readonly (readonly [AppendFault, string])[] = [
  ['kill', 'the connection dies after the commit and before the answer'],
  ['killBefore', 'the connection dies before the commit'],
  ['mute', 'it is committed and never answered'],
  ['swallow', 'it is neither committed nor answered'],
  ['hold', 'the answer comes late'],
  ['late', 'it is committed late'],
  ['timeout', 'the server says that the commit timed out'],
  ['bare', 'the server refuses without saying why'],
];

for (const features of ['ok', 'unimplemented'] as const) {
  const way = features === 'ok' ? 'BatchAppend' : 'Append';
  for (const [fault, what] of lostAnswers) {
    test(`EventStoreDB ${way} › ${what}: the caller is told the truth, and it is written once`, (t) =>
      withEsdb(async ({ server, log }) => {
        server.faults.settings.features = features;
        for (const expected of ['none', 'any'] as const) {
          for (const id of [newId(), randomUUID()]) {
            const stream = someStream();
            server.faults.nextAppends(fault);
            const event = someEvent(1, id);
            const result = await log.append(stream, [event], expected);
            server.faults.releaseHeld();
            // The next answer stands behind the late one: whatever that did has happened.
            t.true((await log.append(stream, [someEvent(2)], asRevision(0))).ok);
            const [first] = await log.readStream(stream, { limit: 10 });
            t.deepEqual(result, {
              ok: true,
              events: [{ revision: asRevision(0), position: first?.position }],
              duplicate: false,
            });
            t.is(first?.id, id);
            t.is(timesWritten(server, id), 1);
          }
        }
        t.is(server.calls(features === 'ok' ? 'append' : 'batchAppend'), 0);
      }, impatient));
  }

  test.serial(
    `EventStoreDB ${way} › a server that is not ready for the first 7 appends gets each once`,
    (t) =>
      withEsdb(async ({ server, log }) => {
        server.faults.settings.features = features;
        server.faults.nextAppends('notReady', 'notReady', 'busy', 'noLeader', 'notReady', 'busy', 'notReady');
        const stream = someStream();
        const events = [someEvent(0), someEvent(1)];
        const result = await log.append(stream, events, 'none');
        t.like(result, { ok: true, duplicate: false });
        t.is(server.store.stream(stream)?.length, 2);
        t.true(log.reachable);
      }),
  );

  test.serial(
    `EventStoreDB ${way} › a server that never answers fails as log_unavailable, and nothing stays pending`,
    (t) =>
      withEsdb(
        async ({ server, log }) => {
          server.faults.settings.features = features;
          server.faults.nextAppends(...Array<AppendFault>(200).fill('swallow'));
          const stream = someStream();
          const event = someEvent();
          await t.throwsAsync(log.append(stream, [event], 'none'), unavailable);
          t.false(log.reachable);
          server.faults.nextAppends();
          t.is(server.store.stream(stream), undefined);
        },
        { tryMs: 60, callMs: 400 },
      ),
  );

  test.serial(
    `EventStoreDB ${way} › a node that is not the leader sends the append on to the one that is`,
    (t) =>
      withEsdb(async ({ server: follower, log }) => {
        await withEsdb(async ({ server: leader }) => {
          for (const node of [follower, leader]) node.faults.settings.features = features;
          follower.faults.settings.leaderPort = leader.port;
          follower.faults.nextAppends('notLeader');
          const stream = someStream();
          t.like(await log.append(stream, [someEvent(0)], 'none'), { ok: true, duplicate: false });
          t.is(follower.store.log.length, 0);
          t.is(leader.store.stream(stream)?.length, 1);
          t.is((await log.readStream(stream, { limit: 10 })).length, 1);
        });
      }),
  );

  test.serial(
    `EventStoreDB ${way} › 300 appends of 20 kB in flight when the server is killed end once each, and the process lives`,
    (t) =>
      withEsdb(async ({ server, log }) => {
        server.faults.settings.features = features;
        const event = () => ({ ...someEvent(0, newId()), data: { pad: 'x'.repeat(20_000) } });
        const appends = Array.from({ length: 300 }, () => ({ stream: someStream(), event: event() }));
        const results = appends.map((one) => log.append(one.stream, [one.event], 'any'));
        await results[0];
        await server.restart();
        for (const result of await Promise.all(results)) t.true(result.ok);
        for (const one of appends) t.is(timesWritten(server, one.event.id), 1);
      }),
  );

  test.serial(`EventStoreDB ${way} › refusals are told apart and not tried again`, (t) =>
    withEsdb(async ({ server, log }) => {
      const { faults, store } = server;
      faults.settings.features = features;
      const stream = someStream();
      faults.nextAppends('accessDenied');
      const denied = await t.throwsAsync<LogError>(log.append(stream, [someEvent()], 'none'), unavailable);
      t.is(denied?.facts.reason, 'denied');
      faults.settings.maxAppendBytes = 10;
      await t.throwsAsync(log.append(stream, [someEvent()], 'none'), {
        instanceOf: LogError,
        code: 'too_large',
      });
      faults.settings.maxAppendBytes = 1_048_576;
      store.tombstone(stream);
      await t.throwsAsync(log.append(stream, [someEvent()], 'none'), {
        instanceOf: LogError,
        code: 'invalid',
      });
      t.is(server.calls(features === 'ok' ? 'batchAppend' : 'append'), 3);
      t.is(store.log.length, 0);
    }),
  );
}

test.serial(
  'EventStoreDB › an answer that comes on a living call after its append was given up harms nobody',
  (t) =>
    withEsdb(async ({ server, log }) => {
      const [stream, other] = [someStream(), someStream()];
      const event = someEvent(0, newId());
      server.faults.nextAppends('hold');
      let waiting = true;
      const pending = log.append(stream, [event], 'any').finally(() => {
        waiting = false;
      });
      // Answers of others keep the call alive while the first append waits in vain.
      let others = 0;
      while (waiting) t.true((await log.append(other, [someEvent(others++)], 'any')).ok);
      t.like(await pending, { ok: true, duplicate: false });
      server.faults.releaseHeld();
      t.true((await log.append(other, [someEvent(others)], 'any')).ok);
      t.is(server.calls('batchAppend.open'), 1);
      t.is(timesWritten(server, event.id), 1);
    }, impatient),
);

test.serial('EventStoreDB › a call that went deaf is given up for a new one after one silent try', (t) =>
  withEsdb(async ({ server, log }) => {
    const stream = someStream();
    server.faults.nextAppends('deaf');
    const event = someEvent(0, newId());
    t.like(await log.append(stream, [event], 'any'), { ok: true, duplicate: false });
    t.true(server.calls('batchAppend.open') >= 2);
    t.is(timesWritten(server, event.id), 1);
  }, impatient),
);

test.serial(
  'EventStoreDB › a commit that comes late, between the look for its ids and the next try, is not doubled',
  (t) =>
    withEsdb(async ({ server, log }) => {
      const stream = someStream();
      await log.append(stream, [someEvent(0)], 'none');
      const event = someEvent(1, newId());
      // The first try is committed just before the second one is looked at, by a server that knows no ids any more.
      server.faults.nextAppends('late', 'afterHeld');
      const result = await log.append(stream, [event], 'any');
      t.like(result, { ok: true, duplicate: false });
      t.is(timesWritten(server, event.id), 1);
    }, impatient),
);

test.serial(
  'EventStoreDB › control: the server itself writes the same ids twice with any once it has forgotten them',
  (t) =>
    withEsdb(async ({ server }) => {
      const event = {
        id: randomUUID(),
        type: 'X',
        contentType: 'application/json',
        data: new Uint8Array(),
        metadata: new Uint8Array(),
      };
      server.store.append('thing-1', [event], 'any');
      server.store.append('thing-1', [event], 'any');
      t.is(timesWritten(server, event.id), 1);
      server.store.forgetIds();
      server.store.append('thing-1', [event], 'any');
      t.is(timesWritten(server, event.id), 2);
    }),
);

test.serial('EventStoreDB › a writer that comes between delays an append in doubt and loses nothing', (t) =>
  withEsdb(async ({ server, log }) => {
    const stream = someStream();
    await log.append(stream, [someEvent(0)], 'none');
    const event = someEvent(1, newId());
    server.faults.nextAppends('swallow');
    const pending = log.append(stream, [event], 'any');
    const others = Array.from({ length: 30 }, (_, n) => someEvent(n + 2));
    for (const other of others) t.true((await log.append(stream, [other], 'any')).ok);
    t.true((await pending).ok);
    for (const one of [event, ...others]) t.is(timesWritten(server, one.id), 1);
  }, impatient),
);

test.serial('EventStoreDB › a feature query that fails once spoils nothing', (t) =>
  withEsdb(async ({ server, log }) => {
    server.faults.settings.failFeatures = 2;
    const stream = someStream();
    t.true((await log.append(stream, [someEvent()], 'none')).ok);
    t.true((await log.append(stream, [someEvent()], asRevision(0))).ok);
    t.is(server.calls('features'), 3);
    t.is(server.store.log.length, 2);
  }),
);

test.serial(
  'EventStoreDB › with no server at all the log opens, says so within its limits, and goes on once there is one',
  async (t) => {
    const server = await startEsdbServer();
    server.kill();
    const log = await openEventStoreDbLog({ url: server.url, retryMs: 5 });
    const stream = someStream();
    const event = someEvent(0);
    t.false(log.reachable);
    await t.throwsAsync(log.append(stream, [event], 'any'), unavailable);
    await t.throwsAsync(log.readStream(stream, { limit: 1 }), unavailable);
    await t.throwsAsync(log.readAll({ limit: 1 }), unavailable);
    await t.throwsAsync(log.position(), unavailable);
    await t.throwsAsync(log.head(stream), unavailable);
    await t.throwsAsync(log.truncate(stream, asRevision(1)), unavailable);
    await server.restart();
    t.like(await log.append(stream, [event], 'any'), { ok: true, duplicate: false });
    t.true(log.reachable);
    t.is(timesWritten(server, event.id), 1);
    await log.close();
    server.stop();
  },
);

test.serial(
  'EventStoreDB › the server is killed twice under 64 writers: nothing acknowledged is lost, nothing is there twice',
  (t) =>
    withEsdb(async ({ server, log }) => {
      const streams = Array.from({ length: 8 }, someStream);
      const acknowledged: string[] = [];
      const told: string[] = [];
      let done = 0;
      const halfway = [400, 800].map((at) => ({ at, ...Promise.withResolvers<void>() }));
      const writer = async (index: number): Promise<void> => {
        for (let round = 0; round < 20; round++) {
          const event = someEvent(round, round % 2 === 0 ? newId() : randomUUID());
          const stream = streams[(index + round) % streams.length] ?? someStream();
          const result = await log.append(stream, [event], 'any').catch((error: unknown) => error);
          if (result instanceof LogError) told.push(result.code);
          else acknowledged.push(event.id);
          done++;
          for (const { at, resolve } of halfway) if (done === at) resolve();
        }
      };
      const writing = Promise.all(Array.from({ length: 64 }, (_, index) => writer(index)));
      for (const { promise } of halfway) {
        await promise;
        await server.restart();
      }
      await writing;
      t.deepEqual(
        told.filter((code) => code !== 'log_unavailable'),
        [],
      );
      t.is(acknowledged.length + told.length, 64 * 20);
      for (const id of acknowledged) t.is(timesWritten(server, id), 1);
      t.is(new Set(server.store.log.map((event) => event.id)).size, server.store.log.length);
    }),
);
