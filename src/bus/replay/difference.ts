import { canonicalJson } from '../../../domain/canonical-json.ts';
import { type PatchStep, patchOf } from '../../../domain/json-difference.ts';
import type { Effect } from './effects.ts';

/** A longer patch says less than the two effects do. */
const maxSteps = 100;

/** Two effects on the same thing; `patch` (RFC 6902) makes the second of the first. */
export type Changed = {
  readonly then: Effect;
  readonly now: Effect;
  /** Left out when it would be long. */
  readonly patch?: readonly PatchStep[];
};

/** How what one message caused differs from what it caused before. */
export type Difference = {
  readonly onlyThen: readonly Effect[];
  readonly onlyNow: readonly Effect[];
  readonly changed: readonly Changed[];
};

/** The same text for effects that are the same. */
const textOf = (effect: Effect): string => canonicalJson(effect);

/** A service that names no id was given one: then all else is compared. */
const textWithoutId = (effect: Effect): string | undefined =>
  effect.type === 'service' && effect.change === 'registered' ? textOf({ ...effect, id: null }) : undefined;

/** What an effect is about: two of the same are a change of one another. */
const subjectOf = (effect: Effect): string => {
  switch (effect.type) {
    case 'message':
      return JSON.stringify([effect.type, effect.topic, effect.key ?? null]);
    case 'state':
      return JSON.stringify([effect.type, effect.key]);
    case 'service': {
      const { id, change, fields } = effect;
      return JSON.stringify([effect.type, change, change === 'registered' ? (fields.name ?? null) : id]);
    }
    case 'subscription':
      return JSON.stringify([effect.type, effect.name, effect.change]);
    case 'other':
      return JSON.stringify([effect.type, effect.name]);
  }
};

/** One of the effects of now, which goes with one of then at most. */
type Slot = { readonly effect: Effect; taken: boolean };

/** Slots by a text, each list in its order. */
const grouped = (
  slots: readonly Slot[],
  keyOf: (effect: Effect) => string,
): ((key: string) => Effect | undefined) => {
  const groups = new Map<string, { readonly slots: Slot[]; next: number }>();
  for (const slot of slots) {
    const key = keyOf(slot.effect);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { slots: [slot], next: 0 });
    else group.slots.push(slot);
  }
  return (key) => {
    const group = groups.get(key);
    const slot = group?.slots[group.next];
    if (group === undefined || slot === undefined) return undefined;
    group.next++;
    slot.taken = true;
    return slot.effect;
  };
};

/**
 * Compares two lists of effects. Equal ones cancel each other out, whatever their order; of what is left, those about the
 * same thing (topic and key, state key, service, subscription) are a change each, in their order. Takes time in proportion
 * to the size of both.
 *
 * @returns undefined when nothing differs.
 */
export const differenceOf = (then: readonly Effect[], now: readonly Effect[]): Difference | undefined => {
  const slots = now.map((effect): Slot => ({ effect, taken: false }));
  const takeSame = grouped(slots, textOf);
  const left = then.filter((effect) => {
    const withoutId = textWithoutId(effect);
    const found = takeSame(textOf(effect)) ?? (withoutId === undefined ? undefined : takeSame(withoutId));
    return found === undefined;
  });
  const takeAbout = grouped(
    slots.filter(({ taken }) => !taken),
    subjectOf,
  );
  const onlyThen: Effect[] = [];
  const changed: Changed[] = [];
  for (const effect of left) {
    const other = takeAbout(subjectOf(effect));
    if (other === undefined) {
      onlyThen.push(effect);
      continue;
    }
    const patch = patchOf(effect, other, maxSteps);
    // biome-ignore lint/suspicious/noThenProperty: an effect, and the name on the wire
    changed.push({ then: effect, now: other, ...(patch === undefined ? {} : { patch }) });
  }
  const onlyNow = slots.filter(({ taken }) => !taken).map(({ effect }) => effect);
  if (onlyThen.length + onlyNow.length + changed.length === 0) return undefined;
  return { onlyThen, onlyNow, changed };
};
