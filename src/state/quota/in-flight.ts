import { nothing, type StateSize } from '../../../domain/state-policy/quota.ts';

/** What one append under way makes of its key. */
export type Claim = { readonly version: number; readonly after: StateSize };

/**
 * The appends under way on one key that make it larger. Each append rests on the one before it, so what becomes of the
 * key is one of their sizes or the one that is folded: all that they may add is what the largest has more than that.
 */
export type InFlight = { folded: StateSize; readonly claims: Set<Claim>; reserved: StateSize };

export const inFlightOn = (folded: StateSize): InFlight => ({
  folded,
  claims: new Set(),
  reserved: nothing,
});

/** What the appends of a key may add to what is folded. */
export const mostAdded = ({ folded, claims }: InFlight): StateSize => {
  let { keys, bytes } = nothing;
  for (const { after } of claims) {
    keys = Math.max(keys, after.keys);
    bytes = Math.max(bytes, after.bytes);
  }
  return { keys: Math.max(0, keys - folded.keys), bytes: Math.max(0, bytes - folded.bytes) };
};

export const difference = (left: StateSize, right: StateSize): StateSize => ({
  keys: left.keys - right.keys,
  bytes: left.bytes - right.bytes,
});

export const total = (left: StateSize, right: StateSize): StateSize => ({
  keys: left.keys + right.keys,
  bytes: left.bytes + right.bytes,
});
