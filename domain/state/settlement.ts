import type { Json } from '../event.ts';
import { unitsOf } from '../json.ts';
import type { Resolution, StateCommand, StateState, Unsettled } from './state.ts';

export type Settlement =
  | { readonly ok: true; readonly value: Json; readonly resolution: Resolution }
  | { readonly ok: false; readonly unsettled: Unsettled };

/** Values and characters of the four values that one event records: more no event holds. */
const maxRecordUnits = 1_000_000;

/** What the command's resolver makes of its incoming value and the one that is there. */
export const settle = (
  {
    base,
    incoming,
    resolver,
    resolve,
  }: Pick<
    Extract<StateCommand, { readonly type: 'ResolveState' }>,
    'base' | 'incoming' | 'resolver' | 'resolve'
  >,
  { exists, value: current }: Pick<StateState, 'exists' | 'value'>,
): Settlement => {
  const tooLarge = {
    ok: false,
    unsettled: { resolver, reason: 'the values are too large to record the conflict' },
  } as const;
  // Before the work, which grows with them, and once more with what comes of it.
  if (unitsOf([base ?? null, current, incoming], maxRecordUnits) >= maxRecordUnits) return tooLarge;
  const resolved = resolve({
    ...(base === undefined ? {} : { base }),
    ...(exists ? { current } : {}),
    incoming,
  });
  if (!resolved.ok) {
    const { reason, conflicts } = resolved;
    return {
      ok: false,
      unsettled: { resolver, reason, ...(conflicts === undefined ? {} : { conflicts }) },
    };
  }
  const { value } = resolved;
  const resolution = { resolver, base: base ?? null, current, incoming };
  return unitsOf([value, resolution.base, current, incoming], maxRecordUnits) < maxRecordUnits
    ? { ok: true, value, resolution }
    : tooLarge;
};
