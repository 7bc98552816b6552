import type { Json } from '../../domain/event.ts';
import { sameJson } from '../../domain/json.ts';

/**
 * Whether a value is valid under a JSON Schema (draft 2020-12), for the keywords that interfaces are compared by, plus
 * patternProperties and not. Written for tests, apart from the comparison: it looks at values, never at two schemas. Formats are asserted as
 * "has the format's name in it", which any reading of formats may do.
 */
export const isValid = (value: Json, schema: Json, root: Json = schema): boolean => {
  if (typeof schema === 'boolean') return schema;
  if (!isObject(schema)) throw new Error('no schema');
  return Object.entries(schema).every(([keyword, rule]) => holds(value, keyword, rule, schema, root));
};

type Obj = { readonly [name: string]: Json };
const isObject = (value: Json): value is Obj =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);
const listOf = (value: Json | undefined): readonly Json[] => (isList(value) ? value : []);
const objectOf = (value: Json | undefined): Obj => (value !== undefined && isObject(value) ? value : {});

const hasType = (value: Json, type: Json): boolean => {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
};

const matches = (name: string, pattern: string): boolean => new RegExp(pattern).test(name);

const holds = (value: Json, keyword: string, rule: Json, schema: Obj, root: Json): boolean => {
  const valid = (part: Json, under: Json): boolean => isValid(part, under, root);
  switch (keyword) {
    case 'type':
      return isList(rule) ? rule.some((type) => hasType(value, type)) : hasType(value, rule);
    case 'enum':
      return listOf(rule).some((one) => sameJson(one, value));
    case 'const':
      return sameJson(rule, value);
    case 'not':
      return !valid(value, rule);
    case 'allOf':
      return listOf(rule).every((part) => valid(value, part));
    case 'anyOf':
      return listOf(rule).some((part) => valid(value, part));
    case 'oneOf':
      return listOf(rule).filter((part) => valid(value, part)).length === 1;
    case '$ref': {
      const name = String(rule).slice('#/$defs/'.length);
      const target = rule === '#' ? root : objectOf(objectOf(root).$defs)[name];
      if (target === undefined) throw new Error(`no ${String(rule)}`);
      return valid(value, target);
    }
    default:
  }
  if (typeof value === 'number') return holdsOfNumber(value, keyword, Number(rule));
  if (typeof value === 'string') return holdsOfText(value, keyword, rule);
  if (isList(value)) {
    const prefix = listOf(schema.prefixItems);
    if (keyword === 'minItems') return value.length >= Number(rule);
    if (keyword === 'maxItems') return value.length <= Number(rule);
    if (keyword === 'uniqueItems')
      return (
        rule === false ||
        value.every((item, index) => value.every((other, at) => at <= index || !sameJson(item, other)))
      );
    if (keyword === 'prefixItems')
      return prefix.every((part, index) => {
        const item = value[index];
        return item === undefined || valid(item, part);
      });
    if (keyword === 'items') return value.slice(prefix.length).every((item) => valid(item, rule));
    return true;
  }
  if (!isObject(value)) return true;
  const named = objectOf(schema.properties);
  const patterns = Object.entries(objectOf(schema.patternProperties));
  switch (keyword) {
    case 'required':
      return listOf(rule).every((name) => Object.hasOwn(value, String(name)));
    case 'minProperties':
      return Object.keys(value).length >= Number(rule);
    case 'maxProperties':
      return Object.keys(value).length <= Number(rule);
    case 'properties':
      return Object.entries(named).every(([name, part]) => {
        const own = Object.hasOwn(value, name) ? value[name] : undefined;
        return own === undefined || valid(own, part);
      });
    case 'patternProperties':
      return Object.entries(value).every(([name, own]) =>
        patterns.every(([pattern, part]) => !matches(name, pattern) || valid(own, part)),
      );
    case 'additionalProperties':
      return Object.entries(value).every(
        ([name, own]) =>
          Object.hasOwn(named, name) ||
          patterns.some(([pattern]) => matches(name, pattern)) ||
          valid(own, rule),
      );
    default:
      return true;
  }
};

const holdsOfNumber = (value: number, keyword: string, rule: number): boolean => {
  switch (keyword) {
    case 'minimum':
      return value >= rule;
    case 'maximum':
      return value <= rule;
    case 'exclusiveMinimum':
      return value > rule;
    case 'exclusiveMaximum':
      return value < rule;
    case 'multipleOf':
      return value % rule === 0;
    default:
      return true;
  }
};

const holdsOfText = (value: string, keyword: string, rule: Json): boolean => {
  switch (keyword) {
    case 'minLength':
      return value.length >= Number(rule);
    case 'maxLength':
      return value.length <= Number(rule);
    case 'pattern':
      return matches(value, String(rule));
    case 'format':
      return value.includes(String(rule));
    default:
      return true;
  }
};
