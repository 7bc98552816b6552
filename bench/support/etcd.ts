import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { endWithUs, removeFolder, temporaryFolder } from './cleanup.ts';
import { type Cpu, cpuOf, freePort } from './process.ts';

/** One `etcd` with its default settings (each write synced), as a process that can be stopped and started again. */
export type BenchEtcd = {
  /** As the server tells it. */
  readonly version: string;
  readonly url: string;
  readonly pid: number;
  cpu(): Cpu;
  /** Ends it by SIGTERM and starts it again on the same files; resolves once it answers. */
  restart(): Promise<void>;
  close(): Promise<void>;
};

const versionAt = async (url: string): Promise<string> => {
  for (let attempt = 1; ; attempt++) {
    try {
      const health = await fetch(`${url}/health`);
      if (health.ok && (await health.text()).includes('true')) {
        const answer = (await (await fetch(`${url}/version`)).json()) as { readonly etcdserver?: string };
        return answer.etcdserver ?? 'unknown';
      }
    } catch (error) {
      if (attempt >= 1_000) throw error;
    }
    await delay(10);
  }
};

/** Undefined where there is no etcd. */
export const startEtcd = async (): Promise<BenchEtcd | undefined> => {
  const directory = temporaryFolder('bench-etcd');
  const url = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const names = ['--name', 'bench', '--data-dir', directory, '--initial-cluster', `bench=${peer}`];
  const clients = ['--listen-client-urls', url, '--advertise-client-urls', url];
  const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
  const start = async (): Promise<ChildProcess | undefined> => {
    const child = spawn('etcd', [...names, ...clients, ...peers, '--log-level', 'error'], {
      stdio: 'ignore',
      env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch },
    });
    const failed = await Promise.race([
      once(child, 'error').then(() => true),
      once(child, 'spawn').then(() => false),
    ]);
    if (failed) return undefined;
    endWithUs(child);
    return child;
  };
  const end = async (ended: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    const exit = once(ended, 'exit');
    ended.kill(signal);
    await exit;
  };
  const first = await start();
  if (first === undefined) {
    removeFolder(directory);
    return undefined;
  }
  let child: ChildProcess = first;
  const version = await versionAt(url);
  return {
    version,
    url,
    get pid() {
      return child.pid ?? 0;
    },
    cpu: () => cpuOf(child.pid ?? 0),
    restart: async () => {
      await end(child, 'SIGTERM');
      child = (await start()) ?? child;
      await versionAt(url);
    },
    close: async () => {
      await end(child, 'SIGKILL');
      removeFolder(directory);
    },
  };
};
