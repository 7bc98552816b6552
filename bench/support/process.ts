import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** A process that a benchmark started. */
export type Running = {
  /** Its first line on stdout. */
  readonly line: string;
  readonly pid: number;
  cpu(): Cpu;
  /** Writes a line to its stdin and resolves with the next line of its stdout. */
  ask(line: string): Promise<string>;
  close(): Promise<void>;
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

export type Starting = {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
};

/** Starts a script with this Node and waits for its first line. */
export const startProcess = async ({ argv, cwd, env = {} }: Starting): Promise<Running> => {
  const child: ChildProcess = spawn(process.execPath, argv, {
    cwd,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the process has no input or output');
  const lines = createInterface({ input: stdout });
  const nextLine = async (): Promise<string> => {
    const [line]: unknown[] = await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(() => {
        throw new Error(`${argv[0]} has ended`);
      }),
    ]);
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
    close: async () => {
      if (child.exitCode !== null) return;
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
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
