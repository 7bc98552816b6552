import type { Json } from '../event.ts';
import { sameJson } from '../json.ts';

/** Reading of JSON Schemas (draft 2020-12) for comparison: what they say, without judging whether they are well made. */

export type Node = { readonly [keyword: string]: Json };
/** A whole schema, in which its `$ref`s lead. */
export type Root = { readonly document: Json };

export const isNode = (value: Json | undefined): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);
export const nodesOf = (value: Json | undefined): Node => (isNode(value) ? value : {});
export const member = (node: Node, name: string): Json | undefined =>
  Object.hasOwn(node, name) ? node[name] : undefined;
export const numberOf = (node: Node, name: string): number | undefined => {
  const value = member(node, name);
  return typeof value === 'number' ? value : undefined;
};

/** What describes, and constrains nothing. `$defs` constrain where a `$ref` leads to them. */
const annotations: ReadonlySet<string> = new Set([
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$comment',
  '$schema',
  '$defs',
  'definitions',
]);
export const isAnnotation = (keyword: string): boolean => annotations.has(keyword);

export const typeNames = ['null', 'boolean', 'object', 'array', 'string', 'number', 'integer'] as const;
export type TypeName = (typeof typeNames)[number];
/** `number` stands for numbers with a fraction: every `number` allows integers as well. */
export type Types = ReadonlySet<TypeName>;
export const allTypes: Types = new Set(typeNames);

const isTypeName = (value: Json): value is TypeName => typeNames.some((name) => name === value);

const typeOfValue = (value: Json): TypeName => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'string';
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'number';
    default:
      return 'object';
  }
};

/** Undefined when `type` is not what it can be. */
const declaredTypes = (type: Json | undefined): Types | undefined => {
  if (type === undefined) return allTypes;
  const names = isList(type) ? type : [type];
  const types = new Set<TypeName>();
  for (const name of names) {
    if (!isTypeName(name)) return undefined;
    types.add(name);
    if (name === 'number') types.add('integer');
  }
  return types;
};

/** The values that `enum` and `const` leave; undefined without either. */
export const valuesOf = (node: Node): readonly Json[] | undefined => {
  const only = member(node, 'const');
  if (only !== undefined) return [only];
  const values = member(node, 'enum');
  return isList(values) ? values : undefined;
};

const both = (left: Types, right: Types): Types => new Set([...left].filter((type) => right.has(type)));

/** Types that values of `node` can have, by its type, enum and const; a malformed `type` excludes none. */
export const typesOf = (node: Node): Types => {
  const declared = declaredTypes(member(node, 'type')) ?? allTypes;
  const values = valuesOf(node);
  return values === undefined ? declared : both(declared, new Set(values.map(typeOfValue)));
};

export const isKnownType = (node: Node): boolean => declaredTypes(member(node, 'type')) !== undefined;

export const commonTypes = (nodes: readonly Node[]): Types =>
  nodes.reduce<Types>((types, node) => both(types, typesOf(node)), allTypes);

const unescaped = (segment: string): string => segment.replaceAll('~1', '/').replaceAll('~0', '~');

/** What `$ref` leads to: `#`, or a pointer into the `$defs` (or `definitions`) of the document; undefined for any other. */
export const targetOf = (root: Root, ref: Json | undefined): Json | undefined => {
  if (ref === '#') return root.document;
  if (typeof ref !== 'string' || !(ref.startsWith('#/$defs/') || ref.startsWith('#/definitions/')))
    return undefined;
  let target: Json | undefined = root.document;
  for (const segment of ref.slice(2).split('/')) {
    target = isNode(target) ? member(target, unescaped(segment)) : undefined;
  }
  return target;
};

const leads = (value: Json): boolean => {
  if (isList(value)) return value.some(leads);
  return isNode(value) && Object.entries(value).some(([name, part]) => name.startsWith('$') || leads(part));
};

/** True when both stand for the same: equal text, and either nothing in it leads elsewhere or the documents are equal too. */
export const sameMeaning = (left: Json, leftRoot: Root, right: Json, rightRoot: Root): boolean =>
  sameJson(left, right) && (!leads(left) || sameJson(leftRoot.document, rightRoot.document));
