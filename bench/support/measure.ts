import { cpus, totalmem } from 'node:os';

export type Load = { readonly perSec: number; readonly p50Ms: number; readonly p99Ms: number };

/** The value at `share` (0 … 1) of sorted numbers. */
const quantile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

export const median = (values: readonly number[]): number => quantile(Float64Array.from(values).sort(), 0.5);

/** Sorts the latencies. */
export const latencyOf = (latencies: Float64Array): Omit<Load, 'perSec'> => {
  latencies.sort();
  return { p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
};

/** What operations with these latencies, `seconds` in all, come to. Sorts the latencies. */
export const loadOf = (latencies: Float64Array, seconds: number): Load => ({
  perSec: latencies.length / seconds,
  ...latencyOf(latencies),
});

/** Runs `n` operations with `inFlight` of them under way at any time; latencies are per operation. */
export const load = async (
  n: number,
  inFlight: number,
  operation: (index: number) => Promise<unknown>,
): Promise<Load> => {
  const latencies = new Float64Array(n);
  let next = 0;
  const worker = async () => {
    for (;;) {
      const index = next++;
      if (index >= n) return;
      const started = performance.now();
      await operation(index);
      latencies[index] = performance.now() - started;
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: Math.min(inFlight, n) }, worker));
  return loadOf(latencies, (performance.now() - started) / 1_000);
};

/** Runs the named measurements in turns, `rounds` times each, so that the machine's moods fall on all of them alike. */
export const inTurns = async <Name extends string>(
  rounds: number,
  measurements: Readonly<Record<Name, () => Promise<Load>>>,
): Promise<Record<Name, Load>> => {
  const names = Object.keys(measurements) as Name[];
  const results = new Map<Name, Load[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // Forwards and backwards by turns: nobody is always first.
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      results.get(name)?.push(await measurements[name]());
    }
  }
  return Object.fromEntries(
    names.map((name) => {
      const loads = results.get(name) ?? [];
      const middle = (pick: (load: Load) => number) => median(loads.map(pick));
      return [
        name,
        {
          perSec: middle((one) => one.perSec),
          p50Ms: middle((one) => one.p50Ms),
          p99Ms: middle((one) => one.p99Ms),
        },
      ];
    }),
  ) as Record<Name, Load>;
};

export const machine = (): string =>
  `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
export const perSec = (load: Load): string => `${number.format(load.perSec)}/s`;
export const latency = (load: Load): string =>
  `p50 ${load.p50Ms.toFixed(2)} ms, p99 ${load.p99Ms.toFixed(2)} ms`;
export const ratio = (of: Load, to: Load): string => (of.perSec / to.perSec).toFixed(2);

export const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
