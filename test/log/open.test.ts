import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { LogError, logStream } from '../../src/log/event-log.ts';
import { readIdentity } from '../../src/log/identity.ts';
import {
  begin,
  closedPort,
  esdbFor,
  folderFor,
  identifyEsdb,
  identifyFolder,
  openFolder,
  someEvent,
  stream,
} from './open-world.ts';

const away = async (): Promise<string> => `redis://127.0.0.1:${await closedPort()}`;

test('without a memory › the first reachable log that has an identity wins over an earlier one without', async (t) => {
  const [empty, folder] = [await esdbFor(t), await folderFor(t)];
  const logId = await identifyFolder(folder);
  const { opening, lines } = begin(t, [await away(), empty.url, `file:${folder}`]);
  const chosen = await opening;
  t.is(chosen.logId, logId);
  t.is(chosen.log.kind, 'embedded');
  t.is(empty.store.log.length, 0, 'nothing was written into the empty one');
  t.regex(await lines.saw(/event log chosen/), new RegExp(`"log":"file:${folder}","logId":"${logId}"`));
});

test('without a memory › of several with an identity the first one wins, and the others are not looked at', async (t) => {
  const [server, folder] = [await esdbFor(t), await folderFor(t)];
  const logId = await identifyEsdb(server);
  await identifyFolder(folder);
  const locked = await openFolder(folder);
  t.teardown(() => locked.close());
  const { opening } = begin(t, [server.url, `file:${folder}`]);
  t.is((await opening).logId, logId);
});

test('without a memory › where none has an identity, the first reachable one gets it', async (t) => {
  const [server, folder] = [await esdbFor(t), await folderFor(t)];
  const unmade = join(folder, 'unmade');
  const { opening } = begin(t, [await away(), server.url, `file:${unmade}`]);
  const { log, logId } = await opening;
  t.is(log.kind, 'eventstoredb');
  t.is(await readIdentity(log), logId);
  t.like((await log.readStream(logStream, { limit: 10 }))[0], { type: 'LogCreated', data: { logId } });
  t.false(existsSync(unmade), 'a folder that was not chosen is not made');
});

test('without a memory › a folder that does not exist counts as reachable, and is made when it is chosen', async (t) => {
  const [server, folder] = [await esdbFor(t), await folderFor(t)];
  const unmade = join(folder, 'unmade');
  const { opening } = begin(t, [await away(), `file:${unmade}`, server.url]);
  t.is((await opening).log.kind, 'embedded');
  t.true(existsSync(unmade));
  t.is(server.store.log.length, 0);
});

test('without a memory › while none can be reached it waits, says so once, and takes the first that can', async (t) => {
  const server = await esdbFor(t);
  const logId = await identifyEsdb(server);
  server.kill();
  const { opening, lines } = begin(t, [await away(), server.url]);
  await lines.saw(/waiting for the event log/);
  await server.restart();
  t.is((await opening).logId, logId);
  const told = lines.all().filter((line) => line.includes('waiting for the event log'));
  t.is(new Set(told.map((line) => JSON.parse(line).msg)).size, told.length, 'no sentence comes twice');
});

test('with a memory › its own log is taken wherever it stands, and no other is touched', async (t) => {
  const [server, folder, empty] = [await esdbFor(t), await folderFor(t), await esdbFor(t)];
  const logId = await identifyFolder(folder);
  await identifyEsdb(server);
  const before = server.store.log.length;
  const memory = { logId, kind: 'embedded' } as const;
  const { opening } = begin(t, [server.url, empty.url, `file:${folder}`], { memory });
  t.is((await opening).logId, logId);
  t.is(server.store.log.length, before);
  t.is(empty.store.log.length, 0);
});

test('with a memory › another log is taken only when it is accepted by name', async (t) => {
  const [mine, other] = [await esdbFor(t), await folderFor(t)];
  const memory = { logId: await identifyEsdb(mine), kind: 'eventstoredb' } as const;
  const otherId = await identifyFolder(other);
  const urls = [mine.url, `file:${other}`];
  const refused = begin(t, urls, { memory });
  t.is((await refused.opening).logId, memory.logId);
  const accepted = begin(t, urls, { memory, acceptLog: otherId });
  t.is((await accepted.opening).logId, otherId);
});

test('with a memory › an accepted log that is not there is waited for, with no gate and nothing else taken', async (t) => {
  const mine = await esdbFor(t);
  const memory = { logId: await identifyEsdb(mine), kind: 'eventstoredb' } as const;
  const acceptLog = '0199aaaa-0000-7000-8000-000000000000';
  const { opening, lines, stop } = begin(t, [mine.url], { memory, acceptLog });
  t.true((await lines.saw(/waiting for the event log/)).includes(acceptLog));
  stop();
  await t.throwsAsync(opening, { name: 'AbortError' });
});

test('a locked log is an error of the start, never fallen back from', async (t) => {
  const [folder, server] = [await folderFor(t), await esdbFor(t)];
  const holder = await openFolder(folder);
  t.teardown(() => holder.close());
  const { opening } = begin(t, [`file:${folder}`, server.url]);
  const error = await t.throwsAsync(opening, { instanceOf: LogError });
  t.is(error.code, 'log_failed');
  t.regex(error.message, /is open already, by process \d+/);
  t.is(server.store.log.length, 0);
});

test('a log whose first event holds no identity is an error of the start, never fallen back from', async (t) => {
  const [folder, server] = [await folderFor(t), await esdbFor(t)];
  const log = await openFolder(folder);
  await log.append(logStream, [someEvent('LogCreated', { logId: 17 })], 'none');
  await log.close();
  const { opening } = begin(t, [`file:${folder}`, server.url]);
  const error = await t.throwsAsync(opening, { instanceOf: LogError });
  t.is(error.code, 'log_corrupt');
  t.is(server.store.log.length, 0);
});

test('what was looked at and not chosen is closed', async (t) => {
  const [empty, server] = [await folderFor(t), await esdbFor(t)];
  await (await openFolder(empty)).close();
  const logId = await identifyEsdb(server);
  const { opening } = begin(t, [`file:${empty}`, server.url]);
  t.is((await opening).logId, logId);
  const again = await openFolder(empty);
  t.is((await again.append(stream, [someEvent()], 'none')).ok, true);
  await again.close();
});

test('what was opened is closed when the start fails', async (t) => {
  const [empty, locked] = [await folderFor(t), await folderFor(t)];
  await (await openFolder(empty)).close();
  const holder = await openFolder(locked);
  t.teardown(() => holder.close());
  const { opening } = begin(t, [`file:${empty}`, `file:${locked}`]);
  await t.throwsAsync(opening, { instanceOf: LogError });
  const again = await openFolder(empty);
  await again.close();
  t.pass();
});

test('nodes that open an empty log at once get one identity', async (t) => {
  const server = await esdbFor(t);
  const nodes = Array.from({ length: 8 }, (_, index) => begin(t, [server.url], { node: `node-${index}` }));
  const opened = await Promise.all(nodes.map(({ opening }) => opening));
  t.is(new Set(opened.map(({ logId }) => logId)).size, 1);
  const [first] = opened;
  t.is((await first?.log.readStream(logStream, { limit: 10 }))?.length, 1);
});
