import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { askGraphql } from '../support/graphql.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { request, until } from '../support/rest.ts';
import { skipped } from '../support/skip.ts';
import { openWs } from '../support/ws-client.ts';
import { checkSound, headOf, nothingTold, type Told, writeAll } from './hub-rounds.ts';
import { mountLoopDisk, whyNoLoopDisk } from './loop-disk.ts';

/** The log leaves 64 MiB free. */
const diskMegabytes = 192;
const logReserveBytes = 64 * 2 ** 20;

const freeBytes = (directory: string): number => {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
};

/** Takes room until `leave` bytes are free, as other programs do. */
const takeRoom = (file: string, leave: number): void => {
  const descriptor = openSync(file, 'w');
  const block = Buffer.alloc(2 ** 20);
  try {
    for (let free = freeBytes(file); free > leave; free = freeBytes(file)) {
      writeSync(descriptor, block, 0, Math.min(block.length, free - leave));
      fsyncSync(descriptor);
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  } finally {
    closeSync(descriptor);
  }
};

const start = async (t: ExecutionContext, folder: string): Promise<HubProcess> => {
  const stateFile = join(folder, 'state.json');
  const hub = await startHubProcess(folder, [], {
    NEXUS_STATE_FILE: stateFile,
    NEXUS_SNAPSHOT_EVERY_SEC: '1',
  });
  t.teardown(() => hub.kill('SIGKILL'));
  return hub;
};

/** Every door refuses a write for want of room, and answers a read. */
const assertFull = async (t: ExecutionContext, { url }: HubProcess): Promise<void> => {
  const rest = await request(url, 'PUT', '/state/more', { body: { value: 'x' } });
  t.like(rest, { status: 507, body: { code: 'log_full' } });
  const graphql = await askGraphql({ url }, 'mutation { setState(key: "more", value: 1) { success } }');
  t.is(graphql.errors[0]?.extensions.code, 'log_full');
  const ws = await openWs(url);
  t.like(await ws.ask({ type: 'publish', topic: 'more', payload: 1 }), { type: 'error', code: 'log_full' });
  await ws.close();

  t.like(await request(url, 'GET', '/health'), { status: 200, body: { status: 'ok' } });
  t.is((await request(url, 'GET', '/state?limit=1000')).status, 200);
  t.is((await request(url, 'GET', '/log?limit=10')).status, 200);
  t.is((await askGraphql({ url }, '{ services { id } }')).errors.length, 0);
};

/** lmdb tells of a write that found room for a part only as of an I/O error. */
const diskFailed = /nexus: a disk failed and this process ends: .*(No space left|Input\/output error|hangs)/;

const assertEnded = async (t: ExecutionContext, hub: HubProcess): Promise<void> => {
  t.is(await hub.exited, 1, hub.stderr());
  t.regex(hub.stderr(), diskFailed);
};

/** As `assertFull`, unless read models were being written when others took their room: then the hub ends, and says why. */
const assertFullOrEnded = async (t: ExecutionContext, hub: HubProcess): Promise<void> => {
  try {
    await assertFull(t, hub);
  } catch (error) {
    if (!(error instanceof TypeError && error.message === 'fetch failed')) throw error;
    await assertEnded(t, hub);
  }
};

const write = (hub: HubProcess, told: Told, name: string, seed: number): Promise<void> =>
  writeAll(hub, told, { writers: 16, name, seed, pad: ` ${'x'.repeat(20_000)}` });

/** Every writer was told that there is no room, none that its connection ended. */
const assertRefused = (t: ExecutionContext, told: Told): void => {
  t.deepEqual([told.broken, told.pending], [[], []]);
  const answers = told.refused.splice(0).map((line) => line.replace(/^.*: /, ''));
  t.deepEqual(answers, Array(16).fill('507 log_full'));
};

test('full disk › is refused at every door while reads go on, survives a restart, and passes when there is room', async (t) => {
  const reason = whyNoLoopDisk();
  if (reason !== undefined) return skipped(t, t.title, reason);
  const disk = mountLoopDisk(diskMegabytes);
  t.teardown(() => disk.remove());
  const folder = join(disk.directory, 'hub');
  mkdirSync(folder);
  const [ballast, rest] = [join(disk.directory, 'ballast'), join(disk.directory, 'rest')];
  const told = nothingTold();
  let hub = await start(t, folder);

  takeRoom(ballast, logReserveBytes + 12 * 2 ** 20);
  await write(hub, told, 'first', 1);
  const first = told.acknowledged.length;
  t.true(first > 0);
  assertRefused(t, told);
  // Where exactly the border is depends on the size of a write, and on the snapshot that is being written.
  takeRoom(rest, logReserveBytes - 4 * 2 ** 20);
  await assertFull(t, hub);

  // What is left is taken by others.
  takeRoom(rest, 0);
  await assertFullOrEnded(t, hub);
  await hub.kill('SIGKILL');
  hub = await start(t, folder);
  const failed = 'the snapshot of the state could not be written';
  await until(
    () => request(hub.url, 'GET', '/health'),
    () => hub.stderr().includes(failed),
  );
  await assertFull(t, hub);

  rmSync(rest);
  rmSync(ballast);
  takeRoom(ballast, logReserveBytes + 8 * 2 ** 20);
  await write(hub, told, 'second', 2);
  t.true(told.acknowledged.length > first, 'there was room again');
  assertRefused(t, told);
  t.is(await hub.kill('SIGTERM'), 0, hub.stderr());
  t.is(JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')).format, 'nexus-state');
  const events = await checkSound(t, folder, told.acknowledged);
  t.log(`${first} writes beside the ballast, ${told.acknowledged.length - first} after it, ${events} events`);
});

test('full disk › that others fill in the middle of writing ends the hub with a message at worst, and loses nothing', async (t) => {
  const reason = whyNoLoopDisk();
  if (reason !== undefined) return skipped(t, t.title, reason);
  const disk = mountLoopDisk(diskMegabytes);
  t.teardown(() => disk.remove());
  const folder = join(disk.directory, 'hub');
  mkdirSync(folder);
  const told = nothingTold();
  const hub = await start(t, folder);
  const writing = write(hub, told, 'first', 1);
  while ((await headOf(hub)) < 200);
  const rest = join(disk.directory, 'rest');
  await once(spawn('dd', ['if=/dev/zero', `of=${rest}`, 'bs=1M'], { stdio: 'ignore' }), 'exit');
  await writing;
  t.deepEqual(told.pending, []);
  const ended = told.broken.length > 0;
  if (ended) await assertEnded(t, hub);
  else assertRefused(t, told);
  await hub.kill('SIGKILL');

  const again = await start(t, folder);
  await assertFull(t, again);
  rmSync(rest);
  await again.kill('SIGTERM');
  const events = await checkSound(t, folder, told.acknowledged);
  t.log(`${told.acknowledged.length} acknowledged, ${events} events, ${ended ? 'ended' : 'refused'}`);
});
