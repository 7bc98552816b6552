import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fault, type Result } from '../../errors.ts';
import { createTurns } from '../../watch/turns.ts';
import { type BundleInput, notBundled } from './bundle.ts';

/**
 * Bundling happens in processes of their own: esbuild takes a gigabyte for a module that nests deep, and tells of each fault with
 * the whole line that it stands in, so that a few kilobytes of a stranger's would hold up the hub for minutes.
 */

const maxAtATime = 2;
const maxBundleMs = 15_000;
/** A process that had nothing to do for so long ends. */
const idleMs = 10_000;
/** Of the process and of esbuild's, together. */
const maxResidentBytes = 1_073_741_824;
const pollMs = 50;

type Idle = { readonly child: ChildProcess; readonly timer: NodeJS.Timeout };

const turns = createTurns(maxAtATime);
const idle: Idle[] = [];

const start = (): ChildProcess => {
  const child = fork(join(import.meta.dirname, 'bundler-process.ts'), [], {
    execArgv: ['--max-old-space-size=512'],
    env: {},
    serialization: 'advanced',
    // Its process group is ended with it, and so is esbuild.
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  // Too few processes or descriptors are told of in a later turn, and without a listener that would end the hub.
  child.on('error', () => {});
  return child;
};

const kill = ({ pid }: ChildProcess): void => {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
};

/** Of `pid` and all that it has started; 0 where the system does not tell. */
const residentBytes = (pid: number): number => {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean),
    );
    return children.reduce((sum, child) => sum + residentBytes(Number(child)), pages * 4_096);
  } catch {
    return 0;
  }
};

const take = (): ChildProcess => {
  for (let free = idle.pop(); free !== undefined; free = idle.pop()) {
    clearTimeout(free.timer);
    if (free.child.connected) return free.child;
  }
  return start();
};

const giveBack = (child: ChildProcess): void => {
  child.unref();
  child.channel?.unref();
  const timer = setTimeout(() => {
    idle.splice(
      idle.findIndex((one) => one.child === child),
      1,
    );
    kill(child);
  }, idleMs);
  timer.unref();
  idle.push({ child, timer });
};

const build = async (input: BundleInput, maxMs: number): Promise<Result<string>> => {
  const child = take();
  if (child.pid === undefined) {
    return fault(notBundled(input.name, 'the system has no process for it at this moment'));
  }
  child.ref();
  child.channel?.ref();
  let why = 'the process that bundles has ended';
  const end = (reason: string): void => {
    why = reason;
    kill(child);
  };
  const deadline = setTimeout(() => end(`it took longer than ${maxMs} ms`), maxMs);
  const poll = setInterval(() => {
    if (child.pid !== undefined && residentBytes(child.pid) > maxResidentBytes)
      end(`it took more than ${maxResidentBytes} bytes of memory`);
  }, pollMs);
  const over = new AbortController();
  const { signal } = over;
  try {
    child.send(input, () => undefined);
    const answer = await Promise.race([
      once(child, 'message', { signal }),
      once(child, 'exit', { signal }).then(() => undefined),
    ]);
    if (answer === undefined) return fault(notBundled(input.name, why));
    giveBack(child);
    // The process is the hub's own, and answers with what `bundle` gives.
    return answer[0] as Result<string>;
  } finally {
    over.abort();
    clearTimeout(deadline);
    clearInterval(poll);
  }
};

/**
 * As `bundle`, in another process; `plugin_rejected` also when that takes longer than 15 s or more than 1 GiB, and for each
 * that has to wait four times as long for its turn behind others.
 */
export const bundleApart = async (input: BundleInput, maxMs = maxBundleMs): Promise<Result<string>> => {
  const waited = AbortSignal.timeout(4 * maxBundleMs);
  const built = await turns.run(() => build(input, maxMs), waited);
  return built ?? fault(notBundled(input.name, 'others that are being bundled take too long'));
};
