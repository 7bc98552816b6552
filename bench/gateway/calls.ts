import type { PartOptions } from '../bus/part.ts';
import { compare } from '../state/calls.ts';
import { closeWays, openWays } from '../state/ways.ts';
import { print } from '../support/measure.ts';

const keys = 1_000;
const names = ['nexus', 'open', 'bare', 'http'] as const;

/**
 * One state entry read over REST and by a GraphQL query, and one event posted: the hub with tokens and rate limit, the hub
 * with neither, and the bare servers, which know no GraphQL: beside its query stands their GET of the same JSON.
 */
export const benchGatewayCalls = async (options: PartOptions): Promise<void> => {
  const { rounds, scale } = options;
  print(`\nCalls over ${keys} keys of 200 bytes, one client process each, 64 connections`);
  const ways = await openWays(names, options, 'gateway');
  const bare = new Set(['bare', 'http']);
  try {
    for (const way of ways.values()) {
      await way.ask({ call: 'fill', first: 0, count: keys, inFlight: 1, n: keys });
      await way.ask({ call: 'get', first: 0, count: keys, inFlight: 64, seconds: 2 });
    }
    // Posting last: what it leaves behind, the hub is busy with for a while.
    for (const call of ['get', 'query', 'post'] as const) {
      for (const inFlight of [1, 64]) {
        print(`  ${call}, ${inFlight} in flight`);
        const job = (name: string) => ({
          call: call === 'query' && bare.has(name) ? ('get' as const) : call,
          first: 0,
          count: keys,
          inFlight,
          seconds: scale,
        });
        for (const [name, way] of ways) await way.ask({ ...job(name), seconds: scale / 2 });
        await compare(ways, job, rounds, 'bare');
      }
    }
  } finally {
    await closeWays(ways.values());
  }
};
