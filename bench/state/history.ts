import type { PartOptions } from '../bus/part.ts';
import { inTurns, type Load, print, ratio } from '../support/measure.ts';
import {
  askAndCount,
  askClient,
  type Cost,
  closeWays,
  hubFolder,
  openFiller,
  openWays,
  wayLine,
} from './ways.ts';

const short = 10;
const long = 100_000;

/** The newest value of a key with few versions and of one with many: reading and writing it costs the same. */
export const benchHistory = async (options: PartOptions): Promise<void> => {
  const { rounds, scale } = options;
  const filler = await openFiller(hubFolder(options, 'history'));
  await askClient(filler, { call: 'fill', first: 0, count: 1, inFlight: 1, n: short });
  await askClient(filler, { call: 'fill', first: 1, count: 1, inFlight: 100, n: long });
  await filler.close();
  const ways = await openWays(['nexus'] as const, options, 'history');
  print(`\nThe newest version of a key with ${short} and of a key with ${long}`);
  try {
    for (const way of ways.values()) {
      await way.ask({ call: 'put', first: 200, count: 100, inFlight: 64, seconds: 1 });
      for (const call of ['get', 'put'] as const) {
        for (const inFlight of [1, 64]) {
          const cost = { few: none(), many: none() };
          const measure = (first: number, of: Cost) => (): Promise<Load> =>
            askAndCount(way, { call, first, count: 1, inFlight, seconds: scale / 2 }, of);
          const results = await inTurns(rounds, { few: measure(0, cost.few), many: measure(1, cost.many) });
          print(
            `  ${call}, ${inFlight} in flight, ${short} versions: ${wayLine(way, results.few, cost.few)}`,
          );
          print(
            `  ${call}, ${inFlight} in flight, ${long} versions: ${wayLine(way, results.many, cost.many)}; ` +
              `rate ${ratio(results.many, results.few)}, processor ${(perOperation(cost.many) / perOperation(cost.few)).toFixed(2)} of the short`,
          );
        }
      }
    }
  } finally {
    await closeWays(ways.values());
  }
};

const none = (): Cost => ({ operations: 0, server: 0, client: 0 });
const perOperation = ({ server, operations }: Cost): number => server / operations;
