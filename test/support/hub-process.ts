import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type HubProcess = {
  readonly url: string;
  /** The whole ready line. */
  readonly ready: string;
  readonly pid: number;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  /** What it wrote on stderr so far, the last 64 KiB. */
  stderr(): string;
  kill(signal: NodeJS.Signals): Promise<number | string>;
};

const main = join(import.meta.dirname, '../../bin/nexus.js');

/**
 * Starts the real program on a free port in `folder` (data there too) and resolves at its ready line. `prefix` is a
 * program to run it under, which must become it.
 *
 * @throws {Error} with its stderr when it ends before.
 */
export const startHubProcess = async (
  folder: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  prefix: readonly string[] = [],
): Promise<HubProcess> => {
  const { PATH, HOME } = process.env;
  const level = args.includes('--log-level') ? [] : ['--log-level', 'warn'];
  const own = [main, 'start', '--api-port', '0', ...level, ...args];
  const [program = process.execPath, ...words] = [...prefix, process.execPath, ...own];
  const child = spawn(program, words, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...(PATH === undefined ? {} : { PATH }),
      ...(HOME === undefined ? {} : { HOME }),
      NEXUS_STATE_FILE: 'none',
      NEXUS_ZMQ_PUBLISH: 'none',
      NEXUS_ZMQ_COMMAND: 'none',
      NEXUS_RATE_LIMIT_MAX: '100000000',
      NEXUS_MAX_LAG_MS: '60000',
      ...env,
    },
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-65_536);
  });
  const exited = once(child, 'exit').then(([code, signal]: unknown[]) =>
    typeof code === 'number' ? code : String(signal),
  );
  const lines = createInterface({ input: child.stdout });
  const ready = await Promise.race([
    once(lines, 'line').then(([line]: unknown[]) => String(line)),
    exited.then((end) => {
      throw new Error(`the hub ended with ${end} before it was ready: ${stderr}`);
    }),
  ]);
  const url = /^NEXUS ready (\S+) /.exec(ready)?.[1];
  if (url === undefined) throw new Error(`not a ready line: ${ready}`);
  return {
    url: url.replace('0.0.0.0', '127.0.0.1'),
    ready,
    pid: child.pid ?? 0,
    exited,
    stderr: () => stderr,
    kill: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
};
