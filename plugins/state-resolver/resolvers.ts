import type { ConflictAnswer, ConflictInput, Json } from 'nexus-integration-core/plugin';
import { isList, isObject, type JsonObject, namesOf, same, valueAt, withPart } from './json.ts';

/** What happens to an item that both sides changed, each in another way. */
export type OnClash = 'incoming' | 'current' | 'refuse';

const maxConflicts = 100;

/**
 * The value whose number at `pointer` is the greater; the one that is there when they are equal.
 *
 * @throws {RangeError} when `pointer` is no JSON pointer.
 */
export const createHighestWins = (pointer: string): ((conflict: ConflictInput) => ConflictAnswer) => {
  const names = pathOf(pointer);
  const where = pointer === '' ? 'as a whole' : `at ${pointer}`;
  return ({ current, incoming }) => {
    if (current === undefined) return { value: incoming };
    const [have, want] = [valueAt(current, names), valueAt(incoming, names)];
    if (typeof have !== 'number') return { refuse: `the value that is there has no number ${where}` };
    if (typeof want !== 'number') return { refuse: `the new value has no number ${where}` };
    return { value: want > have ? incoming : current };
  };
};

export type UnionSettings = {
  /** JSON pointer to the list, through objects; the rest of the value is the incoming one. */
  readonly items: string;
  /** Member by which an object is known. */
  readonly id: string;
  readonly onClash: OnClash;
};

type Items = { readonly ok: true; readonly byId: ReadonlyMap<string, JsonObject> };

/**
 * Objects of both lists, each id once: those that are there in their order, then the new ones in theirs. With the base known
 * an item that one side alone changed, or removed, is as that side has it.
 *
 * @throws {RangeError} when `items` is no JSON pointer.
 */
export const createUnionById = (settings: UnionSettings): ((conflict: ConflictInput) => ConflictAnswer) => {
  const names = pathOf(settings.items);
  return ({ base, current, incoming }) => {
    if (current === undefined) return { value: incoming };
    const have = itemsOf(current, names, settings.id);
    if (!have.ok) return { refuse: `the value that is there ${have.reason}` };
    const want = itemsOf(incoming, names, settings.id);
    if (!want.ok) return { refuse: `the new value ${want.reason}` };
    const before = base === undefined ? undefined : itemsOf(base, names, settings.id);
    const known = before?.ok === true ? before.byId : undefined;
    const union = unite(known, have.byId, want.byId, settings.onClash);
    if (union.clashes.length > 0) {
      const conflicts = union.clashes.slice(0, maxConflicts).map((place) => `${settings.items}/${place}`);
      return { refuse: 'both sides changed the same items', conflicts };
    }
    return { value: withPart(incoming, names, union.items) };
  };
};

const pathOf = (pointer: string): readonly string[] => {
  const names = namesOf(pointer);
  if (names === undefined) throw new RangeError(`${JSON.stringify(pointer)} is no JSON pointer`);
  return names;
};

const itemsOf = (
  value: Json,
  names: readonly string[],
  id: string,
): Items | { readonly ok: false; readonly reason: string } => {
  const list = valueAt(value, names);
  if (!isList(list)) return { ok: false, reason: 'has no list there' };
  const byId = new Map<string, JsonObject>();
  for (const [index, item] of list.entries()) {
    const own = isObject(item) && Object.hasOwn(item, id) ? item[id] : undefined;
    if (!isObject(item) || (typeof own !== 'string' && typeof own !== 'number')) {
      return { ok: false, reason: `has an item without ${JSON.stringify(id)}, number ${index}` };
    }
    // Numbers and texts are told apart, as 1 and "1" are.
    const key = JSON.stringify(own);
    if (byId.has(key)) return { ok: false, reason: `has ${key} twice` };
    byId.set(key, item);
  }
  return { ok: true, byId };
};

const unite = (
  known: ReadonlyMap<string, JsonObject> | undefined,
  have: ReadonlyMap<string, JsonObject>,
  want: ReadonlyMap<string, JsonObject>,
  onClash: OnClash,
): { readonly items: readonly Json[]; readonly clashes: readonly number[] } => {
  const items: Json[] = [];
  const clashes: number[] = [];
  let place = 0;
  for (const [key, held] of have) {
    const settled = settle(known?.get(key), held, want.get(key), onClash);
    if (settled === 'clash') clashes.push(place);
    else if (settled !== undefined) items.push(settled);
    place++;
  }
  for (const [key, wanted] of want) {
    if (have.has(key)) continue;
    const old = known?.get(key);
    // It was removed meanwhile, and the writer left it as it was.
    if (old !== undefined && same(old, wanted)) continue;
    if (old === undefined || onClash === 'incoming') items.push(wanted);
    else if (onClash === 'refuse') clashes.push(place);
    place++;
  }
  return { items, clashes };
};

/** One item that is there: what becomes of it, undefined when it goes. */
const settle = (
  old: JsonObject | undefined,
  held: JsonObject,
  wanted: JsonObject | undefined,
  onClash: OnClash,
): JsonObject | undefined | 'clash' => {
  if (same(held, wanted)) return held;
  if (old !== undefined && same(old, held)) return wanted;
  if (wanted === undefined && old === undefined) return held;
  if (wanted !== undefined && old !== undefined && same(old, wanted)) return held;
  if (onClash === 'refuse') return 'clash';
  return onClash === 'incoming' ? wanted : held;
};
