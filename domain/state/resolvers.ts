import { canonicalJson } from '../canonical-json.ts';
import type { Json } from '../event.ts';
import { isJsonArray, isJsonObject, isModestJson } from '../json.ts';
import { threeWayMerge } from './three-way-merge.ts';

/** What a conflict is made of. */
export type Conflict = {
  /** The value that the writer saw; absent when it saw none, or which it was is not known. */
  readonly base?: Json;
  /** The value that is there; absent when the key does not exist. */
  readonly current?: Json;
  /** The value that the writer wants. */
  readonly incoming: Json;
};

/** `conflicts`: JSON pointers to the places that cannot be settled. */
export type Resolved =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly reason: string; readonly conflicts?: readonly string[] };

/** Settles a conflict (docs/adr/0030-conflicts.md). Pure: it is decided anew whenever another writer was faster. */
export type Resolver = (conflict: Conflict) => Resolved;

/** Values and characters; what is larger than 1,000,000 bytes no log takes anyway. */
const maxUnits = 1_000_000;

const refuse = (reason: string): Resolved => ({ ok: false, reason });

/** A resolver that combines two values: where there is no other one, the incoming one is taken. */
const combining =
  (combine: (current: Json, incoming: Json) => Resolved): Resolver =>
  ({ current, incoming }) =>
    current === undefined ? { ok: true, value: incoming } : bounded(combine(current, incoming));

const bounded = (resolved: Resolved): Resolved =>
  !resolved.ok || isModestJson(resolved.value, maxUnits)
    ? resolved
    : refuse('the result would be too large or too deep');

/** Members of both; where both have one, objects are merged and anything else is the incoming one, lists too. */
const deepMerge = (current: Json, incoming: Json): Json => {
  if (!isJsonObject(current) || !isJsonObject(incoming)) return incoming;
  const merged = new Map(Object.entries(current));
  for (const [name, value] of Object.entries(incoming)) {
    const other = merged.get(name);
    merged.set(name, other === undefined ? value : deepMerge(other, value));
  }
  return Object.fromEntries(merged);
};

/** Each item once, by its JSON value: the current ones in their order, then the new ones in theirs. */
const setUnion = (current: Json, incoming: Json): Resolved => {
  if (!isJsonArray(current)) return refuse('the current value is not a list');
  if (!isJsonArray(incoming)) return refuse('the incoming value is not a list');
  const items = new Map<string, Json>();
  for (const list of [current, incoming]) {
    for (const item of list) {
      const text = isJsonObject(item) || isJsonArray(item) ? canonicalJson(item) : JSON.stringify(item);
      if (!items.has(text)) items.set(text, item);
    }
  }
  return { ok: true, value: [...items.values()] };
};

/** The greater number, or the greater text by its UTF-16 code units: of RFC 3339 times of one form, the later. */
const max = (current: Json, incoming: Json): Resolved => {
  const comparable =
    (typeof current === 'number' && typeof incoming === 'number') ||
    (typeof current === 'string' && typeof incoming === 'string');
  if (!comparable) return refuse('the values are neither two numbers nor two texts');
  return { ok: true, value: incoming > current ? incoming : current };
};

/** The resolver that refuses: what happens without any. */
export const rejectName = 'reject';
export const threeWayMergeName = 'three-way-merge';

const builtIn: ReadonlyMap<string, Resolver> = new Map<string, Resolver>([
  ['last-writer-wins', ({ incoming }) => ({ ok: true, value: incoming })],
  ['deep-merge', combining((current, incoming) => ({ ok: true, value: deepMerge(current, incoming) }))],
  [threeWayMergeName, (conflict) => bounded(threeWayMerge(conflict))],
  ['set-union', combining(setUnion)],
  ['max', combining(max)],
]);

/** `reject` among them, which is no function: nothing is resolved. */
export const builtInNames: readonly string[] = [rejectName, ...builtIn.keys()];

export const builtInResolver = (name: string): Resolver | undefined => builtIn.get(name);

/** Those that need a version to compare with, or are none: a write that names no version is then a plain put. */
const comparing: ReadonlySet<string> = new Set([rejectName, 'last-writer-wins', threeWayMergeName]);

/** True for a resolver that combines a write with what is there even when the write names no version. */
export const alwaysCombines = (name: string): boolean => !comparing.has(name);

const nameRule = /^[a-z][a-z0-9-]{0,63}$/;

/** Names of resolvers: a lower-case letter, then up to 63 letters, digits and hyphens. */
export const isResolverName = (text: string): boolean => nameRule.test(text);
