import { hashOf } from '../hash.ts';
import { ringOf } from '../pool.ts';
import type { Choose } from '../turn.ts';
import { leastLoaded } from './least-loaded.ts';

/**
 * The key's instance among all registered ones; while that one is not fit, the key's next one. Without a key, or with
 * hardly anybody fit, as `least-loaded`.
 */
export const consistentHash: Choose = (turn) => {
  if (turn.key === undefined) return leastLoaded(turn);
  const member = ringOf(turn.pool).find(hashOf(turn.key), turn.accepts);
  return member?.candidate ?? leastLoaded(turn);
};
