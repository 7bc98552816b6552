import { isUtf8 } from 'node:buffer';
import type { Json } from '../../domain/event.ts';
import { jsonPointer } from '../../domain/json-pointer.ts';
import { fault, ok, type Problem, problem, type Result } from '../errors.ts';

/** Containers inside one another, the outermost included. */
export const maxJsonDepth = 64;

/** Keys that JSON from outside may not have, at any depth. */
export const refusedKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Parses JSON that comes from outside. `bad_json` says where the fault is: text that is not UTF-8 or not JSON, more than
 * `maxJsonDepth` containers inside one another, a key `__proto__`, `constructor` or `prototype` at any depth (however it
 * was escaped), a number beyond what a double holds. The size is the caller's to bound.
 */
export const parseJson = (input: string | Buffer): Result<Json> => {
  if (typeof input !== 'string' && !isUtf8(input)) return bad('The text is not UTF-8');
  let value: Json;
  try {
    value = JSON.parse(typeof input === 'string' ? input : input.toString('utf8')) as Json;
  } catch (error) {
    return bad(error instanceof SyntaxError ? error.message : 'The text is not JSON');
  }
  const found = jsonFault(value);
  return found === undefined ? ok(value) : fault(found);
};

/** The same of what JSON.parse has made: its depth, its keys, its numbers. */
export const jsonFault = (value: Json): Problem | undefined => {
  const found = inspect(value, 1);
  return found === undefined ? undefined : describe(found);
};

/** Pieces of the way to the fault are put in front on the way out, so that sound input builds no path at all. */
type Fault = { readonly reason: string; readonly path: string[] };

const inspect = (value: Json, depth: number): Fault | undefined => {
  if (typeof value === 'number') {
    return Number.isFinite(value) ? undefined : { reason: 'a number is out of range', path: [] };
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth > maxJsonDepth) return { reason: `nested deeper than ${maxJsonDepth} levels`, path: [] };
  if (isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const item = value[index];
      if (item === undefined) continue;
      const found = inspect(item, depth + 1);
      if (found !== undefined) return within(found, String(index));
    }
    return undefined;
  }
  // What JSON.parse makes has own enumerable properties only, `__proto__` included.
  for (const key in value) {
    if (refusedKeys.has(key)) return { reason: `the key ${key} is refused`, path: [key] };
    const item = value[key];
    if (item === undefined) continue;
    const found = inspect(item, depth + 1);
    if (found !== undefined) return within(found, key);
  }
  return undefined;
};

const isArray = (value: object): value is readonly Json[] => Array.isArray(value);

const within = (found: Fault, step: string): Fault => {
  found.path.unshift(step);
  return found;
};

const describe = (found: Fault): Problem => {
  const pointer = jsonPointer(found.path);
  return problem('bad_json', `At ${pointer === '' ? 'the root' : pointer}: ${found.reason}`, { pointer });
};

const bad = (detail: string): Result<never> => fault(problem('bad_json', detail));
