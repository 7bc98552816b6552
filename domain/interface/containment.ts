import type { Json } from '../event.ts';
import { sameJson } from '../json.ts';
import { implications } from './implications.ts';
import {
  commonTypes,
  isAnnotation,
  isKnownType,
  isList,
  isNode,
  member,
  type Node,
  nodesOf,
  type Root,
  sameMeaning,
  type TypeName,
  targetOf,
  typesOf,
  valuesOf,
} from './schema-node.ts';

/** A place at which a value of the inner schema may not be one of the outer. */
export type Misfit = {
  /** JSON pointer into the schemas. */
  readonly pointer: string;
  readonly inner: Json;
  readonly outer: Json;
  readonly why: string;
};

/**
 * Shared by all comparisons of one change: what is left of it bounds their time. A step looks at one keyword of one node
 * for one keyword of another.
 */
export type Budget = { steps: number };

const maxDepth = 200;
const maxMisfits = 50;

/** Keywords whose meaning depends on what stands beside or around them: only a whole schema that is the same is the same. */
const contextual: ReadonlySet<string> = new Set([
  'unevaluatedProperties',
  'unevaluatedItems',
  '$dynamicRef',
  '$recursiveRef',
]);
const structural: ReadonlySet<string> = new Set([
  'type',
  'properties',
  'additionalProperties',
  'prefixItems',
  'allOf',
  'anyOf',
  'oneOf',
  '$ref',
]);
const isJudged = (keyword: string, value: Json): boolean =>
  structural.has(keyword) ||
  implications.has(keyword) ||
  isAnnotation(keyword) ||
  (keyword === 'items' && !isList(value));
/** What is compared as text only, and as a whole: some of these keywords belong together (`if` and `then`). */
const othersOf = (node: Node): Node =>
  Object.fromEntries(
    Object.entries(node).filter(([keyword, value]) => keyword !== '$id' && !isJudged(keyword, value)),
  );

/** All nodes hold at once. `spent`: lists of alternatives of which one is among the nodes already. */
type All = { readonly nodes: readonly Node[]; readonly spent: ReadonlySet<Json> };
type Place = {
  readonly pointer: string;
  /** How many properties and items deep in the value. */
  readonly level: number;
  readonly depth: number;
};

const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
const under = ({ pointer, ...place }: Place, ...names: readonly string[]): Place => ({
  ...place,
  pointer: `${pointer}${names.map((name) => `/${escaped(name)}`).join('')}`,
});
const inside = (place: Place, ...names: readonly string[]): Place => ({
  ...under(place, ...names),
  level: place.level + 1,
});

/**
 * Where `inner` may have a value that `outer` does not have; none: every value of `inner` is one of `outer`.
 *
 * Sound and not complete: what it cannot judge is a misfit, so none is ever missed. At most 50 are told.
 */
export const misfitsOf = (innerDocument: Json, outerDocument: Json, budget: Budget): readonly Misfit[] => {
  const innerRoot: Root = { document: innerDocument };
  const outerRoot: Root = { document: outerDocument };
  const ids = new Map<Json, number>();
  const idOf = (node: Json): number => {
    const id = ids.get(node) ?? ids.size;
    ids.set(node, id);
    return id;
  };
  /** Comparisons under way, and how deep in the value they began. */
  const open = new Map<string, number>();
  const same = new Map<string, boolean>();
  const isSame = (inner: Json, outer: Json): boolean => {
    const key = `${idOf(inner)} ${idOf(outer)}`;
    const known = same.get(key) ?? sameMeaning(inner, innerRoot, outer, outerRoot);
    same.set(key, known);
    return known;
  };

  /** What holds of all `schemas` at once, `allOf` and `$ref` followed; undefined: no value is left. */
  const allOf = (schemas: readonly Json[], root: Root, spent: All['spent'] = new Set()): All | undefined => {
    const nodes = new Set<Node>();
    const waiting = [...schemas];
    for (let next = waiting.pop(); next !== undefined && --budget.steps >= 0; next = waiting.pop()) {
      if (next === false) return undefined;
      // A schema that is none, and a $ref that leads nowhere, are taken to say nothing.
      if (!isNode(next) || nodes.has(next)) continue;
      nodes.add(next);
      const parts = member(next, 'allOf');
      if (isList(parts)) waiting.push(...parts);
      const target = targetOf(root, member(next, '$ref'));
      if (target !== undefined) waiting.push(target);
    }
    const all = [...nodes];
    return commonTypes(all).size === 0 ? undefined : { nodes: all, spent };
  };

  const propertyOf = (nodes: readonly Node[], name: string): readonly Json[] => {
    budget.steps -= nodes.length;
    return nodes.flatMap((node) => {
      const own = member(nodesOf(member(node, 'properties')), name);
      if (own !== undefined) return [own];
      // One of its patterns may match the name, and patterns are not run.
      if (member(node, 'patternProperties') !== undefined) return [];
      return member(node, 'additionalProperties') ?? [];
    });
  };

  const itemOf = (nodes: readonly Node[], index: number): readonly Json[] => {
    budget.steps -= nodes.length;
    return nodes.flatMap((node) => {
      const prefix = member(node, 'prefixItems');
      const own = isList(prefix) ? prefix[index] : undefined;
      if (own !== undefined) return [own];
      const rest = member(node, 'items');
      return rest === undefined || isList(rest) ? [] : [rest];
    });
  };

  const shown = (nodes: readonly Node[], keyword: string): Json =>
    nodes.map((node) => member(node, keyword)).find((value) => value !== undefined) ?? null;

  const misfit = (inner: readonly Node[], outer: Json, { pointer }: Place, why: string): Misfit[] => {
    const keyword = pointer.slice(pointer.lastIndexOf('/') + 1);
    return [{ pointer, inner: shown(inner, keyword), outer, why }];
  };
  const unjudged = (inner: readonly Node[], outer: Json, place: Place, what: string): Misfit[] =>
    misfit(inner, outer, place, `${what}, so it counts as incompatible`);

  const check = (schemas: readonly Json[], outer: Json, place: Place): readonly Misfit[] => {
    const inner = allOf(schemas, innerRoot);
    return inner === undefined ? [] : compare(inner, outer, place);
  };

  const compare = (inner: All, outer: Json, at: Place): readonly Misfit[] => {
    const { nodes } = inner;
    const place = { ...at, depth: at.depth + 1 };
    budget.steps -= 1 + nodes.length * (isNode(outer) ? 1 + Object.keys(outer).length : 1);
    if (budget.steps < 0 || place.depth > maxDepth)
      return unjudged(nodes, null, place, 'it is too large to be compared');
    if (outer === true || nodes.some((node) => isSame(node, outer))) return [];
    if (outer === false) return misfit(nodes, outer, place, 'no value is left');
    if (!isNode(outer)) return unjudged(nodes, outer, place, 'it is no JSON Schema');
    const isNamed = (node: Node, root: Root): boolean =>
      node !== root.document && member(node, '$id') !== undefined;
    if (isNamed(outer, outerRoot) || nodes.some((node) => isNamed(node, innerRoot)))
      return unjudged(nodes, outer, under(place, '$id'), 'a schema with an $id of its own is not judged');
    const key = `${nodes.map(idOf).sort().join()} ${idOf(outer)}`;
    const began = open.get(key);
    // It holds of this part of the value if it holds of all parts that are smaller: induction over values.
    if (began !== undefined)
      return began < place.level ? [] : unjudged(nodes, outer, place, 'it refers to itself');
    open.set(key, place.level);
    try {
      const found = keywords(inner, outer, place);
      return found.length > 0 && holdsOfEachAlternative(inner, outer, place) ? [] : found;
    } finally {
      open.delete(key);
    }
  };

  /** The inner schema is one of several alternatives: then each of them has to fit. */
  const holdsOfEachAlternative = ({ nodes, spent }: All, outer: Json, place: Place): boolean => {
    for (const node of nodes) {
      for (const keyword of ['anyOf', 'oneOf']) {
        const alternatives = member(node, keyword);
        if (!isList(alternatives) || spent.has(alternatives)) continue;
        const chosen = new Set([...spent, alternatives]);
        return alternatives.every((alternative) => {
          if (budget.steps < 0) return false;
          const one = allOf([...nodes, alternative], innerRoot, chosen);
          return one === undefined || compare(one, outer, place).length === 0;
        });
      }
    }
    return false;
  };

  const keywords = (inner: All, outer: Node, place: Place): readonly Misfit[] => {
    const found: Misfit[] = [];
    for (const keyword of Object.keys(outer)) {
      if (found.length >= maxMisfits) break;
      found.push(...judge(inner, outer, keyword, place));
    }
    if (found.length < maxMisfits) found.push(...judgeOthers(inner, outer, place));
    return found.slice(0, maxMisfits);
  };

  const judgeOthers = ({ nodes }: All, outer: Node, place: Place): readonly Misfit[] => {
    const others = othersOf(outer);
    const [first] = Object.keys(others);
    if (first === undefined) return [];
    const named = Object.keys(others).find((keyword) => contextual.has(keyword));
    const isEqual = (node: Node): boolean => sameMeaning(othersOf(node), innerRoot, others, outerRoot);
    if (named === undefined && nodes.some(isEqual)) return [];
    const keyword = named ?? first;
    return unjudged(
      nodes,
      others[keyword] ?? null,
      under(place, keyword),
      `${keyword} is not judged unless all is the same`,
    );
  };

  const judge = (inner: All, outer: Node, keyword: string, place: Place): readonly Misfit[] => {
    const value = outer[keyword] ?? null;
    const { nodes } = inner;
    const types = commonTypes(nodes);
    const here = under(place, keyword);
    const rule = implications.get(keyword);
    if (rule !== undefined) {
      if (rule.of.length > 0 && !rule.of.some((type) => types.has(type))) return [];
      const implied = rule.implied(value, nodes);
      if (implied === undefined) return unjudged(nodes, value, here, `${keyword} is malformed`);
      return implied ? [] : misfit(nodes, value, here, `${keyword} leaves out values`);
    }
    switch (keyword) {
      case 'type': {
        if (!isKnownType(outer)) return unjudged(nodes, value, here, 'type is malformed');
        const allowed = typesOf({ type: value });
        const missing = [...types].filter((type) => !allowed.has(type));
        return missing.length === 0
          ? []
          : misfit(nodes, value, here, `type leaves out ${missing.join(', ')}`);
      }
      case 'properties':
        return types.has('object') ? properties(inner, value, here) : [];
      case 'additionalProperties':
        return types.has('object') ? additional(inner, outer, value, place) : [];
      case 'prefixItems':
        if (!types.has('array')) return [];
        if (!isList(value)) return unjudged(nodes, value, here, 'prefixItems is malformed');
        return value.flatMap((item, index) => check(itemOf(nodes, index), item, inside(here, String(index))));
      case 'items':
        return types.has('array') && !isList(value) ? items(inner, outer, value, place) : [];
      case 'allOf':
        if (!isList(value)) return unjudged(nodes, value, here, 'allOf is malformed');
        return value.flatMap((part, index) => compare(inner, part, under(here, String(index))));
      case 'anyOf':
        if (!isList(value)) return unjudged(nodes, value, here, 'anyOf is malformed');
        return value.some((part) => compare(inner, part, here).length === 0)
          ? []
          : misfit(nodes, value, here, 'no alternative has all values');
      case 'oneOf':
        return isList(value) && isExactlyOne(inner, value, here)
          ? []
          : unjudged(nodes, value, here, 'it cannot be told that exactly one alternative has each value');
      case '$ref': {
        const target = targetOf(outerRoot, value);
        return target === undefined
          ? unjudged(nodes, value, here, 'only #, #/$defs/… and #/definitions/… are followed')
          : compare(inner, target, place);
      }
      default:
        return [];
    }
  };

  const properties = ({ nodes }: All, value: Json, here: Place): readonly Misfit[] => {
    if (!isNode(value)) return unjudged(nodes, value, here, 'properties is malformed');
    return Object.entries(value).flatMap(([name, schema]) =>
      check(propertyOf(nodes, name), schema, inside(here, name)),
    );
  };

  const additional = ({ nodes }: All, outer: Node, value: Json, place: Place): readonly Misfit[] => {
    const named = nodesOf(member(outer, 'properties'));
    const patterns = member(outer, 'patternProperties');
    const names = new Set(nodes.flatMap((node) => Object.keys(nodesOf(member(node, 'properties')))));
    const found = [...names]
      .filter((name) => !Object.hasOwn(named, name))
      .flatMap((name) => check(propertyOf(nodes, name), value, inside(place, 'properties', name)));
    // A name that is additional in `outer` matches none of its patterns, so it is additional where those are the same.
    const rest = nodes.flatMap((node) => {
      const own = member(node, 'patternProperties');
      const isAdditional = own === undefined || (patterns !== undefined && isSame(own, patterns));
      return isAdditional ? (member(node, 'additionalProperties') ?? []) : [];
    });
    return [...found, ...check(rest, value, inside(place, 'additionalProperties'))];
  };

  const items = ({ nodes }: All, outer: Node, value: Json, place: Place): readonly Misfit[] => {
    const lengthOf = (node: Node): number => {
      const prefix = member(node, 'prefixItems');
      return isList(prefix) ? prefix.length : 0;
    };
    const from = lengthOf(outer);
    const to = Math.max(from, ...nodes.map(lengthOf));
    const found: Misfit[] = [];
    for (let index = from; index <= to; index++)
      found.push(...check(itemOf(nodes, index), value, inside(place, 'items')));
    return found;
  };

  const isExactlyOne = (inner: All, alternatives: readonly Json[], here: Place): boolean =>
    alternatives.some(
      (one, index) =>
        compare(inner, one, here).length === 0 &&
        alternatives.every((other, place) => place === index || isDisjoint(inner.nodes, other, 0)),
    );

  /** True when no value is one of both. */
  const isDisjoint = (nodes: readonly Node[], outer: Json, depth: number): boolean => {
    budget.steps -= nodes.length;
    if (budget.steps < 0 || depth > 8) return false;
    const other = allOf([outer], outerRoot);
    if (other === undefined) return true;
    const both = commonTypes([...nodes, ...other.nodes]);
    if (both.size === 0) return true;
    const isApart = (left: Node): boolean =>
      other.nodes.some((right) => {
        const [own, others] = [valuesOf(left), valuesOf(right)];
        return own !== undefined && others?.every((value) => !own.some((one) => sameJson(one, value)));
      });
    if (nodes.some(isApart)) return true;
    const onlyObject: readonly TypeName[] = ['object'];
    if ([...both].some((type) => !onlyObject.includes(type))) return false;
    const required = nodes.flatMap((node) => {
      const names = member(node, 'required');
      return isList(names) ? names.filter((name) => typeof name === 'string') : [];
    });
    return required.some((name) =>
      other.nodes.some((node) => {
        const schema = member(nodesOf(member(node, 'properties')), name);
        const own = allOf(propertyOf(nodes, name), innerRoot);
        return schema !== undefined && (own === undefined || isDisjoint(own.nodes, schema, depth + 1));
      }),
    );
  };

  return check([innerDocument], outerDocument, { pointer: '', level: 0, depth: 0 });
};
