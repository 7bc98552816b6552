import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { endWithUs, removeFolder, temporaryFolder } from './cleanup.ts';
import { type Cpu, cpuOf, freePort } from './process.ts';

/** A `redis-server` of its own in a temporary folder, or undefined where there is none. */
export type BenchRedis = {
  readonly url: string;
  readonly pid: number;
  cpu(): Cpu;
  close(): Promise<void>;
};

export const startRedis = async (appendfsync: 'always' | 'everysec'): Promise<BenchRedis | undefined> => {
  const directory = temporaryFolder('bench-redis');
  const port = await freePort();
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''];
  const child: ChildProcess = spawn(
    'redis-server',
    [...settings, '--appendonly', 'yes', '--appendfsync', appendfsync, '--auto-aof-rewrite-percentage', '0'],
    { stdio: 'ignore' },
  );
  const failed = await Promise.race([
    once(child, 'error').then(() => true),
    once(child, 'spawn').then(() => false),
  ]);
  if (failed) {
    removeFolder(directory);
    return undefined;
  }
  endWithUs(child);
  const url = `redis://127.0.0.1:${port}`;
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => 50, maxRetriesPerRequest: 100 });
  client.on('error', () => {});
  await client.ping();
  client.disconnect();
  return {
    url,
    pid: child.pid ?? 0,
    cpu: () => cpuOf(child.pid ?? 0),
    close: async () => {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
      removeFolder(directory);
    },
  };
};

/** The settings of the adapter's own connection (src/log/redis.ts), for the raw reference. */
export const rawClient = async (url: string): Promise<Redis> => {
  const client = new Redis(url, {
    enableAutoPipelining: true,
    autoResendUnfulfilledCommands: false,
    lazyConnect: true,
  });
  await client.connect();
  return client;
};
