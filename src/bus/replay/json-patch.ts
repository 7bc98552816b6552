import type { Json } from '../../../domain/event.ts';
import { sameJson } from '../../../domain/json.ts';
import { jsonPointer } from '../../../domain/json-pointer.ts';

/** One step of a JSON patch (RFC 6902). */
export type PatchStep =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string };

type Fields = { readonly [key: string]: Json };

const isFields = (value: Json): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Longer patches say less than the two values do. */
const maxSteps = 100;

/**
 * The steps that make `now` of `then`, by the members of objects: a list that differs is replaced as a whole. Undefined when
 * there would be more than 100.
 */
export const patchOf = (then: Json, now: Json): readonly PatchStep[] | undefined => {
  const steps: PatchStep[] = [];
  const walk = (left: Json, right: Json, path: readonly string[]): void => {
    if (steps.length > maxSteps || sameJson(left, right)) return;
    if (!isFields(left) || !isFields(right)) {
      steps.push({ op: 'replace', path: jsonPointer(path), value: right });
      return;
    }
    for (const key of Object.keys(left)) {
      if (!Object.hasOwn(right, key)) steps.push({ op: 'remove', path: jsonPointer([...path, key]) });
    }
    for (const [key, value] of Object.entries(right)) {
      const before = Object.hasOwn(left, key) ? left[key] : undefined;
      if (before === undefined) steps.push({ op: 'add', path: jsonPointer([...path, key]), value });
      else walk(before, value, [...path, key]);
    }
  };
  walk(then, now, []);
  return steps.length > maxSteps ? undefined : steps;
};
