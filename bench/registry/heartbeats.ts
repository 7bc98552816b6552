import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startHub } from '../support/hub.ts';
import { load, machine, print } from '../support/measure.ts';
import { startProcess } from '../support/process.ts';

/**
 * What it costs to watch many instances: a hub with authentication on, to which each instance sends a heartbeat every 10 s
 * over REST, from a process of its own. Counts the hub's processor time and whether anything was written.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    instances: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '500' },
    warmup: { type: 'string', default: '20' },
    profile: { type: 'string' },
  },
});
const [seconds, instances, connections, warmup] = [
  values.seconds,
  values.instances,
  values.connections,
  values.warmup,
].map(Number) as [number, number, number, number];

const intervalMs = 10_000;
const ttlSec = 30;
const folder = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), 'nexus-heartbeats-'));
const hub = await startHub({ folder: join(folder, 'data'), authenticated: true, profile: values.profile });
const token = hub.token('services:read services:write log:read') ?? '';
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };

const register = async (index: number): Promise<void> => {
  const body = JSON.stringify({
    id: `instance-${index}`,
    name: `service-${index % 100}`,
    version: '1.0.0',
    host: '127.0.0.1',
    port: 9,
    ttlSec,
  });
  const answer = await fetch(`${hub.url}/services`, { method: 'POST', headers, body });
  await answer.arrayBuffer();
  if (answer.status !== 201) throw new Error(`a registration was answered with ${answer.status}`);
};

const position = async (): Promise<string> => {
  const answer = await fetch(`${hub.url}/health`, { headers });
  const { log } = (await answer.json()) as { readonly log: { readonly position: string } };
  return log.position;
};

const residentMiB = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${hub.pid}/status`, 'utf8'))?.[1]) / 1_024;

try {
  print(`${machine()}; ${instances} instances, a heartbeat each ${intervalMs / 1_000} s, ttlSec ${ttlSec}`);
  const registered = await load(instances, 64, register);
  print(`  registered: ${Math.round(registered.perSec)}/s with 64 at a time`);
  const beating = await startProcess({
    argv: [
      join(import.meta.dirname, 'heartbeat-load.ts'),
      ...[hub.url, token, instances, connections, intervalMs].map(String),
    ],
    cwd: folder,
  });
  try {
    // Every instance has become healthy, which is written, and the runtime has compiled what runs often.
    await delay(Math.max(warmup * 1_000, intervalMs + 2_000));
    const begin = {
      at: performance.now(),
      cpu: hub.cpu(),
      position: await position(),
      counts: JSON.parse(await beating.ask('counts')) as Counts,
      resident: residentMiB(),
    };
    await delay(seconds * 1_000);
    const spentMs = performance.now() - begin.at;
    const cpu = hub.cpu();
    const counts = JSON.parse(await beating.ask('counts')) as Counts;
    const share = (one: 'first' | 'all'): string =>
      `${(((cpu[one] - begin.cpu[one]) / 1_000 / spentMs) * 100).toFixed(1)} %`;
    const answered = counts.answered - begin.counts.answered;
    const after = await position();
    print(
      `  heartbeats: ${(answered / (spentMs / 1_000)).toFixed(0)}/s over ${connections} connections for ${(spentMs / 1_000).toFixed(0)} s`,
    );
    print(`  not answered with 200: ${counts.failed}`);
    print(
      `  hub: ${share('all')} of one core (its main thread ${share('first')}), ${((cpu.all - begin.cpu.all) / answered) | 0} µs a heartbeat`,
    );
    print(`  memory: ${begin.resident.toFixed(0)} MiB, ${residentMiB().toFixed(0)} MiB at the end`);
    print(
      `  log: ${after === begin.position ? 'nothing was written' : `moved from ${begin.position} to ${after}`}`,
    );
  } finally {
    await beating.close();
  }
} finally {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
}

type Counts = { readonly answered: number; readonly failed: number };
