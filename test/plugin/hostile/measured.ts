import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Arena } from './arena.ts';
import type { Sample, Samples } from './prober.ts';

/** What one attack did to the hub, as another process saw it. Times in ms. */
export type Measured = {
  readonly name: string;
  readonly healthMs: readonly number[];
  readonly unhealthy: number;
  /** Of each process that took the witness with it: from its end to the first answer of the witness that came after it. */
  readonly backMs: readonly number[];
  readonly hubMb: number;
  /** Of the largest process of plugins. */
  readonly childMb: number;
};

const residentMb = (pid: number): number => {
  try {
    const kb = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
    return kb / 1_024;
  } catch {
    return 0;
  }
};

const now = (): number => performance.timeOrigin + performance.now();

export type Meter = {
  measure(name: string, attack: () => Promise<unknown>): Promise<Measured>;
  close(): void;
};

export const openMeter = async (arena: Arena): Promise<Meter> => {
  const prober: ChildProcess = fork(join(import.meta.dirname, 'prober.ts'), [arena.host.url]);
  await once(prober, 'spawn');
  const take = async (): Promise<Samples> => {
    prober.send('take');
    const [samples] = (await once(prober, 'message')) as [Samples];
    return samples;
  };
  await take();
  return {
    async measure(name, attack) {
      await take();
      let hubMb = 0;
      let childMb = 0;
      const restarts = await arena.restarts();
      let before = new Set(arena.children());
      const deaths: number[] = [];
      const watch = setInterval(() => {
        hubMb = Math.max(hubMb, residentMb(arena.host.pid));
        const children = new Set(arena.children());
        for (const pid of before) if (!children.has(pid)) deaths.push(now());
        for (const pid of children) childMb = Math.max(childMb, residentMb(pid), ...grandchildren(pid));
        before = children;
      }, 5);
      try {
        await attack();
      } finally {
        clearInterval(watch);
      }
      const { health, witness } = await take();
      // Processes that end with nothing in them do not count.
      const struck = (await arena.restarts()) - restarts;
      const back = (deathMs: number): number => {
        const ends = witness.filter(({ ok }) => ok).map(({ atMs, tookMs }: Sample) => atMs + tookMs);
        const after = ends.filter((end) => end >= deathMs);
        return after.length === 0 ? Number.NaN : Math.min(...after) - deathMs;
      };
      return {
        name,
        healthMs: health.filter(({ ok }) => ok).map(({ tookMs }) => tookMs),
        unhealthy: health.filter(({ ok }) => !ok).length,
        backMs: deaths
          .map(back)
          .toSorted((one, other) => other - one)
          .slice(0, struck),
        hubMb,
        childMb,
      };
    },
    close() {
      prober.disconnect();
    },
  };
};

/** Under bubblewrap the process that holds the isolates is a child of the hub's child. */
const grandchildren = (pid: number): readonly number[] => {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === ''
      ? []
      : text.split(' ').flatMap((one) => [residentMb(Number(one)), ...grandchildren(Number(one))]);
  } catch {
    return [];
  }
};
