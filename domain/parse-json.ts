import type { Json } from './event.ts';
import { isDangerousName } from './json.ts';

const maxDepth = 64;

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/**
 * A copy of what code of others gave, if it is JSON: no deeper than 64 levels, of at most `maxUnits` values and characters,
 * and without names that no object may have. Undefined for anything else. Getters and proxies are read once; what they throw, this throws.
 */
export const parseJson = (value: unknown, maxUnits: number): Json | undefined => {
  let units = 0;
  const copy = (item: unknown, levels: number): Json | undefined => {
    if (++units > maxUnits) return undefined;
    if (item === null || typeof item === 'boolean') return item;
    if (typeof item === 'string') {
      units += item.length;
      return units <= maxUnits && item.isWellFormed() ? item : undefined;
    }
    if (typeof item === 'number') return Number.isFinite(item) ? (item === 0 ? 0 : item) : undefined;
    if (typeof item !== 'object' || levels === 0) return undefined;
    if (Array.isArray(item)) {
      const items: Json[] = [];
      for (const member of item) {
        const copied = copy(member, levels - 1);
        if (copied === undefined) return undefined;
        items.push(copied);
      }
      return items;
    }
    if (!isPlain(item)) return undefined;
    const members: { [name: string]: Json } = {};
    for (const [name, member] of Object.entries(item)) {
      units += name.length;
      const copied = isDangerousName(name) || !name.isWellFormed() ? undefined : copy(member, levels - 1);
      if (copied === undefined) return undefined;
      members[name] = copied;
    }
    return members;
  };
  return copy(value, maxDepth);
};
