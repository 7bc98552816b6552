import { join } from 'node:path';
import type { PartOptions } from '../bus/part.ts';
import { type BenchEtcd, startEtcd } from '../support/etcd.ts';
import { type BenchHub, startHub } from '../support/hub.ts';
import { median, perSec, print } from '../support/measure.ts';
import { memoryOf, type Running } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { keyOf, prefixOf } from './store.ts';
import { askClient, openClient, openFiller, stateScope } from './ways.ts';

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const memoryLine = (pid: number): string => {
  const { ownBytes, residentBytes } = memoryOf(pid);
  return `own memory ${mib(ownBytes)}, with mapped files ${mib(residentBytes)}`;
};
const sampleEveryMs = 250;

/** Fills a server with `keys` keys and prints how it went, and the greatest memory of its own meanwhile. */
const fill = async (
  name: string,
  pid: number,
  client: Running,
  keys: number,
  inFlight: number,
): Promise<void> => {
  let greatest = 0;
  const sampling = setInterval(() => {
    greatest = Math.max(greatest, memoryOf(pid).ownBytes);
  }, sampleEveryMs);
  try {
    const load = await askClient(client, { call: 'fill', first: 0, count: keys, inFlight, n: keys });
    print(
      `  ${name}: ${keys} keys at ${perSec(load)}; ${memoryLine(pid)}, of its own at most ${mib(greatest)}`,
    );
  } finally {
    clearInterval(sampling);
    await client.close();
  }
};

const startNexus = (folder: string): Promise<BenchHub> => startHub({ folder, authenticated: true });

/** Seconds until the ready line and until a GET is answered, of a start over the files in `folder`. */
const restartHub = async (
  folder: string,
  index: number,
): Promise<{ readonly hub: BenchHub; readonly times: string }> => {
  const began = performance.now();
  const hub = await startNexus(folder);
  const ready = (performance.now() - began) / 1_000;
  const answer = await fetch(`${hub.url}/state/${encodeURIComponent(keyOf(index))}`, {
    headers: { authorization: `Bearer ${hub.token(stateScope)}` },
  });
  if (answer.status !== 200) throw new Error(await answer.text());
  await answer.json();
  const answered = (performance.now() - began) / 1_000;
  const processor = (hub.cpu().all / 1_000_000).toFixed(2);
  return {
    hub,
    times: `ready line after ${ready.toFixed(2)} s, a GET answered after ${answered.toFixed(2)} s (${processor} s of processor)`,
  };
};

/** The first page (100 entries) of prefixes that nobody has read, in milliseconds. */
const pages = async (hub: BenchHub, keys: number): Promise<readonly number[]> => {
  const headers = { authorization: `Bearer ${hub.token(stateScope)}` };
  const times: number[] = [];
  for (let page = 0; page < 100; page++) {
    const prefix = prefixOf(Math.floor((keys / 100) * (page + 0.5)));
    const began = performance.now();
    const answer = await fetch(`${hub.url}/state?limit=100&prefix=${encodeURIComponent(prefix)}`, {
      headers,
    });
    const { entries } = (await answer.json()) as { readonly entries: readonly unknown[] };
    times.push(performance.now() - began);
    if (entries.length !== 100) throw new Error(`a page of ${prefix} has ${entries.length} entries`);
  }
  return times;
};

const benchNexus = async ({ folder, profile }: PartOptions, keys: number): Promise<void> => {
  const files = join(folder, 'million');
  const filler = await openFiller(files, profile);
  await fill('NEXUS, by commands in its process', filler.pid, filler, keys, 1_000);
  let hub = await startNexus(files);
  try {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await hub.close(signal);
      const restarted = await restartHub(files, Math.floor(keys / 2));
      hub = restarted.hub;
      print(`  NEXUS after ${signal}: ${restarted.times}; ${memoryLine(hub.pid)}`);
    }
    const times = await pages(hub, keys);
    print(
      `  NEXUS, first page of a prefix: the first one ${times[0]?.toFixed(2)} ms, median of 100 ` +
        `${median(times).toFixed(2)} ms, greatest ${Math.max(...times).toFixed(2)} ms; then ${memoryLine(hub.pid)}`,
    );
  } finally {
    await hub.close();
  }
};

const benchEtcd = async (etcd: BenchEtcd, keys: number): Promise<void> => {
  try {
    const client = await openClient({ kind: 'etcd', url: etcd.url, connections: 1 });
    await fill(`etcd ${etcd.version}, by transactions of 100`, etcd.pid, client, keys, 10);
    const began = performance.now();
    await etcd.restart();
    const seconds = (performance.now() - began) / 1_000;
    print(
      `  etcd after SIGTERM: stopped, started and answering after ${seconds.toFixed(2)} s; ${memoryLine(etcd.pid)}`,
    );
  } finally {
    await etcd.close();
  }
};

/** A million keys of 200 bytes: memory, restart, and pages. Keys are filled by what each takes best. */
export const benchMillion = async (options: PartOptions): Promise<void> => {
  const keys = Math.round(1_000_000 * Math.min(1, options.scale));
  const wanted = (name: string): boolean => options.ways?.includes(name) !== false;
  print(`\n${keys} keys of 200 bytes`);
  if (wanted('nexus')) await benchNexus(options, keys);
  const etcd = wanted('etcd') ? await startEtcd() : undefined;
  if (etcd !== undefined) await benchEtcd(etcd, keys);
  const redis = wanted('redis') ? await startRedis('everysec') : undefined;
  if (redis === undefined) return;
  try {
    const client = await openClient({ kind: 'redis', url: redis.url, connections: 1 });
    await fill('Redis, by MSET of 100', redis.pid, client, keys, 10);
  } finally {
    await redis.close();
  }
};
