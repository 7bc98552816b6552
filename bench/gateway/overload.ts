import { join } from 'node:path';
import type { PartOptions } from '../bus/part.ts';
import { startHub } from '../support/hub.ts';
import { print } from '../support/measure.ts';
import { type Running, startProcess } from '../support/process.ts';
import type { LoadJob, LoadResult } from './open-loop.ts';

const times = 3;
const connections = 3_000;
const sliceMs = 100;

/** What a hub does that is asked three times as much as it can: once with wide budgets, once with narrow ones. */
export const benchOverload = async ({ folder, scale }: PartOptions): Promise<void> => {
  const seconds = Math.max(3, Math.round(30 * scale));
  print(
    `\nOverload: ${times} times the capacity for ${seconds} s, open loop, ${connections} connections at most`,
  );
  const capacity = await overload(join(folder, 'overload'), 'wide budgets', seconds, {});
  const perSec = String(Math.max(1, Math.round(capacity / 4)));
  await overload(
    join(folder, 'budgets'),
    `budgets of ${perSec} reads and writes a second`,
    seconds,
    {
      NEXUS_RATE_LIMIT_MAX: perSec,
      NEXUS_RATE_LIMIT_WINDOW_SEC: '1',
    },
    capacity,
  );
};

/** @param capacity as measured before; measured here unless given. */
const overload = async (
  folder: string,
  title: string,
  seconds: number,
  env: Readonly<Record<string, string>>,
  capacity?: number,
): Promise<number> => {
  const hub = await startHub({ folder, authenticated: true, env });
  const client = await startProcess({
    argv: [
      join(import.meta.dirname, 'open-loop.ts'),
      JSON.stringify({ url: hub.url, token: hub.token('admin') }),
    ],
    cwd: join(folder, '..'),
  });
  try {
    await ask(client, { perSec: 0, seconds: 2, connections: 64 });
    const usual = capacity ?? (await ask(client, { perSec: 0, seconds: 5, connections: 64 })).perSec;
    const before = await ask(client, { perSec: usual / 10, seconds: 3, connections });
    const during = await ask(client, { perSec: usual * times, seconds, connections });
    const after = await ask(client, { perSec: usual / 10, seconds: 3, connections });
    print(`  ${title}: capacity ${Math.round(usual)}/s (64 connections, closed loop)`);
    print(`    a tenth of it before: ${tell(before)}`);
    print(`    overloaded: ${Math.round(during.perSec)}/s served; ${tell(during)}`);
    print(`    a tenth of it after: ${tell(after)}; ${normalAgain(before, after)}`);
    return usual;
  } finally {
    await client.close();
    await hub.close();
  }
};

const ask = async (client: Running, job: LoadJob): Promise<LoadResult> =>
  JSON.parse(await client.ask(JSON.stringify(job)));

const tell = ({ byStatus }: LoadResult): string => {
  const all = Object.values(byStatus).reduce((sum, { count }) => sum + count, 0);
  return Object.entries(byStatus)
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([status, { count, p50Ms, p99Ms }]) => {
      const share = ((count * 100) / all).toFixed(1);
      return `${status} ${share} % (p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms)`;
    })
    .join(', ');
};

/** From when on nobody is refused and nobody waits much longer than the slowest did before. */
const normalAgain = (before: LoadResult, after: LoadResult): string => {
  const worstMs = Math.max(50, ...before.slices.map((slice) => slice.worstMs));
  const last = after.slices.findLastIndex(({ others, worstMs: worst }) => others > 0 || worst > 2 * worstMs);
  return last === after.slices.length - 1
    ? `not back to normal after ${after.slices.length * sliceMs} ms`
    : `back to normal within ${(last + 1) * sliceMs} ms`;
};
