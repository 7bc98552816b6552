import { loadavg } from 'node:os';
import { benchCalls, benchWatch } from './state/calls.ts';
import { benchHistory } from './state/history.ts';
import { benchMillion } from './state/million.ts';
import { removeFolder, temporaryFolder } from './support/cleanup.ts';
import { machine, print } from './support/measure.ts';

/**
 * The state store beside etcd and Redis in the same run.
 *
 * `npm run bench:state -- [--only calls|watch|history|million] [--ways NAME,…] [--rounds N] [--scale S] [--profile DIR]`
 */
const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const parts = { calls: benchCalls, watch: benchWatch, history: benchHistory, million: benchMillion };

const only = option('only');
const rounds = Number(option('rounds') ?? 3);
const scale = Number(option('scale') ?? 1);
const ways = option('ways')?.split(',');
const profile = option('profile');
const folder = temporaryFolder('state');
const loads = (): string =>
  `load average ${loadavg()
    .map((load) => load.toFixed(1))
    .join(', ')}`;

print(`${machine()}; medians of ${rounds} rounds in turns; ${loads()}`);
try {
  for (const [name, run] of Object.entries(parts)) {
    if (only === undefined || only === name) await run({ folder, rounds, scale, ways, profile });
  }
} finally {
  removeFolder(folder);
  print(`\n${loads()}`);
}
