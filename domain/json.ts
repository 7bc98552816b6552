import type { Json } from './event.ts';

/** Deepest nesting that is compared; input is refused above it (contract: JSON depth 64). */
const maxDepth = 64;

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value);

/**
 * True when both are the same JSON value: the order of an object's keys does not count, that of an array does.
 * What nests deeper than 64 levels counts as different, so that the comparison ends on every input.
 */
export const sameJson = (left: Json, right: Json, depth = maxDepth): boolean => {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (depth === 0) return false;
  if (isArray(left) || isArray(right)) {
    if (!isArray(left) || !isArray(right) || left.length !== right.length) return false;
    for (let index = 0; index < left.length; index++) {
      const [item, other] = [left[index], right[index]];
      if (item === undefined || other === undefined || !sameJson(item, other, depth - 1)) return false;
    }
    return true;
  }
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => {
    const [item, other] = [left[name], Object.hasOwn(right, name) ? right[name] : undefined];
    return item !== undefined && other !== undefined && sameJson(item, other, depth - 1);
  });
};

export type JsonObject = { readonly [key: string]: Json };

export const isJsonArray = isArray;

export const isJsonObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !isArray(value);

/** Names that no object may have (contract: limits): readers in other languages and libraries trip over them. */
export const isDangerousName = (name: string): boolean =>
  name === '__proto__' || name === 'constructor' || name === 'prototype';

/**
 * How many values and characters there are, `max` or more when there are more: what was made of parts that stand in it
 * several times may be far larger than they. Looks no further than it must.
 */
export const unitsOf = (value: Json, max: number): number => {
  let units = 0;
  const walk = (item: Json): void => {
    units += typeof item === 'string' ? item.length + 1 : 1;
    if (units >= max || typeof item !== 'object' || item === null) return;
    if (isArray(item)) {
      for (const inner of item) if (units < max) walk(inner);
      return;
    }
    for (const name in item) {
      const inner = item[name];
      units += name.length;
      if (units < max && inner !== undefined) walk(inner);
    }
  };
  walk(value);
  return units;
};

const isDeeperThan = (value: Json, levels: number): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((item: Json) => isDeeperThan(item, levels - 1));
};

/** True when the value nests no deeper than 64 levels and has fewer than `maxUnits` values and characters. */
export const isModestJson = (value: Json, maxUnits: number): boolean =>
  unitsOf(value, maxUnits) < maxUnits && !isDeeperThan(value, maxDepth);
