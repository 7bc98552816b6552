import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Redis } from 'ioredis';
import { asRevision } from '../../domain/event.ts';
import { type EventLog, LogError } from '../../src/log/event-log.ts';
import { openRedisLog, type RedisLogOptions } from '../../src/log/redis.ts';
import { accepted, freshStream, ids, newEvent, newEvents } from '../log/contract/fixture.ts';
import { type RedisServer, redisForTest } from '../support/redis-server.ts';

const quick = { replyMs: 300, connectMs: 300, graceMs: 200, callMs: 1_500, retryMs: { first: 10, most: 50 } };

const openLog = async (
  t: ExecutionContext,
  url: string,
  limits: RedisLogOptions['limits'] = quick,
): Promise<EventLog> => {
  const log = await openRedisLog({ url, limits });
  t.teardown(() => log.close());
  return log;
};

const connect = (t: ExecutionContext, server: RedisServer): Redis => {
  const redis = new Redis(server.url);
  t.teardown(() => redis.disconnect());
  return redis;
};

/** Asks again until the answer is yes: the tests' own limit of time ends it when it never is. */
const until = async (question: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await question())) await delay(5);
};

/** The error with which a promise rejects. */
const refusal = async (t: ExecutionContext, outcome: Promise<unknown>): Promise<LogError> => {
  const error = await t.throwsAsync(outcome, { instanceOf: LogError });
  if (error instanceof LogError) return error;
  throw new Error('no LogError');
};

test('redis › an emptied server is not taken for the same log: nothing is written, and it says why', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  const log = await openLog(t, server.url);
  accepted(await log.append(freshStream(), newEvents(3), 'none'));
  await redis.flushall();

  const error = await refusal(t, log.append(freshStream(), [newEvent()], 'none'));
  t.is(error.code, 'log_unavailable');
  t.regex(error.message, /was emptied.*nothing was written/);
  t.is((await refusal(t, log.readAll({ limit: 10 }))).code, 'log_unavailable');
  t.is((await refusal(t, log.position())).code, 'log_unavailable');
  t.is(await redis.dbsize(), 0);
  t.false(log.reachable);
});

test('redis › a server with another history is refused until its own one is back', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  const log = await openLog(t, server.url);
  const stream = freshStream();
  accepted(await log.append(stream, newEvents(3), 'none'));
  const epoch = (await redis.hget('nexus:meta', 'epoch')) ?? '';
  await redis.hset('nexus:meta', 'epoch', 'another');
  t.regex((await refusal(t, log.append(stream, [newEvent()], 'any'))).message, /another history/);

  await redis.hset('nexus:meta', 'epoch', epoch, 'sequence', '2');
  await until(async () => /behind/.test((await refusal(t, log.append(stream, [newEvent()], 'any'))).message));

  await redis.hset('nexus:meta', 'sequence', '3');
  await until(() => log.reachable);
  accepted(await log.append(stream, [newEvent()], asRevision(2)));
});

test('redis › a server that is away: opening resolves, calls are refused in time, and it goes on when it is there', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  await server.kill();
  const log = await openLog(t, server.url);
  t.false(log.reachable);
  t.false(log.durability.durable);
  const stream = freshStream();
  const error = await refusal(t, log.append(stream, [newEvent()], 'none'));
  t.is(error.code, 'log_unavailable');
  t.is(error.facts.outcome, 'not_written');
  t.is((await refusal(t, log.readStream(stream, { limit: 1 }))).code, 'log_unavailable');
  await server.start();
  await until(() => log.reachable);
  t.true(log.durability.durable);
  accepted(await log.append(stream, [newEvent()], 'none'));
  await server.kill();
  await until(() => !log.reachable);
  await server.start();
  await until(() => log.reachable);
  accepted(await log.append(stream, [newEvent()], asRevision(0)));
  t.is((await log.readStream(stream, { limit: 10 })).length, 2);
});

test('redis › a stopped server: what was sent is unknown, what waits is not written, and the queue is bounded', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const log = await openLog(t, server.url, { ...quick, batchesInFlight: 1, waitingAppends: 3 });
  const stream = freshStream();
  accepted(await log.append(stream, [newEvent()], 'none'));
  server.pause();
  const sent = newEvent();
  const first = refusal(t, log.append(stream, [sent], 'any'));
  await new Promise(setImmediate);
  const later = [newEvent(), newEvent()].map((event) => refusal(t, log.append(stream, [event], 'any')));
  t.regex((await refusal(t, log.append(stream, [newEvent()], 'any'))).message, /too many appends waiting/);
  const unknown = await first;
  t.is(unknown.facts.outcome, 'unknown');
  t.regex(unknown.message, /unknown; trying again with the same ids is safe/);
  for (const error of await Promise.all(later)) t.is(error.facts.outcome, 'not_written');
  server.resume();
  await until(() => log.reachable);
  const again = accepted(await log.append(stream, [sent], 'any'));
  t.is(again.events[0]?.revision, asRevision(1));
  t.is((await log.readStream(stream, { limit: 10 })).filter((event) => event.id === sent.id).length, 1);
});

test('redis › a server out of memory: log_full, truncating and scavenging still work, and appends resume', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  const log = await openLog(t, server.url);
  const stream = freshStream();
  accepted(await log.append(stream, newEvents(100), 'none'));
  await redis.config('SET', 'maxmemory', '1mb');
  const error = await refusal(t, log.append(stream, [newEvent()], asRevision(99)));
  t.is(error.code, 'log_full');
  t.is(error.facts.outcome, 'not_written');
  t.is((await log.readStream(stream, { limit: 1_000 })).length, 100);
  await log.truncate(stream, asRevision(90));
  t.is((await log.scavenge()).events, 90);
  await redis.config('SET', 'maxmemory', '0');
  accepted(await log.append(stream, [newEvent()], asRevision(99)));
});

test('redis › a server that cannot write its snapshot is log_full, and appends resume', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  const log = await openLog(t, server.url);
  const stream = freshStream();
  await mkdir(join(server.folder, 'dump.rdb'));
  await redis.config('SET', 'save', '3600 1');
  await redis.set('other', '1');
  await redis.bgsave();
  await until(async () => (await redis.info('persistence')).includes('rdb_last_bgsave_status:err'));
  const error = await refusal(t, log.append(stream, [newEvent()], 'none'));
  t.is(error.code, 'log_full');
  t.is(error.facts.outcome, 'not_written');
  await redis.config('SET', 'save', '');
  accepted(await log.append(stream, [newEvent()], 'none'));
});

test('redis › a server that was made a replica refuses writes, still reads, and goes on when it is a primary', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  const log = await openLog(t, server.url);
  const stream = freshStream();
  const [event] = newEvents(1);
  accepted(await log.append(stream, event === undefined ? [] : [event], 'none'));
  await redis.replicaof('127.0.0.1', '1');
  const error = await refusal(t, log.append(stream, [newEvent()], 'any'));
  t.is(error.code, 'log_unavailable');
  t.regex(error.message, /read-only replica/);
  t.deepEqual(ids(await log.readStream(stream, { limit: 1 })), [event?.id ?? '']);
  await redis.replicaof('NO', 'ONE');
  await until(() => log.reachable);
  accepted(await log.append(stream, [newEvent()], asRevision(0)));
});

test('redis › a server that forgot its scripts is taught them again', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  // A busy machine may take longer than that to connect anew.
  const log = await openLog(t, server.url, { ...quick, graceMs: 30_000, callMs: 30_000 });
  const stream = freshStream();
  accepted(await log.append(stream, [newEvent()], 'none'));
  await redis.script('FLUSH');
  t.is((await log.readStream(stream, { limit: 10 })).length, 1);
  await redis.script('FLUSH');
  t.false(accepted(await log.append(stream, [newEvent()], asRevision(0))).duplicate);
});

test('redis › a wrong password and a missing permission are said, and never the password', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  await redis.acl('SETUSER', 'plain', 'on', '>open-sesame', '~nexus:*', '+@all', '-@dangerous');
  await redis.acl(
    'SETUSER',
    'reader',
    'on',
    '>open-sesame',
    '~nexus:*',
    '+@read',
    '+@connection',
    '+@scripting',
  );
  const url = (user: string, password: string) => `redis://${user}:${password}@${server.host}:${server.port}`;

  const stranger = await openLog(t, url('plain', 'wrong-secret'));
  const error = await refusal(t, stranger.append(freshStream(), [newEvent()], 'none'));
  t.is(error.code, 'log_unavailable');
  t.regex(error.message, /WRONGPASS|NOAUTH/);
  t.notRegex(error.message, /wrong-secret/);

  const plain = await openLog(t, url('plain', 'open-sesame'));
  accepted(await plain.append(freshStream(), [newEvent()], 'none'));
  t.false(plain.durability.durable);
  t.regex(plain.durability.note, /CONFIG GET is refused/);

  const reader = await openLog(t, url('reader', 'open-sesame'));
  const forbidden = await refusal(t, reader.append(freshStream(), [newEvent()], 'none'));
  t.is(forbidden.code, 'log_unavailable');
  t.regex(forbidden.message, /permission/);
});

test('redis › durability is what the settings of the server promise', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  const noteWith = async (...settings: [string, string][]) => {
    for (const [name, value] of settings) await redis.config('SET', name, value);
    return (await openLog(t, server.url)).durability;
  };
  t.true((await noteWith()).durable);
  const weak = [
    await noteWith(['maxmemory', '1gb'], ['maxmemory-policy', 'allkeys-lru']),
    await noteWith(['maxmemory', '0'], ['no-appendfsync-on-rewrite', 'yes']),
    await noteWith(['no-appendfsync-on-rewrite', 'no'], ['appendfsync', 'everysec']),
    await noteWith(['appendonly', 'no']),
  ];
  t.deepEqual(
    weak.map(({ durable, note }) => [durable, note.split(':')[0]]),
    [
      [false, 'maxmemory-policy allkeys-lru'],
      [false, 'no-appendfsync-on-rewrite yes'],
      [false, 'appendfsync everysec'],
      [false, 'appendonly no'],
    ],
  );
});

test('redis › an entry that something else has added is corruption by name, and appends do not bury it', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const redis = connect(t, server);
  const log = await openLog(t, server.url);
  const stream = freshStream();
  accepted(await log.append(stream, [newEvent()], 'none'));
  await redis.xadd('nexus:log', '*', 'foreign', 'entry');
  const error = await refusal(t, log.readAll({ limit: 10 }));
  t.is(error.code, 'log_corrupt');
  t.is((await refusal(t, log.append(stream, [newEvent()], asRevision(0)))).code, 'log_corrupt');
  t.deepEqual(await log.head(stream), { revision: asRevision(0), truncatedBefore: asRevision(0) });
});
