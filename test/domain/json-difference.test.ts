import test from 'ava';
import fc from 'fast-check';
import type { Json } from '../../domain/event.ts';
import { sameJson } from '../../domain/json.ts';
import { jsonDifference, patchOf } from '../../domain/json-difference.ts';
import { applyPatch } from '../../domain/json-patch.ts';
import { anyJson, seeded } from '../support/arbitraries.ts';

/** Over few names and values, so that two of them have much in common. */
const fewJson: fc.Arbitrary<Json> = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, 0, 1, 'a', [], {}),
    fc.array(tie('json'), { maxLength: 5 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'a/b', '~', '', '0'), tie('json'), { maxKeys: 4 }),
  ),
})).json;

const makes = (t: import('ava').ExecutionContext, then: Json, now: Json, maxSteps: number): void => {
  const patch = patchOf(then, now, maxSteps);
  if (patch === undefined) return;
  t.true(patch.length <= maxSteps);
  const applied = applyPatch(then, patch);
  t.true(applied.ok && sameJson(applied.value, now));
  t.is(patch.length === 0, sameJson(then, now));
};

test('a patch › applied to the one value makes the other, and is empty where they are the same', (t) => {
  for (const json of [fewJson, anyJson]) {
    fc.assert(
      fc.property(json, json, fc.constantFrom(3, 1_000), (then, now, maxSteps) =>
        makes(t, then, now, maxSteps),
      ),
      seeded,
    );
  }
});

test('a patch › of lists that share their ends says what is between', (t) => {
  const first = { id: 1, tags: ['a'] };
  const second = { id: 2, tags: ['b'] };
  const third = { id: 3, tags: ['c'] };
  t.deepEqual(patchOf([first, third], [first, second, third], 10), [
    { op: 'add', path: '/1', value: second },
  ]);
  t.deepEqual(patchOf([first, second, third], [first, third], 10), [{ op: 'remove', path: '/1' }]);
  t.deepEqual(patchOf({ list: [1, 2, 3, 4] }, { list: [1, 4] }, 10), [
    { op: 'remove', path: '/list/2' },
    { op: 'remove', path: '/list/1' },
  ]);
  const changed = { ...second, tags: ['b', 'd'] };
  t.deepEqual(patchOf([first, second, third], [first, changed, third], 10), [
    { op: 'add', path: '/1/tags/1', value: 'd' },
  ]);
  t.deepEqual(patchOf([1, 1], [1, 1, 1], 10), [{ op: 'add', path: '/2', value: 1 }]);
});

test('a patch › escapes names, tells null from nothing, and replaces what is of another kind', (t) => {
  t.deepEqual(patchOf({ 'a/b': 1, '~': null }, { 'a/b': null, c: [] }, 10), [
    { op: 'remove', path: '/~0' },
    { op: 'replace', path: '/a~1b', value: null },
    { op: 'add', path: '/c', value: [] },
  ]);
  t.deepEqual(patchOf([1], { 0: 1 }, 10), [{ op: 'replace', path: '', value: { 0: 1 } }]);
});

const wide = (value: Json, members = 2_000): Json =>
  Object.fromEntries(Array.from({ length: members }, (_, index) => [`k${index}`, value]));
const wideList = (value: Json): readonly Json[] => Array.from({ length: 20 }, () => value);
const nested = (levels: number, last: Json): Json =>
  levels === 0 ? last : [...Array.from({ length: 5_000 }, () => 0), nested(levels - 1, last)];

test('a difference › that is long, deep, or costs much is the whole value at once', (t) => {
  const long: Json = { a: { ['x'.repeat(5_000)]: 1 } };
  for (const [then, now] of [
    [wide(1), wide(2)],
    [{ a: { ['x'.repeat(5_000)]: 0 } }, long],
    [
      Array.from({ length: 90_000 }, () => 0),
      [...Array.from({ length: 90_000 }, () => 0), ...wideList(1), 1],
    ],
    [{ a: 1 }, JSON.parse('{"a":1,"__proto__":2}')],
  ] as readonly (readonly [Json, Json])[]) {
    t.deepEqual(jsonDifference(then, now), [{ op: 'replace', path: '', value: now }]);
  }
  t.is(jsonDifference(wide(1), { ...(wide(1) as object), k7: 2 }).length, 1);
});

test('a difference › of lists within lists is bounded work', (t) => {
  const [then, now] = [nested(60, [1]), nested(60, [1, 2])];
  const difference = jsonDifference(then, now);
  const applied = applyPatch(then, difference);
  t.true(applied.ok && sameJson(applied.value, now));
});

test('a difference › from nothing adds the whole, to nothing removes it', (t) => {
  t.deepEqual(jsonDifference(undefined, { a: 1 }), [{ op: 'add', path: '', value: { a: 1 } }]);
  t.deepEqual(jsonDifference({ a: 1 }, undefined), [{ op: 'remove', path: '' }]);
  t.deepEqual(jsonDifference(undefined, undefined), []);
  t.deepEqual(jsonDifference(null, undefined), [{ op: 'remove', path: '' }]);
});
