import test from 'ava';
import fc from 'fast-check';
import type { Json } from '../../domain/event.ts';
import { differenceOf } from '../../src/bus/replay/difference.ts';
import type { Effect } from '../../src/bus/replay/effects.ts';
import { anyJson, seeded } from '../support/arbitraries.ts';

const message = (topic: string, payload: Json, key?: string): Effect => ({
  type: 'message',
  topic,
  payload,
  priority: 'NORMAL',
  ...(key === undefined ? {} : { key }),
});
const state = (key: string, value: Json): Effect => ({ type: 'state', key, value });
const registered = (id: string | null, fields: { readonly [name: string]: Json }): Effect => ({
  type: 'service',
  id,
  change: 'registered',
  fields,
});

/** No body has a key that reaches a prototype: src/gateway/json.ts. */
const harmless = anyJson.filter((value) => !JSON.stringify(value).includes('__proto__'));
const fewJson = fc.oneof(fc.constantFrom<Json[]>(1, 2, null, 'a', { n: 1 }, { n: 1, m: [2] }), harmless);
const anyEffect: fc.Arbitrary<Effect> = fc.oneof(
  fc
    .tuple(fc.constantFrom('a', 'a.b'), fewJson, fc.option(fc.constantFrom('k', 'l'), { nil: undefined }))
    .map(([topic, payload, key]) => message(topic, payload, key)),
  fc.tuple(fc.constantFrom('x', 'y'), fewJson).map(([key, value]) => state(key, value)),
  fc
    .tuple(fc.option(fc.constantFrom('1', '2')), fc.constantFrom('svc', 'other'))
    .map(([id, name]) => registered(id, { name })),
);
const anyEffects = fc.array(anyEffect, { maxLength: 12 });

test('what is the same › differs in nothing, in any order', (t) => {
  fc.assert(
    fc.property(
      anyEffects.chain((then) =>
        fc.tuple(fc.constant(then), fc.shuffledSubarray(then, { minLength: then.length })),
      ),
      ([then, now]) => t.is(differenceOf(then, now), undefined),
    ),
    seeded,
  );
});

test('a difference › accounts for each effect: what is not told was there both times', (t) => {
  fc.assert(
    fc.property(anyEffects, anyEffects, (then, now) => {
      const { onlyThen = [], onlyNow = [], changed = [] } = differenceOf(then, now) ?? {};
      const cancelledThen = then.length - onlyThen.length - changed.length;
      t.is(cancelledThen, now.length - onlyNow.length - changed.length);
      t.true(cancelledThen >= 0);
      const told = new Set([...onlyThen, ...changed.map((one) => one.then)]);
      for (const effect of told) t.true(then.includes(effect));
      for (const effect of [...onlyNow, ...changed.map((one) => one.now)]) t.true(now.includes(effect));
      // The other way round it is the same, turned about.
      const turned = differenceOf(now, then);
      const isSame = onlyThen.length + onlyNow.length + changed.length === 0;
      if (![...then, ...now].some(idless)) t.is(turned === undefined, isSame);
    }),
    { ...seeded, numRuns: 300 },
  );
});

/** A service without an id matches one with an id on one side only. */
const idless = (effect: Effect): boolean => effect.type === 'service' && effect.id === null;

test('a difference › leaves no pair that is about the same thing apart', (t) => {
  fc.assert(
    fc.property(anyEffects, anyEffects, (then, now) => {
      const { onlyThen = [], onlyNow = [] } = differenceOf(then, now) ?? {};
      const about = (effect: Effect) =>
        effect.type === 'message'
          ? `m ${effect.topic} ${effect.key}`
          : effect.type === 'state'
            ? `s ${effect.key}`
            : effect.type === 'service'
              ? `v ${String(effect.fields.name)}`
              : '';
      const left = new Set(onlyThen.map(about));
      for (const effect of onlyNow) t.false(left.has(about(effect)));
    }),
    seeded,
  );
});

test('a message with another payload › is a change, with what it takes to make the one of the other', (t) => {
  const then = message('invoices', { total: 10, lines: [1] }, 'o-1');
  const now = message('invoices', { total: 12, lines: [1], currency: 'EUR' }, 'o-1');
  t.deepEqual(differenceOf([then, state('n', 1)], [state('n', 1), now]), {
    onlyThen: [],
    onlyNow: [],
    changed: [
      {
        then,
        now,
        patch: [
          { op: 'replace', path: '/payload/total', value: 12 },
          { op: 'add', path: '/payload/currency', value: 'EUR' },
        ],
      },
    ],
  });
});

test('a message on another topic, or with another key › is one less and one more', (t) => {
  const then = message('invoices', 1, 'o-1');
  for (const now of [message('bills', 1, 'o-1'), message('invoices', 1, 'o-2'), message('invoices', 1)]) {
    t.deepEqual(differenceOf([then], [now]), { onlyThen: [then], onlyNow: [now], changed: [] });
  }
});

test('the same effect twice › is not the same as once', (t) => {
  const one = state('n', 1);
  t.deepEqual(differenceOf([one, one], [one])?.onlyThen, [one]);
  t.deepEqual(differenceOf([one], [one, one])?.onlyNow, [one]);
});

test('a service that names no id › is the one with the same fields', (t) => {
  const fields = { name: 'svc', port: 1 };
  t.is(differenceOf([registered('made-up', fields)], [registered(null, fields)]), undefined);
  t.like(differenceOf([registered('made-up', fields)], [registered(null, { ...fields, port: 2 })]), {
    changed: [
      {
        patch: [
          { op: 'replace', path: '/id', value: null },
          { path: '/fields/port', value: 2 },
        ],
      },
    ],
  });
  t.not(differenceOf([registered('a', fields)], [registered('b', fields)]), undefined);
});

test('10,000 effects on each side › are compared in one go, equal or not', (t) => {
  const many = (value: number) =>
    Array.from({ length: 10_000 }, (_, index) => message('a', { index, value }));
  t.is(differenceOf(many(1), many(1).toReversed()), undefined);
  t.is(differenceOf(many(1), many(2))?.changed.length, 10_000);
});

test('a patch of more than 100 steps › is left out', (t) => {
  const wide = (value: number): Effect =>
    state('k', Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`k${index}`, value])));
  const [changed] = differenceOf([wide(1)], [wide(2)])?.changed ?? [];
  t.deepEqual(Object.keys(changed ?? {}), ['then', 'now']);
});
