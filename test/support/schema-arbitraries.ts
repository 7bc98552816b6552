import fc from 'fast-check';
import type { Json } from '../../domain/event.ts';

/** Small words of everything, so that schemas often speak of the same and values often meet them. */
const propertyName = fc.constantFrom('a', 'b', 'x1');
const small = fc.integer({ min: -1, max: 4 });
const count = fc.integer({ min: 0, max: 3 });
const scalar: fc.Arbitrary<Json> = fc.constantFrom<Json>(
  null,
  true,
  false,
  0,
  1,
  2,
  3,
  0.5,
  'a',
  'aa',
  'ab',
  '',
);

export const anyValue: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'value' },
    scalar,
    fc.array(tie('value'), { maxLength: 3, depthIdentifier: 'value' }),
    fc
      .dictionary(propertyName, tie('value'), { maxKeys: 3, depthIdentifier: 'value' })
      .map((all): Json => ({ ...all })),
  ),
})).value;

const typeName = fc.constantFrom('null', 'boolean', 'object', 'array', 'string', 'number', 'integer');

/** A schema over the compared keywords, with `$ref`s to `#`, `#/$defs/one` and `#/$defs/two`. */
const anyPart: fc.Arbitrary<Json> = fc.letrec<{ schema: Json }>((tie) => {
  const part = tie('schema');
  const parts = fc.array(part, { minLength: 1, maxLength: 2 });
  const keywords = fc.record(
    {
      type: fc.oneof(typeName, fc.uniqueArray(typeName, { minLength: 1, maxLength: 3 })),
      enum: fc.array(scalar, { minLength: 1, maxLength: 4 }),
      const: scalar,
      minimum: small,
      maximum: small,
      exclusiveMinimum: small,
      exclusiveMaximum: small,
      multipleOf: fc.constantFrom(1, 2, 4, 0.5),
      minLength: count,
      maxLength: count,
      pattern: fc.constantFrom('^a', 'b$'),
      format: fc.constantFrom('a', 'aa'),
      minItems: count,
      maxItems: count,
      uniqueItems: fc.boolean(),
      prefixItems: parts,
      items: part,
      properties: fc.dictionary(propertyName, part, { maxKeys: 2 }).map((all): Json => ({ ...all })),
      required: fc.uniqueArray(propertyName, { maxLength: 2 }),
      additionalProperties: part,
      patternProperties: fc.constant<Json>({ '^x': { type: 'string' } }),
      minProperties: count,
      maxProperties: count,
      not: fc.constantFrom<Json>({ type: 'string' }, { const: 1 }),
      allOf: parts,
      anyOf: parts,
      oneOf: parts,
      $ref: fc.constantFrom('#/$defs/one', '#/$defs/two'),
    },
    { requiredKeys: [] },
  );
  const some = keywords.chain((all) =>
    fc.subarray(Object.entries(all), { maxLength: 3 }).map((kept): Json => Object.fromEntries(kept) as Json),
  );
  return { schema: fc.oneof({ maxDepth: 2, withCrossShrink: true }, fc.boolean(), some) };
}).schema;

/** `$defs` lead nowhere but through a property or an item, so that every value can be judged. */
const definition: fc.Arbitrary<Json> = fc.constantFrom<Json>(
  { type: 'string' },
  { type: 'object', properties: { a: { $ref: '#/$defs/one' } } },
  { type: ['array', 'integer'], items: { $ref: '#/$defs/two' } },
  { type: 'object', additionalProperties: { $ref: '#/$defs/two' }, required: ['a'] },
);

export const anySchema: fc.Arbitrary<Json> = fc
  .tuple(anyPart, definition, definition)
  .map(
    ([part, one, two]): Json =>
      typeof part === 'object' && part !== null && !Array.isArray(part)
        ? { ...part, $defs: { one, two } }
        : part,
  );

/** A schema and one that differs from it in a keyword or two, so that many pairs are compatible. */
export const anyPair: fc.Arbitrary<readonly [Json, Json]> = fc
  .tuple(anySchema, anySchema, fc.constantFrom('drop', 'add', 'other'), fc.nat())
  .map(([left, right, how, pick]): readonly [Json, Json] => {
    if (
      how === 'other' ||
      typeof left !== 'object' ||
      left === null ||
      typeof right !== 'object' ||
      right === null
    )
      return [left, right];
    const names = Object.keys(left).filter((name) => name !== '$defs');
    const name = names[pick % Math.max(1, names.length)];
    const without = Object.fromEntries(Object.entries(left).filter(([own]) => own !== name)) as Json;
    return how === 'drop' ? [left, without] : [{ ...right, ...left } as Json, left];
  });
