import type { Json } from 'nexus-integration-core/plugin';

export type JsonObject = { readonly [name: string]: Json };

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** Names of a JSON pointer (RFC 6901); undefined when it is none. */
export const namesOf = (pointer: string): readonly string[] | undefined => {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) return undefined;
  const names = pointer.slice(1).split('/');
  return names.some((name) => /~(?![01])/.test(name))
    ? undefined
    : names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
};

/** What stands there; undefined where nothing does. */
export const valueAt = (value: Json | undefined, names: readonly string[]): Json | undefined => {
  let found = value;
  for (const name of names) {
    if (isObject(found)) found = Object.hasOwn(found, name) ? found[name] : undefined;
    else if (isList(found)) found = /^(?:0|[1-9]\d{0,8})$/.test(name) ? found[Number(name)] : undefined;
    else return undefined;
  }
  return found;
};

/** The same with `part` at a place that is there, in objects alone. */
export const withPart = (value: Json, [name, ...rest]: readonly string[], part: Json): Json => {
  if (name === undefined) return part;
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, held]) => [key, key === name ? withPart(held, rest, part) : held]),
  );
};

/** Equal as JSON: the order of an object's members does not count. */
export const same = (one: Json | undefined, other: Json | undefined): boolean => {
  if (isObject(one) && isObject(other)) {
    const names = Object.keys(one);
    return (
      names.length === Object.keys(other).length &&
      names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]))
    );
  }
  if (isList(one) && isList(other)) {
    return one.length === other.length && one.every((item, index) => same(item, other[index]));
  }
  return one === other;
};
