import test from 'ava';
import fc from 'fast-check';
import type { Json } from '../../../domain/event.ts';
import { differencesBetween, maxDifferences, signaturesOf } from '../../../domain/interface/compatibility.ts';
import type { Methods } from '../../../domain/service/policy.ts';
import { seeded } from '../../support/arbitraries.ts';
import { isValid } from '../../support/json-schema.ts';
import { anyPair, anySchema, anyValue } from '../../support/schema-arbitraries.ts';

const change = (was: Methods, is: Methods) => differencesBetween(signaturesOf(was), signaturesOf(is));
const ofInput = (was: Json, is: Json) => change({ m: { input: was } }, { m: { input: is } });
const ofOutput = (was: Json, is: Json) => change({ m: { output: was } }, { m: { output: is } });

const tree = (more: object): Json => ({
  $ref: '#/$defs/node',
  $defs: {
    node: {
      type: 'object',
      properties: { value: { type: 'number' }, next: { $ref: '#/$defs/node' }, ...more },
      required: ['value'],
      additionalProperties: false,
    },
  },
});
const card = {
  type: 'object',
  properties: { kind: { const: 'card' }, no: { type: 'string' } },
  required: ['kind'],
};
const cash = { type: 'object', properties: { kind: { const: 'cash' } }, required: ['kind'] };

/** What each is as an input: `wider` accepts all of `narrower`, and not the other way round. */
const wider: Readonly<Record<string, readonly [narrower: Json, wider: Json]>> = {
  'no schema at all': [{ type: 'string' }, true],
  'a number in place of an integer': [{ type: 'integer' }, { type: 'number' }],
  'one more type': [{ type: 'string' }, { type: ['string', 'null'] }],
  'an enum with one more value': [{ enum: ['a', 'b'] }, { enum: ['b', 'a', 'c'] }],
  'a const as one of several': [{ const: 1 }, { enum: [1, 2] }],
  'a type that an enum had': [{ enum: ['a', 'b'] }, { type: 'string' }],
  'a lower minimum': [
    { type: 'number', minimum: 3 },
    { type: 'number', exclusiveMinimum: 2.5 },
  ],
  'a higher maximum': [
    { type: 'number', exclusiveMaximum: 3 },
    { type: 'number', maximum: 3 },
  ],
  'a coarser multiple': [
    { type: 'number', multipleOf: 6 },
    { type: 'number', multipleOf: 3 },
  ],
  'a longer text': [
    { type: 'string', maxLength: 3 },
    { type: 'string', maxLength: 4 },
  ],
  'no pattern': [{ type: 'string', pattern: '^a' }, { type: 'string' }],
  'no format': [{ type: 'string', format: 'date' }, { type: 'string' }],
  'fewer items': [
    { type: 'array', minItems: 2 },
    { type: 'array', minItems: 1 },
  ],
  'items of a wider type': [
    { type: 'array', items: { type: 'integer' } },
    { type: 'array', items: { type: 'number' } },
  ],
  'a tuple as a list': [
    { type: 'array', prefixItems: [{ type: 'integer' }], items: { type: 'number' } },
    { type: 'array', items: { type: 'number' } },
  ],
  'a property that is no longer required': [
    { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
    { type: 'object', properties: { a: { type: 'string' } } },
  ],
  'an optional property beside closed ones': [
    { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false },
    {
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: 'number' } },
      additionalProperties: false,
    },
  ],
  'one more alternative': [{ anyOf: [card] }, { anyOf: [cash, card] }],
  'one more tagged alternative': [{ oneOf: [card, cash] }, { oneOf: [card, cash, { type: 'null' }] }],
  'a part of allOf less': [{ allOf: [{ type: 'string' }, { minLength: 1 }] }, { type: 'string' }],
  'an optional property in a list of nodes': [tree({}), tree({ note: { type: 'string' } })],
};

for (const [name, [narrow, wide]] of Object.entries(wider)) {
  test(`input › ${name} is compatible, and back it is not`, (t) => {
    t.deepEqual(ofInput(narrow, wide), []);
    t.not(ofInput(wide, narrow).length, 0);
  });

  test(`output › ${name} is not compatible, and back it is`, (t) => {
    t.deepEqual(ofOutput(wide, narrow), []);
    t.not(ofOutput(narrow, wide).length, 0);
  });
}

/** As an input the second leaves out what the first accepts, in a way that is easily missed. */
const narrowed: Readonly<Record<string, readonly [was: Json, is: Json]>> = {
  'a bound that no longer belongs to its range': [{ minimum: 2 }, { exclusiveMinimum: 2 }],
  'a name that a pattern lets through': [
    { patternProperties: { '^x': { type: 'string' } }, additionalProperties: false },
    { patternProperties: { '^x': { type: 'string' } }, properties: { x1: { type: 'number' } } },
  ],
  'a pattern of names that are additional now': [
    { patternProperties: { '^x': { type: 'number' } }, additionalProperties: false },
    { additionalProperties: { type: 'string' } },
  ],
  'a tail behind a tuple': [
    { prefixItems: [{ type: 'string' }], items: { type: 'number' } },
    { items: { type: 'string' } },
  ],
  'alternatives of which two may hold': [{ type: 'integer' }, { oneOf: [{ minimum: 0 }, { maximum: 9 }] }],
  'an alternative twice': [true, { oneOf: [true, true] }],
};

for (const [name, [was, is]] of Object.entries(narrowed)) {
  test(`input › ${name} is not compatible`, (t) => {
    t.not(ofInput(was, is).length, 0);
  });
}

test('methods › one more is compatible, one less is not', (t) => {
  t.deepEqual(change({ a: {} }, { a: {}, b: {} }), []);
  t.deepEqual(change({ a: {}, b: {} }, { a: {} }), [
    { method: 'b', pointer: '', was: 'b', is: null, why: 'the method was removed' },
  ]);
});

test('methods › one that is no longer idempotent breaks, one that becomes it does not', (t) => {
  t.deepEqual(change({ a: {} }, { a: { idempotent: true } }), []);
  t.like(change({ a: { idempotent: true } }, { a: { idempotent: false } }), [
    { method: 'a', pointer: '/idempotent', was: true, is: false },
  ]);
});

test('methods › strategy and time-out are no part of the interface', (t) => {
  t.deepEqual(change({ a: { strategy: 'random', timeoutMs: 5 } }, { a: {} }), []);
});

test('a difference › says where, what it was, what it is, and why', (t) => {
  const was = { type: 'object', properties: { 'a/b': { type: 'number' } } };
  const is = { type: 'object', properties: { 'a/b': { type: 'integer' } }, required: ['c'] };
  t.deepEqual(ofInput(was, is), [
    {
      method: 'm',
      pointer: '/input/properties/a~1b/type',
      was: 'number',
      is: 'integer',
      why: 'it accepts less: type leaves out number',
    },
    {
      method: 'm',
      pointer: '/input/required',
      was: null,
      is: ['c'],
      why: 'it accepts less: required leaves out values',
    },
  ]);
  t.like(ofOutput(was, { type: 'object' }), [
    {
      pointer: '/output/properties/a~1b/type',
      was: 'number',
      is: null,
      why: 'it promises less: type leaves out null, boolean, object, array, string',
    },
  ]);
});

test('a keyword that is not judged › breaks when it differs, and not while it is the same', (t) => {
  const when = (then: Json): Json => ({ type: 'object', if: { required: ['a'] }, then });
  t.deepEqual(
    ofInput({ ...Object(when({ required: ['b'] })), minProperties: 2 }, when({ required: ['b'] })),
    [],
  );
  const [only, ...rest] = ofInput(when({ required: ['b'] }), when({ required: ['c'] }));
  t.is(rest.length, 0);
  t.is(only?.pointer, '/input/if');
  t.regex(only?.why ?? '', /not judged .* counts as incompatible/);
  const closed = (more: object): Json => ({ properties: { a: {}, ...more }, unevaluatedProperties: false });
  t.deepEqual(ofInput(closed({}), closed({})), []);
  t.is(ofInput(closed({}), closed({ b: {} }))[0]?.pointer, '/input/unevaluatedProperties');
});

test('a pattern › is compared as text and never run', (t) => {
  const evil = (text: string): Json => ({ type: 'string', pattern: text });
  t.deepEqual(ofInput(evil('(a+)+$'), { ...Object(evil('(a+)+$')), description: 'a' }), []);
  t.is(ofInput(evil('(a+)+$'), evil('(a+)+')).length, 1);
  t.is(ofInput(evil('('), evil('[')).length, 1);
});

test('annotations › change nothing', (t) => {
  const described = { type: 'string', title: 'a', description: 'b', default: 'c', examples: ['d'] };
  t.deepEqual(ofInput({ type: 'string' }, described), []);
  t.deepEqual(ofOutput(described, { type: 'string' }), []);
});

test('a $ref › that leads outside, nowhere or to itself is not judged, and the comparison ends', (t) => {
  for (const $ref of ['https://example.test/schema', '#/$defs/none', '#/properties/a', '#/$defs/loop']) {
    const loop = { $defs: { loop: { $ref: '#/$defs/loop' } }, $ref };
    t.deepEqual(ofInput(loop, loop), [], 'the same schema is the same');
    t.not(ofInput(loop, { ...loop, minimum: 1 }).length, 0);
    t.not(ofInput({ type: 'string' }, loop).length, 0);
  }
});

test('schemas that are none › break when they differ, and nothing throws', (t) => {
  const odd: readonly Json[] = [
    { type: 5 },
    { type: ['string', 7] },
    { enum: 'a' },
    { required: 'a' },
    { properties: [] },
    { items: [{ type: 'string' }] },
    { anyOf: {} },
    { oneOf: [] },
    { allOf: 3 },
    { minimum: 'a' },
    { exclusiveMinimum: true },
    { additionalProperties: 5 },
    { $ref: 5 },
    { __proto__: { type: 'string' } },
  ];
  for (const schema of odd) {
    t.deepEqual(ofInput(schema, schema), [], JSON.stringify(schema));
    t.notThrows(() => ofInput({ type: 'object' }, schema));
    t.notThrows(() => ofOutput({ type: 'object' }, schema));
  }
  t.not(ofInput({}, { enum: 'a' }).length, 0);
});

test('differences › are bounded in number and in size', (t) => {
  const properties = Object.fromEntries(
    Array.from({ length: 200 }, (_, index) => [`p${index}`, { const: 'x'.repeat(5_000) }]),
  );
  const differences = ofInput({ type: 'object' }, { type: 'object', properties });
  t.is(differences.length, maxDifferences);
  t.true(JSON.stringify(differences).length < 50_000);
});

test('a schema that would take for ever › is told to be too large, at once', (t) => {
  const fork = (depth: number): Json =>
    depth === 0
      ? { enum: [1, 2] }
      : { anyOf: [fork(depth - 1), fork(depth - 1)], oneOf: [fork(depth - 1), fork(depth - 1)] };
  const differences = ofInput(fork(5), { allOf: [fork(4), fork(5), { maximum: 0 }] });
  t.not(differences.length, 0);
  const bounds = (by: number): Json => ({
    allOf: Array.from({ length: 300 }, (_, index) => ({
      anyOf: [{ minimum: index + by }, { maximum: index + by }],
    })),
  });
  t.true(ofInput(bounds(0), bounds(1)).some(({ why }) => why.includes('too large to be compared')));
  const large = (more: object): Json => ({
    type: 'object',
    properties: {
      ...Object.fromEntries(
        Array.from({ length: 600 }, (_, index) => [
          `p${index}`,
          { type: ['string', 'null'], maxLength: index },
        ]),
      ),
      ...more,
    },
    additionalProperties: false,
  });
  t.deepEqual(ofInput(large({}), large({ one: { type: 'number' } })), [], 'what is merely long is not');
  const deep = (levels: number): Json => (levels === 0 ? {} : { items: deep(levels - 1) });
  t.deepEqual(ofInput(deep(30), deep(29)), []);
});

const runs = { ...seeded, numRuns: 3_000 };

test('property › every schema is compatible with itself, copied as it comes from the log', (t) => {
  const property = fc.property(anySchema, (schema) => {
    const copy: Json = JSON.parse(JSON.stringify(schema));
    t.deepEqual(ofInput(schema, copy), []);
    t.deepEqual(ofOutput(schema, copy), []);
  });
  t.notThrows(() => fc.assert(property, runs));
});

test('property › one more optional property is compatible with any closed object', (t) => {
  const property = fc.property(anySchema, anySchema, (own, added) => {
    const closed = (more: object): Json => ({
      type: 'object',
      properties: { own: plain(own), ...more },
      required: ['own'],
      additionalProperties: false,
    });
    t.deepEqual(ofInput(closed({}), closed({ added: plain(added) })), []);
  });
  t.notThrows(() => fc.assert(property, runs));
});

/** Without definitions: below a property they would be those of another document. */
const plain = (schema: Json): Json => {
  const text = JSON.stringify(schema);
  return text.includes('$ref') ? { type: 'string' } : schema;
};

test('property › where a change is compatible, every value that was accepted still is', (t) => {
  let compatible = 0;
  let checked = 0;
  const property = fc.property(
    anyPair,
    fc.array(anyValue, { minLength: 20, maxLength: 20 }),
    ([was, is], values) => {
      if (ofInput(was, is).length > 0) return;
      compatible++;
      for (const value of values) {
        if (!isValid(value, was)) continue;
        checked++;
        t.true(isValid(value, is), JSON.stringify({ was, is, value }));
      }
    },
  );
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 20_000 }));
  t.true(compatible > 2_000, `${compatible} compatible pairs`);
  t.true(checked > 5_000, `${checked} values`);
});
