import type { Json } from './event.ts';
import { isDangerousName, isJsonArray, isJsonObject, isModestJson, sameJson, unitsOf } from './json.ts';
import { parsePointer } from './json-pointer.ts';

/** One operation of a JSON patch (RFC 6902, section 4). */
export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: Json }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string };

/** `index`: of the operation that could not be carried out; none of them was then. */
export type Patched =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly index: number; readonly detail: string };

/** Members that may be copied or looked at in all: a short patch of a large list would hold the hub up otherwise. */
const maxWork = 2_000_000;
/** Values and characters of a result; what is larger than 1,000,000 bytes no log takes anyway. */
const maxUnits = 1_000_000;

const arrayIndex = /^(?:0|[1-9]\d{0,8})$/;

class Fault extends Error {}

const place = (path: string): readonly string[] => {
  const steps = parsePointer(path);
  if (steps === undefined) throw new Fault(`${JSON.stringify(path.slice(0, 256))} is not a JSON pointer`);
  return steps;
};

const missing = (path: string): Fault =>
  new Fault(`there is nothing at ${JSON.stringify(path.slice(0, 256))}`);

/** @param last the greatest index that may be named. */
const indexOf = (step: string, last: number, path: string): number => {
  if (!arrayIndex.test(step))
    throw new Fault(`${JSON.stringify(step.slice(0, 64))} is not the index of a list`);
  const index = Number(step);
  if (index > last) throw missing(path);
  return index;
};

const createEditor = () => {
  let work = 0;
  const charge = (members: number): void => {
    work += members + 1;
    if (work > maxWork) throw new Fault('the patch takes too much work: patch less at once');
  };

  const child = (node: Json, step: string, path: string): Json => {
    if (isJsonArray(node)) {
      const item = node[indexOf(step, node.length - 1, path)];
      if (item !== undefined) return item;
    } else if (isJsonObject(node) && Object.hasOwn(node, step)) {
      const item = node[step];
      if (item !== undefined) return item;
    }
    throw missing(path);
  };

  const read = (root: Json, path: string): Json =>
    place(path).reduce((node, step) => {
      charge(0);
      return child(node, step, path);
    }, root);

  /** The list or object with one of its members changed; `value` undefined removes it. */
  const withMember = (
    node: Json,
    step: string,
    value: Json | undefined,
    insert: boolean,
    path: string,
  ): Json => {
    if (isJsonArray(node)) {
      charge(node.length);
      const last = insert ? node.length : node.length - 1;
      const index = insert && step === '-' ? node.length : indexOf(step, last, path);
      return value === undefined ? node.toSpliced(index, 1) : node.toSpliced(index, insert ? 0 : 1, value);
    }
    if (!isJsonObject(node)) throw missing(path);
    if (isDangerousName(step)) throw new Fault(`a member must not be called ${step}`);
    const members = Object.entries(node);
    charge(members.length);
    if (!insert && !Object.hasOwn(node, step)) throw missing(path);
    if (value === undefined) return Object.fromEntries(members.filter(([name]) => name !== step));
    return { ...node, [step]: value };
  };

  const edit = (
    node: Json,
    steps: readonly string[],
    value: Json | undefined,
    insert: boolean,
    path: string,
  ): Json => {
    const [step, ...rest] = steps;
    if (step === undefined) {
      if (value === undefined) throw new Fault('the whole value cannot be removed: delete the key');
      return value;
    }
    if (rest.length === 0) return withMember(node, step, value, insert, path);
    return withMember(node, step, edit(child(node, step, path), rest, value, insert, path), false, path);
  };

  const apply = (root: Json, operation: PatchOperation): Json => {
    const { path } = operation;
    switch (operation.op) {
      case 'add':
        return edit(root, place(path), operation.value, true, path);
      case 'replace':
        return edit(root, place(path), operation.value, false, path);
      case 'remove':
        return edit(root, place(path), undefined, false, path);
      case 'test': {
        const found = read(root, path);
        if (isJsonObject(found)) charge(Object.keys(found).length);
        if (sameJson(found, operation.value)) return root;
        throw new Fault(`the value at ${JSON.stringify(path.slice(0, 256))} is another one`);
      }
      case 'copy': {
        const copied = read(root, operation.from);
        charge(unitsOf(copied, maxWork));
        return edit(root, place(path), copied, true, path);
      }
      case 'move': {
        const { from } = operation;
        const moved = read(root, from);
        if (path === from) return root;
        if (path.startsWith(`${from}/`)) throw new Fault('a value cannot be moved into itself');
        return edit(edit(root, place(from), undefined, false, from), place(path), moved, true, path);
      }
    }
  };
  return apply;
};

/**
 * Applies the operations of a JSON patch (RFC 6902) in order, all or none. `value` is not changed.
 *
 * Refused too: names that no object may have, a result that is deeper than 64 levels or larger than a log takes, and more
 * work than a few megabytes of copying.
 */
export const applyPatch = (value: Json, operations: readonly PatchOperation[]): Patched => {
  const apply = createEditor();
  let result = value;
  for (const [index, operation] of operations.entries()) {
    try {
      result = apply(result, operation);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return { ok: false, index, detail: error.message };
    }
  }
  return isModestJson(result, maxUnits)
    ? { ok: true, value: result }
    : { ok: false, index: operations.length - 1, detail: 'the result would be too large or too deep' };
};
