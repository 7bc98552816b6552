import { join } from 'node:path';
import autocannon from 'autocannon';
import type { PartOptions } from '../bus/part.ts';
import { type BenchHub, startHub } from '../support/hub.ts';
import { inTurns, type Load, latency, median, perSec, print, ratio } from '../support/measure.ts';
import { freePort, type Running, startProcess } from '../support/process.ts';

const support = join(import.meta.dirname, '../support');
const connections = 64;
const data = { a: 1, b: 2, words: ['one', 'two'] };

type Target = {
  readonly url: string;
  readonly path: string;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** What stands in front, whose processor time is counted: on a busy machine it says more than the rate. */
  readonly running: Running;
};

const measure = async (
  { url, path, body, headers, running }: Target,
  seconds: number,
  costs: number[],
): Promise<Load> => {
  const before = running.cpu().all;
  const result = await autocannon({
    url: url + path,
    connections,
    duration: seconds,
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${result.non2xx} refused, ${result.errors} failed at ${url}`);
  costs.push((running.cpu().all - before) / result.requests.total);
  return {
    perSec: result.requests.total / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  };
};

type World = {
  readonly hub: BenchHub;
  readonly authorization: Readonly<Record<string, string>>;
  readonly proxy: Running;
  readonly processes: readonly Running[];
};

/** The hub with authentication and rate limit on, and the bare proxy, both in front of the same instance. */
const openWorld = async ({ folder, profile }: PartOptions, name: string): Promise<World> => {
  const instance = await startProcess({ argv: [join(support, 'bare-instance.ts')], cwd: folder });
  const hub = await startHub({
    folder: join(folder, name),
    authenticated: true,
    profile,
    env: { NEXUS_ALLOWED_TARGETS: '127.0.0.0/8' },
  });
  const authorization = { authorization: `Bearer ${hub.token('services:write services:invoke:*')}` };
  const registered = await fetch(`${hub.url}/services`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization },
    body: JSON.stringify({ name: 'bench', version: '1.0.0', host: '127.0.0.1', port: Number(instance.line) }),
  });
  if (registered.status !== 201) throw new Error(await registered.text());
  const proxy = await startProcess({
    argv: [join(support, 'bare-proxy.ts'), `http://127.0.0.1:${instance.line}`],
    cwd: folder,
  });
  return { hub, authorization, proxy, processes: [instance, hub, proxy] };
};

const closeAll = async (processes: readonly Running[]): Promise<void> => {
  await Promise.all(processes.map((running) => running.close()));
};

const line = (name: string, of: Load, costs: readonly number[]): string =>
  `  ${name}: ${perSec(of)} (${latency(of)}), ${median(costs).toFixed(0)} µs of processor each`;

/**
 * An invocation beside a bare proxy to the same instance, and beside moleculer-web to a Moleculer action: in one process,
 * where the action is a function call away, and with the action in a process of its own over Moleculer's TCP transporter,
 * which is the layout of the hub and its instance.
 */
export const benchInvoke = async (options: PartOptions): Promise<void> => {
  const { folder, rounds, scale, ways } = options;
  const seconds = 5 * scale;
  print(`\nInvoke, ${connections} connections, ${seconds} s each; authentication and rate limit on`);
  const world = await openWorld(options, 'invoke');
  const node = join(support, 'moleculer-node.ts');
  const started: Running[] = [...world.processes];
  const start = async (...argv: string[]): Promise<Running> => {
    const running = await startProcess({ argv: [node, ...argv], cwd: folder });
    started.push(running);
    return running;
  };
  try {
    const [gatewayLink, serviceLink] = [String(await freePort()), String(await freePort())];
    const local = await start('local');
    await start('service', gatewayLink, serviceLink);
    const remote = await start('gateway', gatewayLink, serviceLink);
    const at = (running: Running): Target => ({
      url: `http://127.0.0.1:${running.line}`,
      path: '/say',
      body: data,
      running,
    });
    const targets: Readonly<Record<string, Target>> = {
      nexus: {
        url: world.hub.url,
        path: '/services/bench/invoke',
        body: { method: 'say', data },
        headers: world.authorization,
        running: world.hub,
      },
      'bare proxy': at(world.proxy),
      'moleculer-web in one process': at(local),
      'moleculer-web over TCP': at(remote),
    };
    await compare(targets, rounds, seconds, ways);
  } finally {
    await closeAll(started);
  }
};

/** A small POST through the proxy, streamed both ways, beside a bare proxy to the same instance. */
export const benchProxy = async (options: PartOptions): Promise<void> => {
  const { rounds, scale, ways } = options;
  const seconds = 5 * scale;
  print(`\nProxy, ${connections} connections, ${seconds} s each; authentication and rate limit on`);
  const world = await openWorld(options, 'proxy');
  try {
    const targets: Readonly<Record<string, Target>> = {
      nexus: {
        url: world.hub.url,
        path: '/proxy/bench/say',
        body: data,
        headers: world.authorization,
        running: world.hub,
      },
      'bare proxy': {
        url: `http://127.0.0.1:${world.proxy.line}`,
        path: '/say',
        body: data,
        running: world.proxy,
      },
    };
    await compare(targets, rounds, seconds, ways);
  } finally {
    await closeAll(world.processes);
  }
};

const compare = async (
  targets: Readonly<Record<string, Target>>,
  rounds: number,
  seconds: number,
  ways: readonly string[] | undefined,
): Promise<void> => {
  const chosen = Object.entries(targets).filter(([name]) => ways === undefined || ways.includes(name));
  // Once unmeasured: compilers and pools are warm for all alike.
  for (const [, target] of chosen) await measure(target, 1, []);
  const costs = new Map<string, number[]>(chosen.map(([name]) => [name, []]));
  const results = await inTurns(
    rounds,
    Object.fromEntries(
      chosen.map(([name, target]) => [name, () => measure(target, seconds, costs.get(name) ?? [])]),
    ),
  );
  const ours = results.nexus;
  for (const [name] of chosen) {
    const load = results[name];
    if (load === undefined) continue;
    const beside = ours === undefined || name === 'nexus' ? '' : `; nexus is ${ratio(ours, load)} of it`;
    print(line(name, load, costs.get(name) ?? []) + beside);
  }
};
