import { weightsOf } from '../pool.ts';
import { type Choose, candidateAt, drawBy, type Turn } from '../turn.ts';

const goldenRatio = (Math.sqrt(5) - 1) / 2;

const next = ({ pool, from, size }: Turn): number => {
  const weights = weightsOf(pool);
  pool.phase = (pool.phase + goldenRatio) % 1;
  const before = weights.before(from);
  const total = weights.before(from + size) - before;
  return Math.min(weights.at(before + pool.phase * total) - from, size - 1);
};

/**
 * In proportion to the weights. Each instance is an interval as long as its weight; the place that is called moves on
 * by the golden ratio of the whole, which no fraction approximates worse: after any number of calls each instance has
 * had its share but for two or three, and the calls of a heavy one do not come in a burst (Weyl, 1916; the three-gap
 * theorem). The intervals are found by sums in a tree, so a change of a weight or of a standing costs O(log n), where
 * an alias table would be built anew.
 */
export const weighted: Choose = (turn) => candidateAt(turn, drawBy(turn, next));
