import type { Json } from '../event.ts';
import { isJsonObject, type JsonObject, sameJson } from '../json.ts';
import { jsonPointer } from '../json-pointer.ts';
import type { Conflict, Resolved } from './resolvers.ts';

/** More say no more: a writer that is told of so many reads the value anew. */
const maxConflicts = 100;

/** A member, or that there is none. */
type Part = Json | undefined;

/** What comes of one place, and which of base, current and incoming are the same there. */
type Merged = {
  readonly part: Part;
  readonly changesAgree: boolean;
  readonly currentIsBase: boolean;
  readonly incomingIsBase: boolean;
};

type Path = { readonly parent: Path; readonly name: string } | undefined;

const pointerTo = (path: Path): string => {
  const names: string[] = [];
  for (let at = path; at !== undefined; at = at.parent) names.push(at.name);
  return jsonPointer(names.reverse());
};

const none: JsonObject = {};
const memberOf = (object: JsonObject, name: string): Part =>
  Object.hasOwn(object, name) ? object[name] : undefined;
const isSame = (left: Part, right: Part): boolean =>
  left === undefined || right === undefined ? left === right : sameJson(left, right);

/**
 * What both writers changed of the base, by the members of objects. A list is one value. A place that both changed, each
 * in another way, is a conflict; one that both changed in the same way is none. A member that was removed was changed.
 *
 * Takes time in proportion to the size of the three: what is the same is told from within outwards, not looked for anew at
 * each level.
 */
export const threeWayMerge = ({ base, current, incoming }: Conflict): Resolved => {
  if (current === undefined) {
    return { ok: false, reason: 'the key was deleted meanwhile', conflicts: [''] };
  }
  const conflicts: string[] = [];

  const merge = (from: Part, left: Part, right: Part, path: Path): Merged => {
    if (isJsonObject(left) && isJsonObject(right) && (from === undefined || isJsonObject(from)))
      return mergeMembers(from, left, right, path);
    const changesAgree = isSame(left, right);
    const currentIsBase = isSame(from, left);
    const incomingIsBase = isSame(from, right);
    const isConflict = !changesAgree && !currentIsBase && !incomingIsBase;
    if (isConflict && conflicts.length < maxConflicts) conflicts.push(pointerTo(path));
    const part = currentIsBase ? right : left;
    return { part, changesAgree, currentIsBase, incomingIsBase };
  };

  const mergeMembers = (
    from: JsonObject | undefined,
    left: JsonObject,
    right: JsonObject,
    path: Path,
  ): Merged => {
    const merged: [string, Json][] = [];
    let changesAgree = true;
    let currentIsBase = from !== undefined;
    let incomingIsBase = from !== undefined;
    const before = from ?? none;
    const add = (name: string, was: Part, mine: Part, yours: Part): void => {
      const member = merge(was, mine, yours, { parent: path, name });
      changesAgree &&= member.changesAgree;
      currentIsBase &&= member.currentIsBase;
      incomingIsBase &&= member.incomingIsBase;
      if (member.part !== undefined) merged.push([name, member.part]);
    };
    for (const [name, mine] of Object.entries(left))
      add(name, memberOf(before, name), mine, memberOf(right, name));
    for (const [name, yours] of Object.entries(right))
      if (!Object.hasOwn(left, name)) add(name, memberOf(before, name), undefined, yours);
    for (const [name, was] of Object.entries(before))
      if (!Object.hasOwn(left, name) && !Object.hasOwn(right, name)) add(name, was, undefined, undefined);
    const isOne = changesAgree || currentIsBase || incomingIsBase;
    const part = isOne ? (currentIsBase ? right : left) : Object.fromEntries(merged);
    return { part, changesAgree, currentIsBase, incomingIsBase };
  };

  const { part: value = current } = merge(base, current, incoming, undefined);
  return conflicts.length === 0
    ? { ok: true, value }
    : { ok: false, reason: 'both writers changed the same places', conflicts };
};
