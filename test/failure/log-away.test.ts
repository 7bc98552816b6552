import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Redis } from 'ioredis';
import { type EsdbServer, startEsdbServer } from '../support/esdb-server.ts';
import { openHub } from '../support/hub.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { type RedisServer, redisForTest } from '../support/redis-server.ts';
import { readWholeLog, request } from '../support/rest.ts';
import {
  fill,
  losesItsLog,
  openWatchers,
  type Remote,
  refusesWrites,
  seesAll,
  servesReads,
  writesAgain,
} from './log-away.ts';

const folderFor = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-away-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const processFor = async (t: ExecutionContext, folder: string, log: string): Promise<HubProcess> => {
  const hub = await startHubProcess(folder, ['--log', log]);
  t.teardown(() => hub.kill('SIGKILL'));
  return hub;
};

const redisRemote = (server: RedisServer): Remote => ({ stop: server.kill, start: server.start });
const esdbRemote = (server: EsdbServer): Remote => ({
  stop: async () => server.kill(),
  start: server.restart,
});

test('redis › stopped and started again: writes are refused, reads go on, then writes and watchers go on', async (t) => {
  t.timeout(120_000);
  const server = await redisForTest(t);
  if (server === undefined) return;
  const hub = await processFor(t, await folderFor(t), server.url);
  await losesItsLog(t, hub.url, redisRemote(server));
  t.is(await hub.kill('SIGTERM'), 0);
  t.notRegex(hub.stderr(), /"level":"(error|fatal)"/);
});

test('eventstoredb › stopped and started again: writes are refused, reads go on, then writes and watchers go on', async (t) => {
  t.timeout(120_000);
  const server = await startEsdbServer();
  t.teardown(() => server.stop());
  const hub = await openHub({ log: [server.url] });
  t.teardown(() => hub.close());
  await losesItsLog(t, hub.url, esdbRemote(server));
  t.deepEqual(
    hub.logged.filter(({ level }) => level === 'error'),
    [],
  );
});

test('redis › a hub that is started while its log is away serves reads, and writes when the log is back', async (t) => {
  t.timeout(120_000);
  const server = await redisForTest(t);
  if (server === undefined) return;
  const folder = await folderFor(t);
  const before = await processFor(t, folder, server.url);
  await fill(t, before.url);
  t.is(await before.kill('SIGTERM'), 0);
  await server.kill();

  const hub = await processFor(t, folder, server.url);
  t.regex(hub.ready, / log=redis /);
  await servesReads(t, hub.url);
  await refusesWrites(t, hub.url);
  await server.start();
  await writesAgain(t, hub.url);
  await seesAll(t, await openWatchers(t, hub.url), 3, 3);
  const types = (await readWholeLog(hub.url)).map(({ type }) => type);
  t.is(types.filter((type) => type === 'NodeStarted').length, 2, 'the start is recorded when it can be');
  t.is(await hub.kill('SIGTERM'), 0);
});

test('redis › a hub that waits for its log ends within its drain when it is asked to', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const folder = await folderFor(t);
  const before = await processFor(t, folder, server.url);
  await before.kill('SIGTERM');
  await server.kill();
  const waiting = await processFor(t, folder, server.url);
  t.is(await waiting.kill('SIGTERM'), 0);
});

test('redis › emptied under a running hub: nothing is written into the new history, and reads go on', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const hub = await processFor(t, await folderFor(t), server.url);
  await fill(t, hub.url);
  const redis = new Redis(server.url);
  t.teardown(() => redis.disconnect());
  await redis.flushall();
  await refusesWrites(t, hub.url);
  const keys = await redis.keys('*');
  // What the nodes share of the limits of requests is no history, and is told now and then.
  t.deepEqual(
    keys.filter((key) => !key.startsWith('nexus:limit:')),
    [],
  );
  const state = await request(hub.url, 'GET', '/state/k');
  t.like(state.body, { value: 'two', version: 2 });
  t.like((await request(hub.url, 'GET', '/health')).body, { status: 'degraded' });
});
