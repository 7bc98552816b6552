import { memberIn } from '../services.ts';
import type { Choose } from '../turn.ts';
import { consistentHash } from './consistent-hash.ts';

/**
 * The instance that the key was sent to before, as long as that one is fit; the first, and a next one, by
 * `consistent-hash`, so that nodes agree. Without a key as `least-loaded`.
 */
export const sticky: Choose = (turn) => {
  const { key, service, capability, pool } = turn;
  if (key === undefined) return consistentHash(turn);
  const remembered = capability === undefined ? `${service}\n${key}` : `${service}\n${capability}\n${key}`;
  const known = turn.sticky.recall(remembered);
  const member = known === undefined ? undefined : memberIn(known, pool);
  if (member !== undefined && turn.accepts(member)) return known;
  const chosen = consistentHash(turn);
  // One that only this call is past keeps the key.
  const keeps = known !== undefined && !known.removed && turn.isOut(known);
  if (chosen !== undefined && !keeps) turn.sticky.remember(remembered, chosen);
  return chosen;
};
