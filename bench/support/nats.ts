import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type JetStreamManager, type NatsConnection, StorageType } from 'nats';
import { type Cpu, cpuOf, freePort } from './process.ts';

/** A `nats-server` of its own with JetStream in a temporary folder. */
export type BenchNats = {
  /** As the server tells it. */
  readonly version: string;
  connect(): Promise<NatsConnection>;
  cpu(): Cpu;
  close(): Promise<void>;
};

/** Resolves with a connection once the server takes one. */
const reach = async (port: number): Promise<NatsConnection> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect({ port });
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(50);
    }
  }
};

/** A stream of files, `bench`, of all subjects that begin with `bench.`, and a connection to make it by. */
export const openBenchStream = async (
  nats: BenchNats,
): Promise<{ readonly connection: NatsConnection; readonly manager: JetStreamManager }> => {
  const connection = await nats.connect();
  const manager = await connection.jetstreamManager();
  await manager.streams.add({ name: 'bench', subjects: ['bench.>'], storage: StorageType.File });
  return { connection, manager };
};

/** Undefined where there is no nats-server. */
export const startNats = async (): Promise<BenchNats | undefined> => {
  const directory = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), 'nexus-bench-nats-'));
  const port = await freePort();
  const child: ChildProcess = spawn(
    'nats-server',
    ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', directory],
    {
      stdio: 'ignore',
    },
  );
  const failed = await Promise.race([
    once(child, 'error').then(() => true),
    once(child, 'spawn').then(() => false),
  ]);
  if (failed) {
    rmSync(directory, { recursive: true, force: true });
    return undefined;
  }
  const first = await reach(port);
  const version = first.info?.version ?? 'unknown';
  await first.close();
  return {
    version,
    connect: () => connect({ port }),
    cpu: () => cpuOf(child.pid ?? 0),
    close: async () => {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
