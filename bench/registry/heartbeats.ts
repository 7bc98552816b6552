import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startHub } from '../support/hub.ts';
import { load, machine, print } from '../support/measure.ts';
import { type Running, startProcess } from '../support/process.ts';

/**
 * What it costs to watch many instances: a hub with authentication on, to which each instance sends a heartbeat every 10 s
 * over REST, and in another hub over WebSockets, from a process of its own. Counts the hub's processor time and whether anything was written.
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

type Counts = { readonly answered: number; readonly failed: number; readonly sent: number };
type Server = Pick<Running, 'pid' | 'cpu'> & { readonly url: string };
type Measured = {
  readonly perSec: number;
  readonly failed: number;
  /** Of one core: all threads, and the main one. */
  readonly share: number;
  readonly mainShare: number;
};

/** Lets the instances beat, and counts from when each has beaten and the runtime has compiled what runs often. */
const measure = async (
  way: 'rest' | 'socket',
  server: Server,
  token: string,
  whenWarm: () => Promise<void>,
): Promise<Measured> => {
  const script = join(import.meta.dirname, 'heartbeat-load.ts');
  const beating = await startProcess({
    argv: [script, way, ...[server.url, token, instances, connections, intervalMs].map(String)],
    cwd: folder,
  });
  const counts = async (): Promise<Counts> => JSON.parse(await beating.ask('counts')) as Counts;
  try {
    await delay(Math.max(warmup * 1_000, intervalMs + 2_000));
    // That each instance has become healthy is written: whatever waits for that is done first.
    for (let now = await counts(); now.sent - now.answered > connections / 10; now = await counts())
      await delay(1_000);
    await whenWarm();
    const before = { at: performance.now(), cpu: server.cpu(), ...(await counts()) };
    await delay(seconds * 1_000);
    const spentMs = performance.now() - before.at;
    const cpu = server.cpu();
    const { answered, failed } = await counts();
    return {
      perSec: ((answered - before.answered) / spentMs) * 1_000,
      failed,
      share: (cpu.all - before.cpu.all) / 1_000 / spentMs,
      mainShare: (cpu.first - before.cpu.first) / 1_000 / spentMs,
    };
  } finally {
    await beating.close();
  }
};

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const show = (name: string, { perSec, failed, share, mainShare }: Measured): void => {
  print(`  ${name}: ${percent(share)} of one core (main thread ${percent(mainShare)})`);
  print(
    `    ${perSec.toFixed(0)} heartbeats/s, ${failed} not answered with 200, ${((share / perSec) * 1e6).toFixed(0)} µs each`,
  );
};

const residentMiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;

const measureBare = async (): Promise<Measured> => {
  const bare = await startProcess({ argv: [join(import.meta.dirname, 'bare-heartbeats.ts')], cwd: folder });
  try {
    return await measure('rest', { ...bare, url: bare.line }, 'none', async () => {});
  } finally {
    await bare.close();
  }
};

const measureHub = async (way: 'rest' | 'socket'): Promise<Measured> => {
  const hub = await startHub({ folder: join(folder, way), authenticated: true, profile: values.profile });
  const token = hub.token('services:read services:write log:read') ?? '';
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };

  const register = async (index: number): Promise<void> => {
    const place = { host: '127.0.0.1', port: 9, ttlSec };
    const service = { id: `instance-${index}`, name: `service-${index % 100}`, version: '1.0.0', ...place };
    const body = JSON.stringify(service);
    const answer = await fetch(`${hub.url}/services`, { method: 'POST', headers, body });
    await answer.arrayBuffer();
    if (answer.status !== 201) throw new Error(`a registration was answered with ${answer.status}`);
  };
  const position = async (): Promise<string> => {
    const answer = await fetch(`${hub.url}/health`, { headers });
    const { log } = (await answer.json()) as { readonly log: { readonly position: string } };
    return log.position;
  };

  try {
    const registered = await load(instances, 64, register);
    print(`  registered: ${Math.round(registered.perSec)}/s with 64 at a time`);
    let from = '';
    let residentBefore = 0;
    const measured = await measure(way, hub, token, async () => {
      from = await position();
      residentBefore = residentMiB(hub.pid);
    });
    const to = await position();
    print(`  log: ${to === from ? 'nothing was written' : `moved from ${from} to ${to}`}`);
    print(`  memory: ${residentBefore.toFixed(0)} MiB, ${residentMiB(hub.pid).toFixed(0)} MiB at the end`);
    return measured;
  } finally {
    await hub.close();
  }
};

const folder = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), 'nexus-heartbeats-'));
try {
  print(
    `${machine()}; ${instances} instances, a heartbeat each ${intervalMs / 1_000} s over ${connections} connections, ${seconds} s`,
  );
  const bare = await measureBare();
  const rest = await measureHub('rest');
  const socket = await measureHub('socket');
  show('bare node:http', bare);
  show('hub over REST', rest);
  show('hub over WebSockets', socket);
  print(`  hub over REST to bare: ${(rest.share / bare.share).toFixed(2)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
