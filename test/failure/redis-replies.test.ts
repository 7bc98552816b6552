import test from 'ava';
import { Redis } from 'ioredis';
import {
  asRevision,
  type LogEvent,
  type NewEvent,
  type Position,
  type Revision,
} from '../../domain/event.ts';
import { type EventLog, type Expected, LogError } from '../../src/log/event-log.ts';
import { openRedisLog } from '../../src/log/redis.ts';
import { accepted, freshStream, ids, newEvent } from '../log/contract/fixture.ts';
import { redisForTest } from '../support/redis-server.ts';
import { openFaultProxy } from '../support/tcp-proxy.ts';

/** What a caller was told of one append. */
type Told =
  | { readonly outcome: 'written'; readonly revision: Revision; readonly position: Position }
  | { readonly outcome: 'not_written' | 'unknown' }
  | { readonly outcome: 'conflict' };

const tell = async (
  log: EventLog,
  stream: LogEvent['stream'],
  event: NewEvent,
  expected: Expected,
): Promise<Told> => {
  try {
    const result = await log.append(stream, [event], expected);
    const [place] = result.ok ? result.events : [];
    return place === undefined ? { outcome: 'conflict' } : { outcome: 'written', ...place };
  } catch (error) {
    if (!(error instanceof LogError) || error.code !== 'log_unavailable') throw error;
    return { outcome: error.facts.outcome === 'not_written' ? 'not_written' : 'unknown' };
  }
};

const readEverything = async (log: EventLog): Promise<LogEvent[]> => {
  const all: LogEvent[] = [];
  for (let after = log.start, more = true; more; ) {
    const page = await log.readAll({ after, limit: 10_000 });
    all.push(...page.events);
    ({ position: after, more } = page);
  }
  return all;
};

test('redis › 10,000 appends with lost replies, a killed and a stopped server: each told the truth, each there at most once', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const proxy = await openFaultProxy({ target: server, seed: 20_260_701 });
  t.teardown(() => proxy.close());
  const log = await openRedisLog({
    url: `redis://127.0.0.1:${proxy.port}`,
    limits: {
      replyMs: 150,
      connectMs: 250,
      retryMs: { first: 10, most: 100 },
      // Small, so that one lost reply is that of a few appends and not of all that are in flight.
      batch: { appends: 2, events: 2, bytes: 1_000_000 },
    },
  });
  t.teardown(() => log.close());
  // What is dropped is a chunk: the answer to two or four appends, so this loses that of 1 % of them and more.
  proxy.dropReplies(0.02, 'mute');

  const total = 10_000;
  const told = new Map<string, Told>();
  const shared = freshStream();
  const faults: Promise<void>[] = [];
  const fault = (settled: number) => {
    if (settled === 3_000) faults.push(server.kill().then(() => server.start()));
    if (settled === 6_000) {
      server.pause();
      faults.push(proxy.connections(3).then(() => server.resume()));
    }
  };
  let begun = 0;
  const writer = async (index: number): Promise<void> => {
    const own = freshStream();
    let head: Revision | 'none' = 'none';
    while (begun < total) {
      begun++;
      const event = newEvent({ writer: index });
      const alone = begun % 2 === 0;
      const answer = await tell(log, alone ? own : shared, event, alone ? head : 'any');
      told.set(event.id, answer);
      // Nobody else writes to it: a conflict would be a lie, and what is unknown is settled by asking again.
      if (alone) {
        let known = answer;
        while (known.outcome === 'unknown') known = await tell(log, own, event, head);
        if (known.outcome === 'conflict') t.fail('a conflict in a stream with one writer');
        if (known.outcome === 'written') {
          if (known.revision !== (head === 'none' ? 0 : head + 1))
            t.fail('a revision that is not the next one');
          head = known.revision;
        }
      }
      fault(told.size);
    }
  };
  await Promise.all(Array.from({ length: 64 }, (_, index) => writer(index)));
  await Promise.all(faults);
  t.is(faults.length, 2);
  t.true(proxy.dropped >= 10, `${proxy.dropped} replies were dropped`);

  const direct = await openRedisLog({ url: server.url });
  t.teardown(() => direct.close());
  const all = await readEverything(direct);
  const found = new Map(all.map((event) => [event.id, event]));
  t.is(found.size, all.length, 'no event stands twice');
  const count = { written: 0, not_written: 0, unknown: 0, conflict: 0 };
  for (const [id, answer] of told) {
    const event = found.get(id);
    count[answer.outcome]++;
    if (answer.outcome === 'written') {
      if (event?.position !== answer.position || event.revision !== answer.revision)
        t.fail(`${id} is not where it was said`);
    } else if (answer.outcome === 'not_written' && event !== undefined)
      t.fail(`${id} is there against what was said`);
  }
  t.is(told.size, total);
  t.is(count.conflict, 0);
  t.true(count.written > total * 0.95);
  const revisions = new Map<string, number>();
  for (const event of all) {
    if (event.revision !== (revisions.get(event.stream) ?? -1) + 1)
      t.fail(`${event.stream} has a hole or disorder`);
    revisions.set(event.stream, event.revision);
  }
  t.log(`${proxy.dropped} replies dropped; ${JSON.stringify(count)}; ${all.length} events in the log`);
});

test('redis › a reply lost with its connection: plain XADD with resend writes twice, the log once', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const proxy = await openFaultProxy({ target: server, seed: 1 });
  t.teardown(() => proxy.close());
  const url = `redis://127.0.0.1:${proxy.port}`;

  const plain = new Redis(url);
  t.teardown(() => plain.disconnect());
  await plain.ping();
  proxy.dropNextReply('cut');
  await plain.xadd('plain', '*', 'n', '1');
  t.is(await plain.xlen('plain'), 2, 'the control shows the fault');

  const log = await openRedisLog({ url });
  t.teardown(() => log.close());
  const stream = freshStream();
  const event = newEvent();
  proxy.dropNextReply('cut');
  const result = accepted(await log.append(stream, [event], 'any'));
  t.true(result.duplicate);
  t.deepEqual(ids(await log.readStream(stream, { limit: 10 })), [event.id]);
});

test('redis › a conflict whose reply was lost is still that conflict', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const proxy = await openFaultProxy({ target: server, seed: 1 });
  t.teardown(() => proxy.close());
  const log = await openRedisLog({ url: `redis://127.0.0.1:${proxy.port}` });
  t.teardown(() => log.close());
  const stream = freshStream();
  accepted(await log.append(stream, [newEvent()], 'none'));
  proxy.dropNextReply('cut');
  const result = await log.append(stream, [newEvent()], 'none');
  t.deepEqual(result, { ok: false, stream, expected: 'none', actual: asRevision(0) });
});

test('redis › a watcher whose connection is cut and muted again and again misses nothing and repeats nothing', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const proxy = await openFaultProxy({ target: server, seed: 7 });
  t.teardown(() => proxy.close());
  const writer = await openRedisLog({ url: server.url });
  t.teardown(() => writer.close());
  const limits = { replyMs: 200, blockMs: 100, retryMs: { first: 5, most: 20 } };
  const reader = await openRedisLog({ url: `redis://127.0.0.1:${proxy.port}`, limits });
  t.teardown(() => reader.close());

  const stream = freshStream();
  const written: string[] = [];
  const append = async () => {
    const event = newEvent();
    accepted(await writer.append(stream, [event], 'any'));
    written.push(event.id);
  };
  await append();
  const seen: string[] = [];
  const stop = new AbortController();
  for await (const batch of reader.watch({ after: reader.start, signal: stop.signal })) {
    seen.push(...ids(batch));
    if (seen.length >= 60) stop.abort();
    else if (seen.length >= written.length) {
      if (seen.length % 3 === 0) proxy.cut();
      if (seen.length % 10 === 1) proxy.dropNextReply('mute');
      await Promise.all([append(), append()]);
    }
  }
  t.deepEqual(seen, written);
});
