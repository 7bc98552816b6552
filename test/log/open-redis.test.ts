import test from 'ava';
import { Redis } from 'ioredis';
import { LogError, logStream } from '../../src/log/event-log.ts';
import { nameOfLog } from '../../src/log/log-name.ts';
import { openRedisLog } from '../../src/log/redis.ts';
import { type RedisServer, redisForTest } from '../support/redis-server.ts';
import {
  begin,
  closedPort,
  esdbFor,
  folderFor,
  identify,
  identifyFolder,
  opened,
  openFolder,
  someEvent,
  stream,
} from './open-world.ts';

/** Runs `body` over a connection of its own. */
const ask = async <Value>(server: RedisServer, body: (redis: Redis) => Promise<Value>): Promise<Value> => {
  const redis = new Redis(server.url, { connectionName: 'the-test' });
  try {
    return await body(redis);
  } finally {
    redis.disconnect();
  }
};

/** Names of the connections that the server has, but for the test's own. */
const connections = (server: RedisServer): Promise<readonly string[]> =>
  ask(server, async (redis) => {
    const list = String(await redis.client('LIST'));
    return [...list.matchAll(/ name=(\S*)/g)]
      .map(([, name = '']) => name)
      .filter((name) => name !== 'the-test');
  });

const until = async (holds: () => Promise<boolean>): Promise<void> => {
  while (!(await holds()));
};

test('two nodes that open a fresh Redis at once get one identity', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const nodes = ['a', 'b', 'c', 'd'].map((node) => begin(t, [server.url], { node }));
  const all = await Promise.all(nodes.map(({ opening }) => opening));
  t.is(new Set(all.map(({ logId }) => logId)).size, 1);
  t.is((await all[0]?.log.readStream(logStream, { limit: 10 }))?.length, 1);
});

test('a Redis that was looked at and not chosen has no connection left', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const folder = await folderFor(t);
  const logId = await identifyFolder(folder);
  const { opening } = begin(t, [server.url, `file:${folder}`]);
  t.is((await opening).logId, logId);
  await until(async () => (await connections(server)).length === 0);
  t.pass();
});

test('a start that fails leaves no connection', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const folder = await folderFor(t);
  const holder = await openFolder(folder);
  t.teardown(() => holder.close());
  await t.throwsAsync(begin(t, [server.url, `file:${folder}`]).opening, { instanceOf: LogError });
  await until(async () => (await connections(server)).length === 0);
  t.pass();
});

test('a remembered Redis that was emptied › is not its log, nothing is written, and its own is taken when it is back', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const logId = await identify(openRedisLog({ url: server.url }));
  const dump = await ask(server, async (redis) => {
    const keys = await redis.keys('*');
    const values = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
    await redis.flushall();
    return keys.map((key, index) => ({ key, value: values[index] ?? Buffer.alloc(0) }));
  });
  const { opening, lines } = begin(t, [server.url], { memory: { logId, kind: 'redis' } });
  const { log } = await opening;
  await lines.saw(/waiting for the event log.*is empty/);
  await t.throwsAsync(log.append(stream, [someEvent()], 'none'), {
    instanceOf: LogError,
    code: 'log_unavailable',
  });
  t.is(await ask(server, (redis) => redis.dbsize()), 0);
  await ask(server, async (redis) => {
    for (const { key, value } of dump) await redis.restore(key, 0, value);
  });
  await opened(log);
  t.is((await log.append(stream, [someEvent()], 'none')).ok, true);
});

test('a start that waits for a server that does not answer ends when it is asked to', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  server.pause();
  const { opening, stop } = begin(t, [server.url]);
  stop();
  await t.throwsAsync(opening, { name: 'AbortError' });
  server.resume();
  await until(async () => (await connections(server)).length === 0);
});

test('what a given-up look opens late is closed', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  await identify(openRedisLog({ url: server.url }));
  const { opening, stop } = begin(t, [server.url]);
  await until(async () => (await connections(server)).length > 0);
  stop();
  await opening.catch(() => undefined);
  // Chosen just before it was given up, it belongs to the caller.
  await opening.then(({ log }) => log.close()).catch(() => undefined);
  await until(async () => (await connections(server)).length === 0);
  t.pass();
});

test('no secret of a URL is in a line or a message, whether the log is away, refuses it, or is chosen', async (t) => {
  const secret = 'S3CRET';
  const esdb = await esdbFor(t);
  const closed = await closedPort();
  const servers = [
    `redis://user:${secret}@127.0.0.1:${closed}`,
    `redis://127.0.0.1:${closed}/0?password=${secret}`,
    `esdb://admin:${secret}@127.0.0.1:${closed}?tls=false`,
  ];
  const { opening, lines } = begin(t, [...servers, esdb.url.replace('esdb://', `esdb://admin:${secret}@`)]);
  await opening;
  const waiting = begin(t, servers);
  await waiting.lines.saw(/waiting for the event log/);
  t.false(waiting.lines.text().includes(secret), waiting.lines.text());
  t.false(lines.text().includes(secret), lines.text());
  t.regex(lines.text(), /event log chosen/);
  for (const url of [`redis://user:${secret}@`, `redis://user:a/${secret}@host`, `esdb://user:${secret}@`]) {
    const error = await t.throwsAsync(begin(t, [url]).opening, { instanceOf: LogError });
    t.false(String(error.stack).includes(secret), error.stack);
  }
});

test('a wrong password › is a log that cannot be reached, with the server’s reason and without the password', async (t) => {
  const server = await redisForTest(t, { args: ['--requirepass', 'right'] });
  if (server === undefined) return;
  const secret = 'S3CRET';
  const url = server.url.replace('redis://', `redis://:${secret}@`);
  const { lines } = begin(t, [url]);
  const line = await lines.saw(/waiting for the event log/);
  t.regex(line, /WRONGPASS|NOAUTH/);
  t.false(lines.text().includes(secret), lines.text());
});

const names: readonly (readonly [string, string])[] = [
  ['redis://user:p%40ss@host:6379/0?family=6', 'redis://host:6379'],
  ['redis://user:p@ss@host', 'redis://host'],
  ['redis://host', 'redis://host'],
  ['redis://user:pa/ss@host', 'redis://…'],
  ['redis://user:pa?ss@host', 'redis://…'],
  ['redis://host/0?password=p@ss', 'redis://…'],
  ['rediss://host:1/0?password=pass', 'rediss://host:1'],
  ['esdb://admin:changeit@one:2113,two:2113?tls=true', 'esdb://one:2113,two:2113'],
  ['esdb+discover://admin:changeit@cluster.example', 'esdb+discover://cluster.example'],
  ['file:/var/lib/n@exus', 'file:/var/lib/n@exus'],
];

for (const [url, name] of names) {
  test(`the name of ${url} is ${name}`, (t) => {
    t.is(nameOfLog(url), name);
  });
}
