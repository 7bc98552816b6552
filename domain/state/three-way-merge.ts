import type { Json } from '../event.ts';
import { isJsonObject, type JsonObject, sameJson } from '../json.ts';
import { jsonPointer } from '../json-pointer.ts';
import type { Conflict, Resolved } from './resolvers.ts';

/** More say no more: a writer that is told of so many reads the value anew. */
const maxConflicts = 100;

/** A member, or that there is none. */
type Part = Json | undefined;

const none: JsonObject = {};
const memberOf = (object: JsonObject, name: string): Part =>
  Object.hasOwn(object, name) ? object[name] : undefined;
const isSame = (left: Part, right: Part): boolean =>
  left === undefined || right === undefined ? left === right : sameJson(left, right);

/**
 * What both writers changed of the base, by the members of objects. A list is one value. A place that both changed, each
 * in another way, is a conflict; one that both changed in the same way is none. A member that was removed was changed.
 */
export const threeWayMerge = ({ base, current, incoming }: Conflict): Resolved => {
  if (current === undefined) {
    return { ok: false, reason: 'the key was deleted meanwhile', conflicts: [''] };
  }
  const conflicts: string[] = [];

  const merge = (from: Part, left: Part, right: Part, path: readonly string[]): Part => {
    if (isSame(left, right) || isSame(from, right)) return left;
    if (isSame(from, left)) return right;
    if (isJsonObject(left) && isJsonObject(right) && (from === undefined || isJsonObject(from))) {
      return mergeMembers(from ?? none, left, right, path);
    }
    if (conflicts.length < maxConflicts) conflicts.push(jsonPointer(path));
    return left;
  };

  const mergeMembers = (
    from: JsonObject,
    left: JsonObject,
    right: JsonObject,
    path: readonly string[],
  ): Json => {
    const merged: [string, Json][] = [];
    for (const name of new Set([...Object.keys(left), ...Object.keys(right)])) {
      const member = merge(memberOf(from, name), memberOf(left, name), memberOf(right, name), [
        ...path,
        name,
      ]);
      if (member !== undefined) merged.push([name, member]);
    }
    return Object.fromEntries(merged);
  };

  const value = merge(base, current, incoming, []) ?? current;
  return conflicts.length === 0
    ? { ok: true, value }
    : { ok: false, reason: 'both writers changed the same places', conflicts };
};
