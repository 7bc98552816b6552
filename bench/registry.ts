import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchInvoke, benchProxy } from './registry/calls.ts';
import { benchPicks } from './registry/picks.ts';
import { benchSimulation } from './registry/simulate.ts';
import { machine, print } from './support/measure.ts';

/**
 * The registry and calls to services, each part beside its reference in the same run.
 *
 * `npm run bench:registry -- [--only picks|simulate|invoke|proxy] [--ways NAME,…] [--rounds N] [--scale S] [--profile DIR]`
 */
const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const parts = { picks: benchPicks, simulate: benchSimulation, invoke: benchInvoke, proxy: benchProxy };

const only = option('only');
const rounds = Number(option('rounds') ?? 5);
const scale = Number(option('scale') ?? 1);
const ways = option('ways')?.split(',');
const profile = option('profile');
const folder = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), 'nexus-registry-'));

print(`${machine()}; medians of ${rounds} rounds in turns`);
try {
  for (const [name, run] of Object.entries(parts)) {
    if (only === undefined || only === name) await run({ folder, rounds, scale, ways, profile });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
