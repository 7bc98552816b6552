import type { Json } from './event.ts';
import { isDangerousName, isJsonArray, isJsonObject, type JsonObject, sameJson, unitsOf } from './json.ts';
import { jsonPointer } from './json-pointer.ts';

/** One step of a JSON patch (RFC 6902). */
export type PatchStep =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string };

/** Of comparing, of applying (members copied), and of what is told (values and characters). */
const maxWork = 1_000_000;
const maxPathLength = 4_096;

/** A place, from within outwards: most are left without that anybody asks for their text. */
type Path = {
  readonly parent: Path | undefined;
  readonly step: PropertyKey;
  /** Members that a change here copies when it is applied. */
  readonly copied: number;
};

const within = (parent: Path | undefined, step: PropertyKey, members: number): Path => ({
  parent,
  step,
  copied: (parent?.copied ?? 0) + members + 1,
});

const stepsOf = (path: Path | undefined): readonly PropertyKey[] => {
  const steps: PropertyKey[] = [];
  for (let at = path; at !== undefined; at = at.parent) steps.push(at.step);
  return steps.reverse();
};

/**
 * The steps that make `now` of `then`: objects by their members; lists by what is between the items that both begin and
 * end with, one by one in order. Undefined when there would be more than `maxSteps` of them, or when they cost more to
 * find, to apply or to tell than they are worth.
 */
export const patchOf = (then: Json, now: Json, maxSteps: number): readonly PatchStep[] | undefined => {
  const steps: PatchStep[] = [];
  let [compared, copied, told] = [0, 0, 0];
  let isTooMuch = false;

  const push = (op: PatchStep['op'], at: Path | undefined, value: Json = null): void => {
    const place = stepsOf(at);
    const path = jsonPointer(place);
    copied += at?.copied ?? 0;
    told += path.length + (op === 'remove' ? 0 : unitsOf(value, maxWork));
    steps.push(op === 'remove' ? { op, path } : { op, path, value });
    isTooMuch ||=
      steps.length > maxSteps ||
      copied > maxWork ||
      told > maxWork ||
      path.length > maxPathLength ||
      place.some((step) => isDangerousName(String(step)));
  };

  const isSame = (left: Json | undefined, right: Json | undefined): boolean => {
    if (left === undefined || right === undefined) return false;
    compared += unitsOf(left, maxWork);
    isTooMuch ||= compared > 4 * maxWork;
    return !isTooMuch && sameJson(left, right);
  };

  const walk = (left: Json, right: Json, path: Path | undefined): void => {
    if (isTooMuch || left === right) return;
    if (isJsonArray(left) && isJsonArray(right)) walkItems(left, right, path);
    else if (isJsonObject(left) && isJsonObject(right)) walkMembers(left, right, path);
    else push('replace', path, right);
  };

  const walkMembers = (left: JsonObject, right: JsonObject, path: Path | undefined): void => {
    const [names, entries] = [Object.keys(left), Object.entries(right)];
    const members = Math.max(names.length, entries.length);
    for (const name of names) {
      if (isTooMuch) return;
      if (!Object.hasOwn(right, name)) push('remove', within(path, name, members));
    }
    for (const [name, value] of entries) {
      if (isTooMuch) return;
      const before = Object.hasOwn(left, name) ? left[name] : undefined;
      if (before === value) continue;
      if (before === undefined) push('add', within(path, name, members), value);
      else walk(before, value, within(path, name, members));
    }
  };

  const walkItems = (left: readonly Json[], right: readonly Json[], path: Path | undefined): void => {
    const members = Math.max(left.length, right.length);
    const shorter = Math.min(left.length, right.length);
    let [start, end] = [0, 0];
    // Lists of one length are compared item by item anyway.
    if (left.length !== right.length) {
      while (start < shorter && isSame(left[start], right[start])) start++;
      while (end < shorter - start && isSame(left.at(-1 - end), right.at(-1 - end))) end++;
    }
    for (let index = start; index < shorter - end && !isTooMuch; index++) {
      const [before, value] = [left[index], right[index]];
      if (before === value) continue;
      if (before !== undefined && value !== undefined) walk(before, value, within(path, index, members));
    }
    for (let index = left.length - end - 1; index >= shorter - end && !isTooMuch; index--)
      push('remove', within(path, index, members));
    for (let index = shorter - end; index < right.length - end && !isTooMuch; index++) {
      const value = right[index];
      if (value !== undefined) push('add', within(path, index, members), value);
    }
  };

  walk(then, now, undefined);
  return isTooMuch ? undefined : steps;
};

/** As many as a patch of a key may have. */
const maxSteps = 1_000;

/**
 * The patch that makes `now` of `then`, as one writes it to a key: where the steps would be too many, the whole value at once.
 * Undefined is a value that is not there: it is added, or removed, as a whole.
 */
export const jsonDifference = (then: Json | undefined, now: Json | undefined): readonly PatchStep[] => {
  if (now === undefined) return then === undefined ? [] : [{ op: 'remove', path: '' }];
  if (then === undefined) return [{ op: 'add', path: '', value: now }];
  return patchOf(then, now, maxSteps) ?? [{ op: 'replace', path: '', value: now }];
};
