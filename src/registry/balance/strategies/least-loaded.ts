import type { Candidate } from '../candidate.ts';
import { latencyOf, penaltyOf } from '../stats.ts';
import { type Choose, cheaperOfTwo, type Turn } from '../turn.ts';

const cost = ({ stats, meanMs, nowMs }: Turn, { instance, row, weight }: Candidate): number =>
  (latencyOf(stats, row, meanMs, nowMs) *
    (instance.inFlight + 1) *
    (1 + (instance.load ?? 0)) *
    penaltyOf(stats, row, nowMs)) /
  weight;

/**
 * The cheaper of two drawn at random, by how long a call would wait there: peak-EWMA latency times the calls that are
 * under way, dearer with the reported load and with failures, cheaper with the weight. The slow start is in the draw.
 */
export const leastLoaded: Choose = (turn) => cheaperOfTwo(turn, cost);
