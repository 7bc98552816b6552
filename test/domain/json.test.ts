import test from 'ava';
import fc from 'fast-check';
import type { Json } from '../../domain/event.ts';
import { sameJson } from '../../domain/json.ts';
import { anyJson, seeded } from '../support/arbitraries.ts';

const copied = (value: Json): Json => JSON.parse(JSON.stringify(value));

/** The text of a value with every object's keys in order. */
const canonical = (value: Json): string =>
  JSON.stringify(value, (_name, part: Json) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : part,
  );

test('a copy is the same', (t) => {
  const property = fc.property(anyJson, (value) => t.true(sameJson(value, copied(value))));
  t.notThrows(() => fc.assert(property, seeded));
});

test('two values are the same exactly when their texts with ordered keys are', (t) => {
  const small = fc.json({ maxDepth: 2, stringUnit: fc.constantFrom('a', 'b') });
  const property = fc.property(small, small, (left, right) => {
    const [one, other]: Json[] = [JSON.parse(left), JSON.parse(right)];
    if (one === undefined || other === undefined) return;
    t.is(sameJson(one, other), canonical(one) === canonical(other));
  });
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 2_000 }));
});

const different: readonly (readonly [Json, Json])[] = [
  [{ a: 1 }, { b: 1 }],
  [{ a: 1 }, { a: 1, b: 1 }],
  [
    [1, 2],
    [2, 1],
  ],
  [[1], [1, 1]],
  [[], {}],
  [null, {}],
  [{ 0: 'a' }, ['a']],
  ['1', 1],
  [{ toString: 1 }, { valueOf: 1 }],
];
for (const [left, right] of different) {
  test(`${JSON.stringify(left)} is not ${JSON.stringify(right)}, either way round`, (t) => {
    t.false(sameJson(left, right));
    t.false(sameJson(right, left));
  });
}

test('the order of keys does not count', (t) => {
  t.true(sameJson({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 }));
});

test('what nests too deep to be compared ends as different', (t) => {
  const nested = (levels: number): Json => (levels === 0 ? 1 : [nested(levels - 1)]);
  t.true(sameJson(nested(64), nested(64)));
  t.false(sameJson(nested(65), nested(65)));
});
