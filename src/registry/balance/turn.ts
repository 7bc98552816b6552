import type { Instance } from '../instance.ts';
import type { Candidate } from './candidate.ts';
import { createPool, type Member, type Pool, standings } from './pool.ts';
import type { Stats } from './stats.ts';
import type { Sticky } from './sticky.ts';

/** One pick as a strategy sees it. Made once and filled anew for each pick: strategies run to their end at once. */
export type Turn = {
  pool: Pool;
  /** Calls may go to the `size` members from slot `from` on. */
  from: number;
  size: number;
  nowMs: number;
  /** Latency of the service. */
  meanMs: number;
  /** Some instance is in slow start. */
  ramps: boolean;
  slowStartMs: number;
  /** What `consistent-hash` and `sticky` go by. */
  key: string | undefined;
  service: string;
  capability: string | undefined;
  /** Instances that the call has been at. */
  tried: ReadonlySet<Instance>;
  /** Only instances that have an address. */
  directOnly: boolean;
  /** Some member may not be called although it is fit: ask `isOut`. */
  excludes: boolean;
  /** The call may try an instance with an open circuit, if its key belongs there. */
  tries: boolean;
  readonly random: () => number;
  readonly stats: Stats;
  readonly sticky: Sticky;
  /** The call was there already, or cannot go there. */
  readonly isOut: (candidate: Candidate) => boolean;
  /** A call with a key may go there: also one that tries an instance whose key it is. */
  readonly accepts: (member: Member) => boolean;
};

export const createTurn = (random: () => number, stats: Stats, sticky: Sticky): Turn => {
  const isOut = ({ instance, document }: Candidate): boolean =>
    turn.tried.has(instance) || (turn.directOnly && document.reach === 'socket');
  const turn: Turn = {
    pool: createPool(),
    from: 0,
    size: 0,
    nowMs: 0,
    meanMs: 1,
    ramps: false,
    slowStartMs: 0,
    key: undefined,
    service: '',
    capability: undefined,
    tried: new Set(),
    directOnly: false,
    excludes: false,
    tries: false,
    random,
    stats,
    sticky,
    isOut,
    accepts: ({ candidate, slot, standing }) =>
      ((slot >= turn.from && slot < turn.from + turn.size) || (turn.tries && standing === standings.trial)) &&
      !(turn.excludes && isOut(candidate)),
  };
  return turn;
};

/** Undefined when no member of the stretch may be called. Costs O(1) or O(log n). */
export type Choose = (turn: Turn) => Candidate | undefined;

/** An instance in slow start is passed over so often that it gets its share, at most. */
const maxRedraws = 8;
const firstShare = 0.1;

export const candidateAt = (turn: Turn, index: number): Candidate | undefined =>
  turn.pool.members[turn.from + index]?.candidate;

/** Share of its due that an instance gets: from a tenth at the start up to 1, evenly with time. */
export const rampShare = (turn: Turn, { rampUntilMs }: Candidate): number => {
  const leftMs = rampUntilMs - turn.nowMs;
  return leftMs <= 0 ? 1 : Math.max(1 - (1 - firstShare) * (leftMs / turn.slowStartMs), firstShare);
};

const admits = (turn: Turn, index: number): boolean => {
  if (!turn.ramps && !turn.excludes) return true;
  const candidate = candidateAt(turn, index);
  if (candidate === undefined || (turn.excludes && turn.isOut(candidate))) return false;
  return !turn.ramps || candidate.rampUntilMs <= turn.nowMs || turn.random() < rampShare(turn, candidate);
};

/** The first that may be called, from `start` on; -1 when there is none. */
const firstFrom = (turn: Turn, start: number, skip: number): number => {
  let index = start;
  for (let step = 0; step < turn.size; step++) {
    const candidate = index === skip ? undefined : candidateAt(turn, index);
    if (candidate !== undefined && !(turn.excludes && turn.isOut(candidate))) return index;
    index = index + 1 === turn.size ? 0 : index + 1;
  }
  return -1;
};

/**
 * An index that `next` gives (0 … size - 1), drawn again while it is not admitted; after eight draws the first that may
 * be called, whatever its slow start. -1 when there is none.
 *
 * @param skip an index that is not wanted, or -1.
 */
export const drawBy = (turn: Turn, next: (turn: Turn, skip: number) => number, skip = -1): number => {
  let index = 0;
  for (let draw = 0; draw <= maxRedraws; draw++) {
    index = next(turn, skip);
    if (admits(turn, index)) return index;
  }
  return firstFrom(turn, index, skip);
};

/** Any but `skip`, each as likely. */
const even = ({ random, size }: Turn, skip: number): number => {
  if (skip < 0) return Math.floor(random() * size);
  const index = skip + 1 + Math.floor(random() * (size - 1));
  return index < size ? index : index - size;
};

export const drawEvenly = (turn: Turn, skip = -1): number => drawBy(turn, even, skip);

/** The cheaper of two drawn at random (Mitzenmacher, "The power of two choices", 2001). */
export const cheaperOfTwo = (
  turn: Turn,
  costOf: (turn: Turn, candidate: Candidate) => number,
): Candidate | undefined => {
  const first = drawEvenly(turn);
  if (first < 0) return undefined;
  const one = candidateAt(turn, first);
  const second = turn.size > 1 ? drawEvenly(turn, first) : -1;
  const other = second < 0 ? undefined : candidateAt(turn, second);
  if (one === undefined || other === undefined) return one;
  return costOf(turn, other) < costOf(turn, one) ? other : one;
};
