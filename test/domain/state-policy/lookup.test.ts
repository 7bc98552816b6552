import test from 'ava';
import fc from 'fast-check';
import { matchesKey, prefixOf } from '../../../domain/names.ts';
import { createLookup, type KeyRules, limitsHistory } from '../../../domain/state-policy/lookup.ts';
import type { StatePolicy } from '../../../domain/state-policy/policy.ts';
import { seeded } from '../../support/arbitraries.ts';
import { policyOf } from '../../support/state-policies.ts';
import { anyStatePolicy } from '../../support/state-policy-arbitraries.ts';

/** What the rules of a key are by their definition: a look at each policy, from the widest pattern to the narrowest. */
const naive = (policies: readonly StatePolicy[], key: string): KeyRules => {
  const width = ({ pattern }: StatePolicy) => prefixOf(pattern)?.length ?? Number.POSITIVE_INFINITY;
  const matching = policies
    .filter(({ pattern }) => matchesKey(pattern, key))
    .toSorted((left, right) => width(left) - width(right));
  const resolver = matching.findLast((policy) => policy.resolver !== null)?.resolver;
  const owned = matching.findLast((policy) => policy.owner !== null);
  const history = matching.findLast(limitsHistory);
  return {
    ...(typeof resolver === 'string' ? { resolver } : {}),
    ...(owned?.owner ? { owner: { pattern: owned.pattern, by: owned.owner } } : {}),
    ...(history && { history: { maxVersions: history.maxVersions, maxAgeSec: history.maxAgeSec } }),
    quotas: matching
      .filter(({ maxKeys, maxBytes }) => maxKeys !== null || maxBytes !== null)
      .map(({ pattern, maxKeys, maxBytes }) => ({ pattern, maxKeys, maxBytes })),
  };
};

/** Few letters, so that prefixes of prefixes come up; one below, and one above all that a surrogate pair begins with. */
const letter = fc.constantFrom('a', 'b', '/', ' ', '\uffee', '😀');
const anyKey = fc.array(letter, { minLength: 1, maxLength: 6 }).map((letters) => letters.join(''));
const anyPattern = fc
  .tuple(fc.array(letter, { maxLength: 6 }), fc.boolean())
  .map(([letters, wide]) => (wide || letters.length === 0 ? `${letters.join('')}*` : letters.join('')));

test('the rules of a key are those that a look at each policy finds', (t) => {
  const property = fc.property(
    fc.uniqueArray(anyStatePolicy(anyPattern), { selector: ({ pattern }) => pattern, maxLength: 12 }),
    fc.array(anyKey, { minLength: 1, maxLength: 8 }),
    (policies, keys) => {
      const rulesOf = createLookup(policies);
      for (const key of keys) t.deepEqual(rulesOf(key), naive(policies, key));
    },
  );
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 1_000 }));
});

test('rules › each kind is of the longest pattern that says something of it', (t) => {
  const rulesOf = createLookup([
    policyOf('app/cart/*', { resolver: 'set-union' }),
    policyOf('*', { resolver: 'max', owner: { subject: 'ann' } }),
    policyOf('app/*', { maxVersions: 9, maxAgeSec: 60, maxKeys: 3 }),
    policyOf('app/cart/1', { maxAgeSec: 5, maxBytes: 4 }),
  ]);
  t.deepEqual(rulesOf('app/cart/1'), {
    resolver: 'set-union',
    owner: { pattern: '*', by: { subject: 'ann' } },
    history: { maxVersions: null, maxAgeSec: 5 },
    quotas: [
      { pattern: 'app/*', maxKeys: 3, maxBytes: null },
      { pattern: 'app/cart/1', maxKeys: null, maxBytes: 4 },
    ],
  });
  t.is(rulesOf('app/cart').resolver, 'max');
  t.deepEqual(rulesOf('other'), {
    resolver: 'max',
    owner: { pattern: '*', by: { subject: 'ann' } },
    quotas: [],
  });
});

test('rules › an exact key goes before the prefix of the same letters', (t) => {
  const rulesOf = createLookup([
    policyOf('a', { resolver: 'max' }),
    policyOf('a*', { resolver: 'set-union' }),
  ]);
  t.is(rulesOf('a').resolver, 'max');
  t.is(rulesOf('ab').resolver, 'set-union');
});

test('rules › many patterns that enclose each other are no burden', (t) => {
  const nested = Array.from({ length: 500 }, (_, n) => policyOf(`${'a'.repeat(n + 1)}*`, { maxKeys: n + 1 }));
  const beside = Array.from({ length: 500 }, (_, n) => policyOf(`b${n}*`, { resolver: `r${n}` }));
  const rulesOf = createLookup([...beside, ...nested]);
  t.is(rulesOf(`${'a'.repeat(500)}b`).quotas.length, 500);
  t.is(rulesOf('b499').resolver, 'r499');
  t.deepEqual(rulesOf('c'), { quotas: [] });
});
