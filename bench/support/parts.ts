import { loadavg } from 'node:os';
import type { PartOptions } from '../bus/part.ts';
import { removeFolder, temporaryFolder } from './cleanup.ts';
import { machine, print } from './measure.ts';

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};

const loads = (): string =>
  `load average ${loadavg()
    .map((load) => load.toFixed(1))
    .join(', ')}`;

/** Runs the parts of a benchmark that the command line asks for, one after the other. @param name of its files' folder. */
export const runParts = async (
  name: string,
  parts: Readonly<Record<string, (options: PartOptions) => Promise<void>>>,
): Promise<void> => {
  const only = option('only');
  const rounds = Number(option('rounds') ?? 3);
  const scale = Number(option('scale') ?? 1);
  const ways = option('ways')?.split(',');
  const profile = option('profile');
  const folder = temporaryFolder(name);
  print(`${machine()}; medians of ${rounds} rounds in turns; ${loads()}`);
  try {
    for (const [part, run] of Object.entries(parts)) {
      if (only === undefined || only === part) await run({ folder, rounds, scale, ways, profile });
    }
  } finally {
    removeFolder(folder);
    print(`\n${loads()}`);
  }
};
