import type { Candidate } from '../candidate.ts';
import { latencyOf, penaltyOf } from '../stats.ts';
import { type Choose, cheaperOfTwo, type Turn } from '../turn.ts';

/** Failures count as slowness: an instance that fails fast is not a fast one. */
const cost = ({ stats, meanMs, nowMs }: Turn, { row }: Candidate): number =>
  latencyOf(stats, row, meanMs, nowMs) * penaltyOf(stats, row, nowMs);

/** Of two drawn at random the one that answers sooner, whatever stands at it. */
export const latency: Choose = (turn) => cheaperOfTwo(turn, cost);
