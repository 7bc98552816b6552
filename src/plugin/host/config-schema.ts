import * as z from 'zod';
import type { Json } from '../../../domain/event.ts';
import { isJsonArray, isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { jsonPointer } from '../../../domain/json-pointer.ts';
import { fault, invalidAt, ok, type Result } from '../../errors.ts';

/**
 * The JSON Schema that a manifest has for its configuration. It is a stranger's: only keywords that cost little are known, none
 * that make a regular expression, and what its references stand for is put in their place, so that its size bounds the work.
 */

/** Subschemas, each reference counted with all that it stands for. */
const maxSubschemas = 2_000;
const maxDepth = 32;

const notes = ['title', 'description', 'examples', 'deprecated', '$comment', '$schema'];
const anyType = ['enum', 'const', 'default', 'allOf', 'anyOf', 'oneOf', 'not', '$defs', 'definitions'];
/** By type: what may stand beside it. */
const byType: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties', 'minProperties', 'maxProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['minLength', 'maxLength'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  boolean: [],
  null: [],
};
const counts = new Set(['minProperties', 'maxProperties', 'minItems', 'maxItems', 'minLength', 'maxLength']);
const numbers = new Set(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']);
const ofSchemas = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const ofNamedSchemas = new Set(['properties']);
const ofSchema = new Set(['not', 'items', 'additionalProperties']);

class SchemaFault extends Error {
  readonly path: readonly PropertyKey[];
  constructor(path: readonly PropertyKey[], detail: string) {
    super(detail);
    this.path = path;
  }
}

type Path = readonly (string | number)[];

const isScalar = (value: Json): boolean => typeof value !== 'object' || value === null;

const typesOf = (schema: JsonObject, path: Path): readonly string[] => {
  const { type } = schema;
  if (type === undefined) return [];
  const types = isJsonArray(type) ? type : [type];
  const known = types.filter(
    (name): name is string => typeof name === 'string' && Object.hasOwn(byType, name),
  );
  if (known.length === 0 || known.length !== types.length) {
    throw new SchemaFault([...path, 'type'], `must be of ${Object.keys(byType).join(', ')}`);
  }
  return known;
};

/** What a keyword that holds no schema may be. */
const plainFault = (name: string, value: Json, schema: JsonObject): string | undefined => {
  if (counts.has(name)) {
    return typeof value === 'number' && Number.isInteger(value) && value >= 0
      ? undefined
      : 'must be a whole number of at least 0';
  }
  if (numbers.has(name)) {
    return typeof value === 'number' && (name !== 'multipleOf' || value > 0) ? undefined : 'must be a number';
  }
  switch (name) {
    case 'uniqueItems':
      return typeof value === 'boolean' ? undefined : 'must be true or false';
    case 'const':
      return isScalar(value) ? undefined : 'must be no object and no array';
    case 'enum':
      return isJsonArray(value) && value.length > 0 && value.length <= 1_000 && value.every(isScalar)
        ? undefined
        : 'must be a list of 1 to 1,000 values that are no objects and no arrays';
    case 'required': {
      const properties = schema.properties ?? {};
      return isJsonArray(value) &&
        value.every(
          (one) => typeof one === 'string' && isJsonObject(properties) && Object.hasOwn(properties, one),
        )
        ? undefined
        : 'must be a list of names that stand in properties';
    }
    default:
      return undefined;
  }
};

/** The place that a `#/…` reference names. */
const targetOf = (root: Json, reference: Json, path: Path): Json => {
  if (typeof reference !== 'string' || !/^#\/(\$defs|definitions)\/[^/~%]+$/.test(reference)) {
    throw new SchemaFault([...path, '$ref'], 'must be #/$defs/NAME');
  }
  const [, group = '', name = ''] = reference.split('/');
  const definitions = isJsonObject(root) ? root[group] : undefined;
  const target =
    isJsonObject(definitions) && Object.hasOwn(definitions, name) ? definitions[name] : undefined;
  if (target === undefined) throw new SchemaFault([...path, '$ref'], 'names nothing');
  return target;
};

/** The schema with what its references stand for in their place. */
const expanded = (root: Json): Json => {
  let subschemas = 0;

  const schemas = (value: Json, path: Path, within: readonly string[]): Json => {
    if (!isJsonArray(value)) throw new SchemaFault(path, 'must be a list of schemas');
    return value.map((item, index) => visit(item, [...path, index], within));
  };

  const named = (value: Json, path: Path, within: readonly string[]): Json => {
    if (!isJsonObject(value)) throw new SchemaFault(path, 'must be an object of schemas');
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, visit(item, [...path, name], within)]),
    );
  };

  const visit = (schema: Json, path: Path, within: readonly string[]): Json => {
    subschemas += 1;
    if (subschemas > maxSubschemas) throw new SchemaFault(path, `has more than ${maxSubschemas} parts`);
    if (path.length > maxDepth * 2) throw new SchemaFault(path, 'nests too deep');
    if (typeof schema === 'boolean') return schema;
    if (!isJsonObject(schema)) throw new SchemaFault(path, 'must be a schema');
    const { $ref } = schema;
    if ($ref !== undefined) {
      const target = targetOf(root, $ref, path);
      const name = String($ref);
      if (within.includes(name)) throw new SchemaFault([...path, '$ref'], 'must not lead back to itself');
      return visit(target, path, [...within, name]);
    }
    const types = typesOf(schema, path);
    const allowed = new Set([...anyType, ...types.flatMap((type) => byType[type] ?? [])]);
    const out: { [name: string]: Json } = {};
    for (const [name, value] of Object.entries(schema)) {
      const at = [...path, name];
      if (notes.includes(name) || name === '$defs' || name === 'definitions') continue;
      if (name !== 'type' && !allowed.has(name)) {
        throw new SchemaFault(
          at,
          'is not supported here (docs/plugins.md has the keywords, each with its type)',
        );
      }
      const wrong = plainFault(name, value, schema);
      if (wrong !== undefined) throw new SchemaFault(at, wrong);
      out[name] = ofSchemas.has(name)
        ? schemas(value, at, within)
        : ofNamedSchemas.has(name)
          ? named(value, at, within)
          : ofSchema.has(name)
            ? visit(value, at, within)
            : value;
    }
    return out;
  };

  return visit(root, [], []);
};

/** A check of configurations, or `invalid` with a pointer to what is wrong with the schema. */
export const compileConfigSchema = (schema: Json): Result<z.ZodType> => {
  try {
    return ok(z.fromJSONSchema(expanded(schema) as Parameters<typeof z.fromJSONSchema>[0]));
  } catch (error) {
    if (error instanceof SchemaFault) return fault(invalidAt(jsonPointer(error.path), error.message));
    return fault(invalidAt('', error instanceof Error ? error.message : 'cannot be read'));
  }
};
