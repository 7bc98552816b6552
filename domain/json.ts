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
