import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { heapFlag } from '../../src/heap.ts';
import { type Running, startProcess } from './process.ts';

/** The real hub in a process of its own. */
export type BenchHub = Running & {
  /** `http://HOST:PORT`. */
  readonly url: string;
  /** A token of `scope`, which the hub lets in; undefined when it asks for none. */
  token(scope: string): string | undefined;
};

export type HubOptions = {
  /** Made when it does not exist. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Ask for tokens. */
  readonly authenticated?: boolean;
  /** A folder for a CPU profile of the hub, written when it ends. */
  readonly profile?: string | undefined;
};

const main = join(import.meta.dirname, '../../bin/nexus.js');

/** The limits are on, and wide enough for a benchmark. */
const wide = {
  NEXUS_RATE_LIMIT_MAX: '1000000000',
  NEXUS_WS_FRAMES_PER_SEC: '0',
  NEXUS_ZMQ_PUBLISH: 'none',
  NEXUS_ZMQ_COMMAND: 'none',
};

export const startHub = async (options: HubOptions): Promise<BenchHub> => {
  const { folder, env = {}, authenticated = false, profile } = options;
  const secret = randomBytes(32).toString('hex');
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const address = ['--api-host', '127.0.0.1', '--api-port', '0'];
  const files = ['--log', `file:${folder}`, '--data-dir', folder, '--state-file', 'none'];
  const running = await startProcess({
    argv: [heapFlag, ...profiling, main, 'start', ...address, ...files, '--log-level', 'warn'],
    cwd: join(folder, '..'),
    env: { ...wide, ...(authenticated ? { NEXUS_JWT_SECRET: secret } : {}), ...env },
  });
  const url = /http:\/\/\S+/.exec(running.line)?.[0] ?? '';
  return {
    ...running,
    url,
    token: (scope) =>
      authenticated ? jwt.sign({ sub: 'bench', scope }, secret, { expiresIn: '1h' }) : undefined,
  };
};
