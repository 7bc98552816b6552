import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openZeroMq } from '../src/bus/zeromq.ts';
import { parseConfig } from '../src/config.ts';
import { openCore } from '../src/core.ts';
import { createLogger } from '../src/logger.ts';
import { machine, median, print } from './support/measure.ts';
import { startRedis } from './support/redis.ts';

/**
 * From the call that publishes on one node to the watcher on another (two processes, one Redis), with a link between
 * the nodes and without, in turns: does the link bring messages sooner than the log does by itself?
 */
const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'bench' };
/** Nanoseconds of the clock that all processes of a machine share. */
const now = (): number => Number(process.hrtime.bigint());

const openNode = async (log: string, peers: readonly string[]) => {
  const dataDir = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), 'nexus-mesh-'));
  const parsed = parseConfig([], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const logger = createLogger('warn');
  const core = await openCore({ ...parsed.config, dataDir, log: [log], stateFile: 'none' }, { logger });
  const zeroMq = await openZeroMq({
    core,
    config: { zmqPublish: 'tcp://127.0.0.1:*', zmqCommand: 'none', jwtSecret: null, peers },
    logger,
    mesh: core.parts,
  });
  return {
    core,
    zeroMq,
    close: async () => {
      await zeroMq.close();
      await core.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
};

type Report = { readonly latencies: readonly number[]; readonly offered: number };

/** The far node: tells when it is ready, then reports once it has had `n` messages. */
const runFar = async (log: string, peer: string, n: number): Promise<void> => {
  const node = await openNode(log, peer === '' ? [] : [peer]);
  const signal = new AbortController().signal;
  const watch = await node.core.watchMessages('mesh.>', { signal }, context);
  if (!watch.ok) throw new Error(watch.problem.detail);
  while (peer !== '' && node.zeroMq.stats().peers[0]?.connected !== true) await delay(20);
  const { offeredEvents } = node.core.parts.hub.stats();
  const latencies: number[] = [];
  setTimeout(() => process.send?.('ready'), 500);
  for await (const step of watch.value.items) {
    const at = now();
    if (step.type === 'items') for (const { payload } of step.items) latencies.push(at - Number(payload));
    if (latencies.length >= n) break;
  }
  const report: Report = { latencies, offered: node.core.parts.hub.stats().offeredEvents - offeredEvents };
  process.send?.(report);
  await node.close();
  process.disconnect();
};

const runNear = async (): Promise<void> => {
  const [n, perSec, rounds] = [Number(process.argv[2] ?? 2_000), Number(process.argv[3] ?? 500), 5];
  const redis = await startRedis('always');
  if (redis === undefined) throw new Error('redis-server is not installed');
  const near = await openNode(redis.url, []);
  const measure = async (peer: string): Promise<Report> => {
    const far = fork(import.meta.filename, ['far', redis.url, peer, String(n)]);
    await once(far, 'message');
    const reported = once(far, 'message');
    const started = performance.now();
    for (let index = 0; index < n; index++) {
      const dueIn = started + (index * 1_000) / perSec - performance.now();
      if (dueIn > 0) await delay(dueIn);
      void near.core.execute({ type: 'PublishMessage', data: { topic: 'mesh.a', payload: now() } }, context);
    }
    const [report]: unknown[] = await reported;
    await once(far, 'exit');
    return report as Report;
  };

  print(`${machine()}; Redis appendfsync always; n = ${n} at ${perSec}/s, ${rounds} rounds in turns`);
  const results = { mesh: [] as Report[], log: [] as Report[] };
  for (let round = 0; round < rounds; round++) {
    const order = ['mesh', 'log'] as const;
    for (const name of round % 2 === 0 ? order : order.toReversed()) {
      results[name].push(await measure(name === 'mesh' ? (near.zeroMq.publish ?? '') : ''));
    }
  }
  for (const [name, reports] of Object.entries(results)) {
    const quantiles = reports.map(({ latencies }) => {
      const sorted = Float64Array.from(latencies).sort();
      return [0.5, 0.99].map((share) => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN) / 1e6);
    });
    const [p50, p99] = [0, 1].map((at) =>
      median(quantiles.map((values) => values[at] ?? Number.NaN)).toFixed(2),
    );
    const first = reports.reduce((sum, { offered }) => sum + offered, 0) / (n * rounds);
    print(`${name}: p50 ${p50} ms, p99 ${p99} ms; ${(first * 100).toFixed(1)} % came by the link first`);
  }
  await near.close();
  await redis.close();
};

const [role, log, peer, n] = process.argv.slice(2);
if (role === 'far') await runFar(log ?? '', peer ?? '', Number(n));
else await runNear();
