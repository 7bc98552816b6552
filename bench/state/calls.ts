import type { PartOptions } from '../bus/part.ts';
import { inTurns, type Load, latency, perSec, print, ratio } from '../support/measure.ts';
import type { ClientJob } from './store.ts';
import { askAndCount, type Cost, closeWays, openWays, type Way, wayLine } from './ways.ts';

const keys = 1_000;

type Name = 'nexus' | 'etcd' | 'redis' | 'everysec' | 'bare';

/** Which ways do what: a read of Redis is the same however it syncs, and the bare route has neither conditions nor lists. */
const takers: Readonly<Record<'put' | 'cas' | 'get' | 'list', readonly Name[]>> = {
  put: ['nexus', 'etcd', 'redis', 'everysec', 'bare'],
  cas: ['nexus', 'etcd', 'redis', 'everysec'],
  get: ['nexus', 'etcd', 'redis', 'bare'],
  list: ['nexus', 'etcd', 'redis'],
};

/** put, cas, get and list over 1,000 keys: each server with one client process. */
export const benchCalls = async (options: PartOptions): Promise<void> => {
  const { rounds, scale } = options;
  print(`\nCalls over ${keys} keys of 200 bytes; one client process each; NEXUS with tokens and rate limit`);
  const all: readonly Name[] = ['nexus', 'etcd', 'redis', 'everysec', 'bare'];
  const ways = await openWays(all, options, 'calls');
  try {
    for (const way of ways.values()) {
      await way.ask({ call: 'fill', first: 0, count: keys, inFlight: 1, n: keys });
      await way.ask({ call: 'put', first: 0, count: keys, inFlight: 64, seconds: 2 });
      await way.ask({ call: 'get', first: 0, count: keys, inFlight: 64, seconds: 1 });
    }
    for (const call of ['put', 'cas', 'get', 'list'] as const) {
      for (const inFlight of [1, 64]) {
        const taking = new Map(
          takers[call].flatMap((name) => {
            const way = ways.get(name);
            return way === undefined ? [] : [[name, way] as const];
          }),
        );
        if (call === 'cas') {
          for (const way of taking.values())
            await way.ask({ call: 'learn', first: 0, count: keys, inFlight: 64 });
        }
        print(`  ${call}, ${inFlight} in flight`);
        const job: ClientJob = { call, first: 0, count: keys, inFlight, seconds: scale };
        await compare(taking, () => job, rounds);
      }
    }
  } finally {
    await closeWays(ways.values());
  }
};

/**
 * Asks all in turns and prints a line each.
 *
 * @param reference The way of which the others are told to be so much; by default each is told how much of it nexus is.
 */
export const compare = async (
  ways: ReadonlyMap<string, Way>,
  jobOf: (name: string) => ClientJob,
  rounds: number,
  reference?: string,
): Promise<void> => {
  const costs = new Map<string, Cost>();
  const measurements: Record<string, () => Promise<Load>> = {};
  for (const [name, way] of ways) {
    const cost: Cost = { operations: 0, server: 0, client: 0 };
    costs.set(name, cost);
    measurements[name] = () => askAndCount(way, jobOf(name), cost);
  }
  const results = await inTurns(rounds, measurements);
  const besideOf = (name: string, load: Load): string => {
    const other = results[reference ?? 'nexus'];
    if (other === undefined || name === (reference ?? 'nexus')) return '';
    return reference === undefined
      ? `; nexus is ${ratio(other, load)} of it`
      : `; ${ratio(load, other)} of ${ways.get(reference)?.name}`;
  };
  for (const [name, way] of ways) {
    const [load, cost] = [results[name], costs.get(name)];
    if (load === undefined || cost === undefined) continue;
    print(`    ${wayLine(way, load, cost)}${besideOf(name, load)}`);
  }
};

/** From a put to its value at a watcher, one at a time: a WebSocket of the hub, a gRPC stream of etcd. */
export const benchWatch = async (options: PartOptions): Promise<void> => {
  const { rounds, scale } = options;
  const n = Math.round(500 * scale);
  print(`\nFrom put to watcher, one at a time, n ${n} in each round`);
  const ways = await openWays(['nexus', 'etcd'] as const, options, 'watch');
  try {
    const measurements: Record<string, () => Promise<Load>> = {};
    for (const [name, way] of ways) {
      const job = { call: 'watch', first: 0, count: 1, inFlight: 1, n } as const;
      await way.ask(job);
      measurements[name] = () => way.ask(job);
    }
    const results = await inTurns(rounds, measurements);
    for (const [name, way] of ways) {
      const load = results[name];
      if (load !== undefined) print(`  ${way.name}: ${latency(load)} (${perSec(load)})`);
    }
  } finally {
    await closeWays(ways.values());
  }
};
