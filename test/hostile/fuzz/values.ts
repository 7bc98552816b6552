import type { Json } from '../../../domain/event.ts';
import { jsonOf, type Random } from './nonsense.ts';

/** The part of a JSON schema that is generated from. */
export type Schema = {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly Json[];
  readonly const?: Json;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly additionalProperties?: Schema | boolean;
};

/** Of members that only some texts or numbers fit: few, so that inputs meet what others have made. */
const good: Readonly<Record<string, readonly [Json, ...Json[]]>> = {
  id: ['fuzz-1', 'fuzz-2', 'a.b', '0123456789abcdef01234567'],
  name: ['fuzz-1', 'fuzz-2', 'math'],
  key: ['fuzz', 'fuzz/1', 'fuzz/2', 'ä'],
  topic: ['fuzz.a', 'fuzz.b', 'fuzz.>', '*.a'],
  pattern: ['fuzz/*', 'fuzz*', 'other/*'],
  version: ['1.0.0', '1.1.0', '2.0.0-a'],
  host: ['127.0.0.1', 'localhost', '::1', '169.254.169.254', '0x7f000001'],
  port: [9, 1, 65_535],
  major: ['1', '2'],
  from: ['start', 'now', '0000000000000000'],
  to: ['start', 'now', '2030-01-01T00:00:00Z'],
  path: ['', '/a', '/a/0', '/-', '/~1'],
  token: [1, 2, 3],
  scopes: [['log:read'], ['state:read:a*', 'services:read']],
  expiresAt: ['2099-01-01T00:00:00Z', '2001-01-01T00:00:00Z'],
  deliverAt: ['2099-01-01T00:00:00Z', '2001-01-01T00:00:00Z'],
  waitMs: [0, 1, 100],
  ackWaitMs: [100, 30_000],
  timeoutMs: [1, 50],
  deliveries: [['d'], ['d', 'e']],
  replyTo: ['a.b', 'WyIwIl0.c2VhbA'],
  method: ['add', 'a/b'],
  payload: [null, { n: 1 }, 'text'],
  resolver: ['merge', 'last-writer-wins', 'three-way-merge'],
};

/** What fits `schema`, nearly always. */
export const goodOf = (random: Random, schema: Schema, name = '', depth = 0): Json => {
  const known = good[name];
  if (known !== undefined && Object.hasOwn(good, name) && schema.properties === undefined)
    return random.pick(known);
  if (schema.const !== undefined) return schema.const;
  const [choice, ...choices] = schema.enum ?? [];
  if (choice !== undefined) return random.pick([choice, ...choices]);
  const [branch, ...branches] = schema.anyOf ?? schema.oneOf ?? [];
  if (branch !== undefined) return goodOf(random, random.pick([branch, ...branches]), name, depth);
  switch (schema.type) {
    case 'object': {
      const made: Record<string, Json> = {};
      for (const [member, of] of Object.entries(schema.properties ?? {})) {
        const isNeeded = schema.required?.includes(member) === true;
        if (isNeeded || random.below(3) === 0) made[member] = goodOf(random, of, member, depth + 1);
      }
      return made;
    }
    case 'array':
      return depth > 6
        ? []
        : Array.from({ length: 1 + random.below(3) }, () =>
            goodOf(random, schema.items ?? {}, '', depth + 1),
          );
    case 'integer':
    case 'number': {
      const { minimum = 0, maximum = 1_000 } = schema;
      return random.below(2) === 0 ? minimum : Math.min(maximum, minimum + random.below(1_000));
    }
    case 'boolean':
      return random.below(2) === 0;
    case 'null':
      return null;
    case 'string':
      return 'fuzz';
    default:
      return { fuzz: random.below(1_000) };
  }
};

const nested = (depth: number): Json => {
  let value: Json = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

const odd = (random: Random): Json => {
  switch (random.below(9)) {
    case 0:
      return nested(random.pick([10, 63, 64, 65, 500]));
    case 1:
      return 'x'.repeat(random.pick([0, 129, 513, 5_000, random.below(40) === 0 ? 1_100_000 : 66_000]));
    case 2:
      return random.pick([-1, 0.5, 2 ** 53, -(2 ** 53), 1e308, -0, 4_294_967_296]);
    case 3:
      return random.pick([
        '\u0000',
        '\u2028',
        '\ud83d\ude00',
        '\u202e',
        'a\u0301',
        '\ud800',
        '\uffff',
        '\u200b',
        'İ',
      ]);
    case 4:
      return Array.from({ length: random.pick([0, 129, 1_001]) }, (_, n) => n);
    case 5:
      return Object.fromEntries(Array.from({ length: random.pick([0, 65, 300]) }, (_, n) => [`m${n}`, n]));
    default:
      // It is made of JSON.
      return jsonOf(random, 2) as Json;
  }
};

const isObject = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

/** The same with one part of it swapped for something else, taken away, doubled or put in. */
export const mutated = (random: Random, value: Json): Json => {
  if (isObject(value) && random.below(5) > 0) {
    const entries = Object.entries(value);
    const at = random.below(entries.length + 1);
    const [name, member] = entries[at] ?? ['', null];
    switch (at === entries.length ? 3 : random.below(4)) {
      case 0:
        return Object.fromEntries(entries.filter((_, index) => index !== at));
      case 1:
      case 2:
        return { ...value, [name]: mutated(random, member) };
      default:
        return {
          ...value,
          [random.pick(['extra', 'toString', '', 'type', 'id', 'key', ' ', 'ä'])]: odd(random),
        };
    }
  }
  if (isList(value) && value.length > 0 && random.below(3) > 0) {
    const at = random.below(value.length);
    return value.map((item, index) => (index === at ? mutated(random, item) : item));
  }
  return odd(random);
};

/** The same bytes with some flipped, cut off, doubled or put in. */
export const damaged = (random: Random, bytes: Buffer): Buffer => {
  const at = random.below(bytes.length + 1);
  switch (random.below(5)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([random.below(256)]), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes, bytes.subarray(at)]);
    case 3:
      return Buffer.concat([
        bytes.subarray(0, at),
        Buffer.from(random.pick(['{', ']', '\0', ',', '"', '\\u', '1e999', '\ufeff'])),
        bytes.subarray(at),
      ]);
    default: {
      const copy = Buffer.from(bytes);
      for (let flips = 1 + random.below(4); flips > 0 && copy.length > 0; flips--)
        copy[random.below(copy.length)] = random.below(256);
      return copy;
    }
  }
};
