import test from 'ava';
import fc from 'fast-check';
import type { Json } from '../../../domain/event.ts';
import { isJsonArray, isJsonObject, sameJson } from '../../../domain/json.ts';
import { builtInNames, builtInResolver, type Resolver } from '../../../domain/state/resolvers.ts';
import { anyJson, seeded } from '../../support/arbitraries.ts';
import { frozen } from '../../support/frozen.ts';

const named = (name: string): Resolver => {
  const resolver = builtInResolver(name);
  if (resolver === undefined) throw new Error(`there is no ${name}`);
  return resolver;
};
const names = builtInNames.filter((name) => name !== 'reject');

/** What `name` makes of both, or undefined where it refuses. */
const made =
  (name: string, base?: Json) =>
  (current: Json, incoming: Json): Json | undefined => {
    const resolved = named(name)(base === undefined ? { current, incoming } : { base, current, incoming });
    return resolved.ok ? resolved.value : undefined;
  };

type Combine = (current: Json, incoming: Json) => Json | undefined;
const same = (left: Json | undefined, right: Json | undefined): boolean =>
  left === undefined || right === undefined ? left === right : sameJson(left, right);
const leftFirst = (combine: Combine, [a, b, c]: readonly [Json, Json, Json]): Json | undefined => {
  const ab = combine(a, b);
  return ab === undefined ? undefined : combine(ab, c);
};
const rightFirst = (combine: Combine, [a, b, c]: readonly [Json, Json, Json]): Json | undefined => {
  const bc = combine(b, c);
  return bc === undefined ? undefined : combine(a, bc);
};

/** Equal as sets: in whichever order. */
const sameSet = (left: Json | undefined, right: Json | undefined): boolean =>
  left !== undefined &&
  right !== undefined &&
  isJsonArray(left) &&
  isJsonArray(right) &&
  left.length === right.length &&
  left.every((item) => right.some((other) => sameJson(item, other)));

/** Small objects over few names and values, so that members meet. */
const anyDocument: fc.Arbitrary<Json> = fc.letrec<{ document: Json; value: Json }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, fc.integer({ min: 0, max: 2 }), fc.constant([1]), tie('document')),
  document: fc.dictionary(fc.constantFrom('a', 'b', 'c/d'), tie('value'), { maxKeys: 3 }),
})).document;
const anyList: fc.Arbitrary<Json> = fc.array(
  fc.oneof(fc.integer({ min: 0, max: 4 }), anyDocument, fc.constant(null)),
  { maxLength: 6 },
);
const anyNumbers = fc.tuple(fc.integer(), fc.integer(), fc.integer());
const anyTexts = fc.tuple(fc.string(), fc.string(), fc.string());
const triple = (value: fc.Arbitrary<Json>) => fc.tuple(value, value, value);

for (const name of names) {
  test(`${name} › answers on any three values, the same each time, and changes none`, (t) => {
    const anyPart = fc.option(anyJson, { nil: undefined });
    fc.assert(
      fc.property(anyPart, anyPart, anyJson, (base, current, incoming) => {
        const conflict = frozen({
          ...(base === undefined ? {} : { base }),
          ...(current === undefined ? {} : { current }),
          incoming,
        });
        t.deepEqual(named(name)(conflict), named(name)(conflict));
      }),
      seeded,
    );
  });
}

test('what both writers want is what comes out › of each resolver', (t) => {
  fc.assert(
    fc.property(anyDocument, anyDocument, (base, value) => {
      for (const name of ['last-writer-wins', 'deep-merge', 'three-way-merge'])
        t.true(same(made(name, base)(value, value), value));
    }),
    seeded,
  );
  t.is(made('max')(3, 3), 3);
  t.deepEqual(made('set-union')([1, 2], [1, 2]), [1, 2]);
});

test('max › of numbers and of texts commutes and is associative', (t) => {
  const max = made('max');
  fc.assert(
    fc.property(fc.oneof(anyNumbers, anyTexts), (three) => {
      t.true(same(max(three[0], three[1]), max(three[1], three[0])));
      t.true(same(leftFirst(max, three), rightFirst(max, three)));
    }),
    seeded,
  );
});

test('set-union › commutes as a set, and is associative, order included', (t) => {
  const union = made('set-union');
  fc.assert(
    fc.property(triple(anyList), (three) => {
      t.true(sameSet(union(three[0], three[1]), union(three[1], three[0])));
      t.true(same(leftFirst(union, three), rightFirst(union, three)));
      t.true(same(union(union(three[0], three[1]) ?? null, three[1]), union(three[0], three[1])));
    }),
    seeded,
  );
  t.notDeepEqual(union([1], [2]), union([2], [1]), 'as a list it does not commute');
});

test('deep-merge › of parts that do not meet commutes and is associative', (t) => {
  const merge = made('deep-merge');
  fc.assert(
    fc.property(triple(anyDocument), ([a, b, c]) => {
      const three = [{ x: { a } }, { x: { b }, y: b }, { x: { c } }] as const;
      t.true(same(merge(three[0], three[1]), merge(three[1], three[0])));
      t.true(same(leftFirst(merge, three), rightFirst(merge, three)));
    }),
    seeded,
  );
});

test('deep-merge › of parts that meet neither commutes nor is associative', (t) => {
  const merge = made('deep-merge');
  t.notDeepEqual(merge({ a: 1 }, { a: 2 }), merge({ a: 2 }, { a: 1 }));
  const three = [{ x: { p: 1 } }, { x: 1 }, { x: { q: 2 } }] as const;
  t.deepEqual(leftFirst(merge, three), { x: { q: 2 } });
  t.deepEqual(rightFirst(merge, three), { x: { p: 1, q: 2 } });
});

test('last-writer-wins › is associative and does not commute', (t) => {
  const last = made('last-writer-wins');
  fc.assert(
    fc.property(triple(anyJson), (three) => {
      t.true(same(leftFirst(last, three), rightFirst(last, three)));
    }),
    seeded,
  );
  t.not(last(1, 2), last(2, 1));
});

test('three-way-merge › commutes, refusals included, over one base', (t) => {
  fc.assert(
    fc.property(triple(anyDocument), ([base, current, incoming]) => {
      const one = named('three-way-merge')({ base, current, incoming });
      const other = named('three-way-merge')({ base, current: incoming, incoming: current });
      if (one.ok && other.ok) t.true(sameJson(one.value, other.value));
      else if (!one.ok && !other.ok) t.deepEqual(one.conflicts?.toSorted(), other.conflicts?.toSorted());
      else t.fail('one order is refused and the other is not');
    }),
    seeded,
  );
});

test('three-way-merge › over one base is associative, refusals included', (t) => {
  fc.assert(
    fc.property(anyDocument, triple(anyDocument), (base, three) => {
      const merge = made('three-way-merge', base);
      t.true(same(leftFirst(merge, three), rightFirst(merge, three)));
    }),
    seeded,
  );
});

test('three-way-merge › where one writer changed nothing the other one’s value comes out', (t) => {
  fc.assert(
    fc.property(anyDocument, anyDocument, (base, value) => {
      t.true(same(made('three-way-merge', base)(base, value), value));
      t.true(same(made('three-way-merge', base)(value, base), value));
    }),
    seeded,
  );
});

test('three-way-merge › keeps what each writer changed, added and removed', (t) => {
  const base = { kept: 1, mine: 1, theirs: 1, dropped: 1, deep: { a: 1, b: 1 } };
  const current = { kept: 1, mine: 1, theirs: 2, dropped: 1, deep: { a: 2, b: 1 }, added: [1] };
  const incoming = { kept: 1, mine: 3, theirs: 1, deep: { a: 1, b: 4, c: 5 } };
  t.deepEqual(made('three-way-merge', base)(current, incoming), {
    kept: 1,
    mine: 3,
    theirs: 2,
    deep: { a: 2, b: 4, c: 5 },
    added: [1],
  });
});

test('three-way-merge › names the places that both changed, lists as one', (t) => {
  const base = { a: 1, 'x/y': { b: [1], c: 1 }, gone: 1 };
  const current = { a: 2, 'x/y': { b: [1, 2], c: 1 } };
  const incoming = { a: 3, 'x/y': { b: [1, 3], c: 2 }, gone: 2 };
  t.deepEqual(named('three-way-merge')({ base, current, incoming }), {
    ok: false,
    reason: 'both writers changed the same places',
    conflicts: ['/a', '/x~1y/b', '/gone'],
  });
  t.like(named('three-way-merge')({ base: 1, current: 2, incoming: 3 }), { ok: false, conflicts: [''] });
});

test('three-way-merge › of two that were made from nothing takes the members of both', (t) => {
  t.deepEqual(made('three-way-merge')({ a: 1, same: 1 }, { b: { c: 1 }, same: 1 }), {
    a: 1,
    same: 1,
    b: { c: 1 },
  });
  t.is(made('three-way-merge')({ a: 1 }, { a: 2 }), undefined);
});

test('a key that was deleted meanwhile › three-way-merge refuses, the others take the incoming value', (t) => {
  for (const name of names) {
    const resolved = named(name)({ base: [1], incoming: [1] });
    if (name === 'three-way-merge') t.like(resolved, { ok: false, reason: 'the key was deleted meanwhile' });
    else t.deepEqual(resolved, { ok: true, value: [1] });
  }
});

test('set-union and max › refuse what they are not for', (t) => {
  for (const [current, incoming] of [
    [{}, []],
    [[], 'a'],
    [null, [1]],
  ] as const) {
    t.is(made('set-union')(current, incoming), undefined);
  }
  for (const [current, incoming] of [
    [1, 'a'],
    [null, 1],
    [[1], [2]],
  ] as const) {
    t.is(made('max')(current, incoming), undefined);
  }
});

test('set-union › of 100,000 items on each side is done in one pass', (t) => {
  const items = (from: number): Json => Array.from({ length: 100_000 }, (_, index) => from + index);
  const union = made('set-union')(items(0), items(50_000));
  t.is(union !== undefined && isJsonArray(union) ? union.length : 0, 150_000);
});

test('three-way-merge › of values that nest deep and differ at their very end takes one pass', (t) => {
  const members = Array.from({ length: 50_000 }, (_, index): [string, Json] => [`k${index}`, index]);
  const nested = (last: Json): Json => {
    let value: Json = Object.fromEntries([...members, ['last', last]]);
    for (let level = 0; level < 60; level++) value = { first: level, a: value };
    return value;
  };
  const [base, current, incoming] = [nested({}), nested({ mine: 1 }), nested({ yours: 2 })];
  // Comparing anew at each level takes minutes, and AVA's own time limit ends it.
  t.true(same(made('three-way-merge', base)(current, incoming), nested({ mine: 1, yours: 2 })));
});

test('set-union › takes items for the same whatever the order of their members', (t) => {
  t.deepEqual(made('set-union')([{ a: 1, b: 2 }], [{ b: 2, a: 1 }, { a: 1 }, { a: 1 }]), [
    { a: 1, b: 2 },
    { a: 1 },
  ]);
});

test('a result that is too large › is refused', (t) => {
  const wide = (letter: string): Json => ({ [letter]: 'x'.repeat(600_000) });
  t.like(named('deep-merge')({ current: wide('a'), incoming: wide('b') }), { ok: false });
  t.like(named('three-way-merge')({ base: {}, current: wide('a'), incoming: wide('b') }), { ok: false });
});

test('a member that is called like one of Object’s own › is a member like any other', (t) => {
  const hostile: Json = JSON.parse('{"__proto__":{"polluted":1},"toString":1}');
  for (const name of ['deep-merge', 'three-way-merge']) {
    const merged = made(name)({ a: 1 }, hostile);
    t.true(merged !== undefined && isJsonObject(merged) && Object.hasOwn(merged, '__proto__'));
    t.is(Reflect.get({}, 'polluted'), undefined);
  }
});
