import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type Running = {
  readonly pid: number;
  /** Sends the signal and resolves with the exit code, or with the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | string>;
};

export type Hub = Running & { readonly url: string; readonly ready: string };

const root = join(import.meta.dirname, '..');
const readyLimitMs = 15_000;
const endLimitMs = 12_000;

const children = new Set<ChildProcess>();

/** Whatever ends the demo ends what it started. */
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NEXUS_')));

const within = async <Value>(limitMs: number, what: string, task: Promise<Value>): Promise<Value> => {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([task, limit]);
  } finally {
    clearTimeout(timer);
  }
};

const launch = (
  cwd: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Running & { child: ChildProcess } => {
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] });
  children.add(child);
  const exited = once(child, 'exit').then(([code, signal]: unknown[]) => {
    children.delete(child);
    return typeof code === 'number' ? code : String(signal);
  });
  return {
    child,
    pid: child.pid ?? 0,
    end(signal) {
      child.kill(signal);
      return within(endLimitMs, `ending process ${child.pid} by ${signal}`, exited);
    },
  };
};

/**
 * Starts the real program on the embedded log in `folder` and resolves at its ready line.
 *
 * @param port 0 picks a free one.
 * @param secrets variables of its plugins.
 */
export const startHub = async (
  folder: string,
  port: number,
  secrets: Readonly<Record<string, string>>,
): Promise<Hub> => {
  const args = [join(root, 'bin/nexus.js'), 'start', '--api-host', '127.0.0.1', '--api-port', String(port)];
  const { child, pid, end } = launch(folder, [...args, '--log-level', 'error'], {
    ...cleanEnvironment(),
    ...secrets,
    NEXUS_ZMQ_PUBLISH: 'none',
    NEXUS_ZMQ_COMMAND: 'none',
  });
  if (child.stdout === null) throw new Error('the hub has no output');
  const lines = createInterface({ input: child.stdout });
  const first = Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the hub ended with ${code} before it was ready`);
    }),
  ]);
  const [line]: unknown[] = await within(readyLimitMs, 'starting the hub', first);
  const ready = String(line);
  const url = /^NEXUS ready (\S+) /.exec(ready)?.[1];
  if (url === undefined) throw new Error(`this is no ready line: ${ready}`);
  return { pid, end, url, ready };
};

/** Starts demo/services/{name}.ts; it registers itself at the hub. */
export const startService = (name: string, hubUrl: string): Running => {
  const { child, pid, end } = launch(
    root,
    [join(root, 'demo/services', `${name}.ts`), hubUrl],
    cleanEnvironment(),
  );
  child.stdout?.resume();
  return { pid, end };
};
