import { type Choose, candidateAt, drawBy, type Turn } from '../turn.ts';

const next = ({ pool, size }: Turn): number => {
  pool.turn = pool.turn + 1 < size ? pool.turn + 1 : 0;
  return pool.turn;
};

/** One after the other, whatever their weight. */
export const roundRobin: Choose = (turn) => candidateAt(turn, drawBy(turn, next));
