import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PartOptions } from '../bus/part.ts';
import { startHub } from '../support/hub.ts';
import { median, print } from '../support/measure.ts';
import { memoryOf, type Running, startProcess } from '../support/process.ts';
import type { LoadJob, LoadResult } from './open-loop.ts';

const mebibyte = 1_048_576;
const settleMs = 1_000;
const kinds = ['drip', 'deaf', 'silent'] as const;
const meanings = {
  drip: '100 clients that send a byte a second',
  deaf: 'one that asks for large answers and never reads',
  silent: '5,000 that connect and say nothing, and come back when they are cut off',
} as const;

/** The p99 of 16 clients of good will at 1,000 calls a second, before and while others are slow, in turns. */
export const benchSlowClients = async ({ folder, rounds, scale, ways }: PartOptions): Promise<void> => {
  const job: LoadJob = { perSec: 1_000, seconds: Math.max(2, 5 * scale), connections: 256 };
  print(`\nSlow clients beside others (${job.perSec} calls a second, ${job.seconds} s in each turn)`);
  const hub = await startHub({ folder: join(folder, 'slow'), authenticated: true });
  const start = (script: string, more: object = {}): Promise<Running> =>
    startProcess({
      argv: [
        join(import.meta.dirname, script),
        JSON.stringify({ url: hub.url, token: hub.token('admin'), ...more }),
      ],
      cwd: join(folder, '..'),
    });
  const client = await start('open-loop.ts');
  const ask = async (): Promise<LoadResult> => JSON.parse(await client.ask(JSON.stringify(job)));
  try {
    await ask();
    for (const kind of kinds.filter((one) => ways === undefined || ways.includes(one))) {
      const usual: number[] = [];
      const beside: number[] = [];
      let refused = 0;
      let own = 0;
      for (let round = 0; round < rounds; round++) {
        const before = await ask();
        const slow = await start('slow-client.ts', { kind });
        // What they ask for first is served to them as to anybody.
        await delay(settleMs);
        const during = await ask();
        own = Math.max(own, memoryOf(hub.pid).ownBytes);
        await slow.close();
        usual.push(p99Of(before));
        beside.push(p99Of(during));
        refused += Object.entries(during.byStatus)
          .filter(([status]) => !status.startsWith('2'))
          .reduce((sum, [, { count }]) => sum + count, 0);
      }
      print(
        `  ${meanings[kind]}: p99 ${median(usual).toFixed(1)} ms before, ${median(beside).toFixed(1)} ms beside them ` +
          `(${(median(beside) / median(usual)).toFixed(2)} times); ${refused} not served; ` +
          `${Math.round(own / mebibyte)} MiB of the hub's own`,
      );
    }
  } finally {
    await client.close();
    await hub.close();
  }
};

const p99Of = ({ byStatus }: LoadResult): number =>
  Math.max(
    ...Object.entries(byStatus)
      .filter(([status]) => status.startsWith('2'))
      .map(([, { p99Ms }]) => p99Ms),
  );
