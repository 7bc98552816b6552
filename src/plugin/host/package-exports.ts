import type { Json } from '../../../domain/event.ts';
import { isJsonArray, isJsonObject, type JsonObject } from '../../../domain/json.ts';

/** How a package.json says where its modules are (Node's documentation, "Packages"). */

/** As `import` asks, or `require`. */
export type Conditions = ReadonlySet<string>;
export const importConditions: Conditions = new Set(['import', 'module', 'default']);
export const requireConditions: Conditions = new Set(['require', 'default']);

const targetOf = (
  value: Json | undefined,
  star: string,
  conditions: Conditions,
  depth = 0,
): string | undefined => {
  if (typeof value === 'string') return value.startsWith('./') ? value.replaceAll('*', star) : undefined;
  if (depth > 16) return undefined;
  if (value !== undefined && isJsonArray(value)) {
    for (const item of value) {
      const target = targetOf(item, star, conditions, depth + 1);
      if (target !== undefined) return target;
    }
    return undefined;
  }
  if (!isJsonObject(value)) return undefined;
  for (const [condition, item] of Object.entries(value)) {
    if (!conditions.has(condition)) continue;
    const target = targetOf(item, star, conditions, depth + 1);
    if (target !== undefined) return target;
  }
  return undefined;
};

/** Patterns of one table that are looked at. */
const maxPatterns = 256;
const patterns = new WeakMap<JsonObject, readonly string[]>();

/** Found once: a table of many names is asked for as many imports. */
const patternsOf = (table: JsonObject): readonly string[] => {
  let known = patterns.get(table);
  if (known === undefined) {
    known = Object.keys(table)
      .filter((key) => key.includes('*'))
      .slice(0, maxPatterns);
    patterns.set(table, known);
  }
  return known;
};

/** The path of `name` (`./sub`, `.`, `#internal`) in a table of them, the longest pattern first. */
const inTable = (table: JsonObject, name: string, conditions: Conditions): string | undefined => {
  if (Object.hasOwn(table, name) && !name.includes('*')) return targetOf(table[name], '', conditions);
  let best: { readonly key: string; readonly star: string } | undefined;
  for (const key of patternsOf(table)) {
    const at = key.indexOf('*');
    const [before, after] = [key.slice(0, at), key.slice(at + 1)];
    const fits =
      name.startsWith(before) && name.endsWith(after) && name.length >= before.length + after.length;
    if (fits && (best === undefined || key.length > best.key.length)) {
      best = { key, star: name.slice(before.length, name.length - after.length) };
    }
  }
  return best === undefined ? undefined : targetOf(table[best.key], best.star, conditions);
};

/** Either all of its names begin with a dot, or none does: it is a table of conditions. */
const isTable = (exports: Json): exports is JsonObject => {
  if (!isJsonObject(exports)) return false;
  for (const key in exports) return key.startsWith('.');
  return false;
};

/** @param subpath `.`, or `./…`. */
export const exportOf = (
  manifest: JsonObject,
  subpath: string,
  conditions: Conditions,
): string | undefined => {
  const { exports } = manifest;
  if (exports === undefined || exports === null) {
    if (subpath !== '.') return subpath;
    const main = conditions.has('import') ? (manifest.module ?? manifest.main) : manifest.main;
    return typeof main === 'string' ? `./${main.replace(/^\.?\//, '')}` : './index';
  }
  return inTable(isTable(exports) ? exports : { '.': exports }, subpath, conditions);
};

/** @param name `#…` */
export const importOf = (manifest: JsonObject, name: string, conditions: Conditions): string | undefined =>
  isJsonObject(manifest.imports) ? inTable(manifest.imports, name, conditions) : undefined;
