import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { endWithUs } from './cleanup.ts';

/** A process that a benchmark started. */
export type Running = {
  /** Its first line on stdout. */
  readonly line: string;
  readonly pid: number;
  cpu(): Cpu;
  /** Writes a line to its stdin and resolves with the next line of its stdout. */
  ask(line: string): Promise<string>;
  /** SIGTERM unless told otherwise. */
  close(signal?: NodeJS.Signals): Promise<void>;
};

const nanosOf = (path: string): number => Number(readFileSync(path, 'utf8').split(' ', 1)[0]);

/** Microseconds that a process has run on a processor so far: its first thread, and all its threads together. */
export type Cpu = { readonly first: number; readonly all: number };

/** Does not count the time that others had the processor: of two servers on a busy machine, the one that costs more. */
export const cpuOf = (pid: number): Cpu => {
  const tasks = `/proc/${pid}/task`;
  let all = 0;
  for (const task of readdirSync(tasks)) all += nanosOf(`${tasks}/${task}/schedstat`);
  return { first: nanosOf(`${tasks}/${pid}/schedstat`) / 1_000, all: all / 1_000 };
};

/** Bytes of memory that are a process's own (`RssAnon`), without mapped files, and with them (`VmRSS`). */
export type Memory = { readonly ownBytes: number; readonly residentBytes: number };

export const memoryOf = (pid: number): Memory => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytesOf = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN) * 1_024;
  return { ownBytes: bytesOf('RssAnon'), residentBytes: bytesOf('VmRSS') };
};

export type Starting = {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
};

/** Starts a script with this Node and waits for its first line. */
export const startProcess = async ({ argv, cwd, env = {} }: Starting): Promise<Running> => {
  // The hub refuses variables of its prefix that it does not know.
  const { NEXUS_BENCH_DIR: _benchmarks, ...inherited } = process.env;
  const child: ChildProcess = spawn(process.execPath, argv, {
    cwd,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...inherited, ...env },
  });
  endWithUs(child);
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the process has no input or output');
  const lines = createInterface({ input: stdout });
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${argv[0]} has ended`);
  });
  ended.catch(() => undefined);
  const nextLine = async (): Promise<string> => {
    const [line]: unknown[] = await Promise.race([once(lines, 'line'), ended]);
    return String(line);
  };
  const line = await nextLine();
  const pid = child.pid ?? 0;
  return {
    line,
    pid,
    cpu: () => cpuOf(pid),
    ask: (text) => {
      stdin.write(`${text}\n`);
      return nextLine();
    },
    close: async (signal = 'SIGTERM') => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
  };
};

/** A TCP port of 127.0.0.1 that nobody has at the moment. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
};
