import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { skipped } from './skip.ts';

/** A real redis-server of this test's own, with its data in a temporary folder. */
export type RedisServer = {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Where it keeps its data. */
  readonly folder: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data; resolves when it takes connections. */
  start(): Promise<void>;
  /** SIGSTOP: its sockets stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** Kills it and removes its folder. */
  close(): Promise<void>;
};

export type RedisServerOptions = {
  readonly appendfsync?: 'always' | 'everysec' | 'no';
  readonly appendonly?: 'yes' | 'no';
  readonly args?: readonly string[];
};

export const redisInstalled = spawnSync('redis-server', ['--version']).status === 0;

/** A test that is given up runs no teardown: the server dies with the pipe that its starter holds. */
const untilOrphaned =
  'exec 3<&0; (read _ <&3; kill -9 $$) >/dev/null & exec redis-server "$@" 3<&- </dev/null';

const freePort = async (): Promise<number> => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('the probe has no port');
  return address.port;
};

/** Resolves when the server says that it takes connections; rejects when it ends before. */
const ready = async (child: ChildProcess): Promise<void> => {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const said: string[] = [];
  if (child.stdout === null) throw new Error('redis-server has no output');
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    if (said.length < 50) said.push(line);
    if (line.includes('Ready to accept connections')) resolve();
  });
  child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}:\n${said.join('\n')}`)));
  await promise;
};

export const openRedisServer = async (options: RedisServerOptions = {}): Promise<RedisServer> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-redis-'));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const start = async () => {
    child = spawn(
      'sh',
      [
        ...['-c', untilOrphaned, 'redis-server'],
        ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
        ...['--appendonly', options.appendonly ?? 'yes', '--appendfsync', options.appendfsync ?? 'always'],
        ...(options.args ?? []),
      ],
      { stdio: ['pipe', 'pipe', 'ignore'] },
    );
    await ready(child);
  };
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    child.stdin?.destroy();
  };
  await start();
  return {
    host: '127.0.0.1',
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    kill,
    start,
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
    close: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
};

/** A server that is closed with the test, or undefined after the test was reported as skipped. */
export const redisForTest = async (
  t: ExecutionContext,
  options: RedisServerOptions = {},
): Promise<RedisServer | undefined> => {
  if (!redisInstalled) {
    skipped(t, t.title, 'redis-server is not installed');
    return undefined;
  }
  const server = await openRedisServer(options);
  t.teardown(() => server.close());
  return server;
};
