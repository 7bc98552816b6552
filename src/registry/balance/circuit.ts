import type { Alarm } from '../schedule.ts';
import { failuresInRow, recentCalls, recentFailures, type Stats } from './stats.ts';

/** Whether calls go to an instance, by what calls have shown; as this process has it (docs/registry.md, Balancing). */
export type Circuit = {
  open: boolean;
  /** It is open, and its time is over: one call at a time tries the instance. */
  due: boolean;
  /** Such a call is under way. */
  trying: boolean;
  goodTrials: number;
  /** Openings in a row, of which the next is the longer the more there were. */
  openings: number;
  /** End of the last opening that is known, by the time of day; 0 before the first. */
  untilMs: number;
  /** When it was last closed, by the steady clock. */
  closedAtMs: number;
  alarm: Alarm | undefined;
};

export const createCircuit = (): Circuit => ({
  open: false,
  due: false,
  trying: false,
  goodTrials: 0,
  openings: 0,
  untilMs: 0,
  closedAtMs: Number.NEGATIVE_INFINITY,
  alarm: undefined,
});

/** So many failures in a row open a circuit … */
export const failuresToOpen = 5;
/** … and so does this share of at least so many calls within 10 s. */
export const failureShareToOpen = 0.5;
export const callsToOpen = 20;
/** So many good trials in a row close it. */
export const trialsToClose = 2;

const firstOpenMs = 5_000;
const lastOpenMs = 120_000;
const jitter = 0.1;
/** One that opens again within this time of its closing goes on where it was: an instance that flaps writes few events. */
const relapseMs = 120_000;

/** Why the circuit of an instance is to be opened; undefined when it is not. */
export const faultOf = (stats: Stats, row: number): string | undefined => {
  const inRow = failuresInRow(stats, row);
  if (inRow >= failuresToOpen) return `${inRow} failures in a row`;
  const calls = recentCalls(stats, row);
  const failures = recentFailures(stats, row);
  return calls >= callsToOpen && failures >= failureShareToOpen * calls
    ? `${failures} of ${calls} calls failed within 10 s`
    : undefined;
};

export const nextOpening = (circuit: Circuit, nowMs: number): number =>
  circuit.open || nowMs - circuit.closedAtMs < relapseMs ? circuit.openings + 1 : 1;

/** 5 s, doubled per opening up to 2 min, ± 10 %. @param random 0 (inclusive) … 1 (exclusive). */
export const openMs = (openings: number, random: number): number =>
  Math.round(Math.min(firstOpenMs * 2 ** (openings - 1), lastOpenMs) * (1 + jitter * (2 * random - 1)));

/** Longer than any node opens one: another's clock that is wrong ejects nobody for ever. */
export const longestOpenMs = lastOpenMs * (1 + jitter);

/** How many circuits of a service of `size` instances may be open: at least one, unless the share is 0. */
export const maxOpen = (size: number, maxEjectedPercent: number): number =>
  maxEjectedPercent === 0 ? 0 : Math.max(1, Math.floor((size * maxEjectedPercent) / 100));
