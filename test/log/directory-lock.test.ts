import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { lockDirectory } from '../../src/log/directory-lock.ts';
import { LogError } from '../../src/log/event-log.ts';
import { skipped } from '../support/skip.ts';
import { folderFor } from './open-world.ts';

const child = join(import.meta.dirname, 'lock-child.ts');

/** Another process that locks `folder`, and what it says; `command` stands in front of it. */
const another = async (
  t: ExecutionContext,
  folder: string,
  command: readonly string[] = [],
): Promise<{ readonly process: ChildProcess; readonly said: string }> => {
  const [program = '', ...args] = [...command, process.execPath, child, folder];
  const started = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => started.kill('SIGKILL'));
  const [chunk] = await once(started.stdout, 'data');
  return { process: started, said: String(chunk).trim() };
};

const killed = async (process: ChildProcess): Promise<void> => {
  const gone = once(process, 'exit');
  process.kill('SIGKILL');
  await gone;
};

test('a folder is locked once, by this process too, and free again when it is released', async (t) => {
  const folder = await folderFor(t);
  const lock = await lockDirectory(folder, 'the folder');
  const refused = {
    instanceOf: LogError,
    code: 'log_failed',
    message: /^the folder in .* is open already, by process/,
  };
  await t.throwsAsync(lockDirectory(folder, 'the folder'), refused);
  t.regex((await another(t, folder)).said, new RegExp(`is open already, by process ${process.pid} on `));
  await lock.release();
  await lock.release();
  t.false((await readdir(folder)).includes('lock'));
  const next = await lockDirectory(folder, 'the folder');
  await next.release();
});

test('folders do not hold each other', async (t) => {
  const folder = await folderFor(t);
  await mkdir(join(folder, 'inner'));
  const outer = await lockDirectory(folder, 'the folder');
  const inner = await lockDirectory(join(folder, 'inner'), 'the folder');
  await t.throwsAsync(lockDirectory(folder, 'the folder'), undefined, 'the outer one is still held');
  await outer.release();
  await inner.release();
});

test('a folder whose holder was killed is free', async (t) => {
  const folder = await folderFor(t);
  const holder = await another(t, folder);
  t.is(holder.said, 'locked');
  await killed(holder.process);
  const lock = await lockDirectory(folder, 'the folder');
  await lock.release();
});

test('of many that find a killed one’s lock at once, one gets the folder', async (t) => {
  const folder = await folderFor(t);
  await killed((await another(t, folder)).process);
  const tries = await Promise.allSettled(
    Array.from({ length: 8 }, () => lockDirectory(folder, 'the folder')),
  );
  const locks = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  t.is(locks.length, 1);
  await locks[0]?.release();
});

test('a path longer than the name of a socket can be is locked too', async (t) => {
  const folder = join(await folderFor(t), 'x'.repeat(120), 'y'.repeat(120));
  await mkdir(folder, { recursive: true });
  const lock = await lockDirectory(folder, 'the folder');
  t.is(existsSync(join(folder, 'lock')), process.platform === 'linux');
  await t.throwsAsync(lockDirectory(folder, 'the folder'), { instanceOf: LogError });
  await lock.release();
});

test('a folder that is shared between containers is locked for each of them', async (t) => {
  const apart = ['unshare', '--net'];
  if (spawnSync('unshare', ['--net', 'true']).status !== 0) {
    skipped(t, t.title, 'this user may make no network namespace');
    return;
  }
  const folder = await folderFor(t);
  const lock = await lockDirectory(folder, 'the folder');
  t.regex((await another(t, folder, apart)).said, /is open already, by process/);
  await lock.release();
  const elsewhere = await another(t, folder, apart);
  t.is(elsewhere.said, 'locked');
  await t.throwsAsync(lockDirectory(folder, 'the folder'), { instanceOf: LogError });
  await killed(elsewhere.process);
  const again = await lockDirectory(folder, 'the folder');
  await again.release();
});
