import test from 'ava';
import { maxPolicies } from '../../../domain/policies.ts';
import { statePolicyDecider } from '../../../domain/state-policy/decider.ts';
import type { StatePolicy, StatePolicyEvent } from '../../../domain/state-policy/policy.ts';
import { by, given } from '../../support/given.ts';
import { policyOf } from '../../support/state-policies.ts';

const owned = policyOf('app/*', { owner: { subject: 'ann' }, maxKeys: 100 });
const set = (data: StatePolicy): StatePolicyEvent => ({ type: 'StatePolicySet', data });
const was = (data: StatePolicy) => by('ann', set(data));

test('set › the policy of a pattern is recorded', (t) => {
  given(t, statePolicyDecider)
    .when({ type: 'SetStatePolicy', ...owned })
    .thenEvents(set(owned));
});

test('set › again to what holds already changes nothing', (t) => {
  given(t, statePolicyDecider, was(owned))
    .when({ type: 'SetStatePolicy', ...owned, owner: { subject: 'ann' } })
    .thenEvents();
  const scoped = policyOf('app/*', { owner: { scope: 'ann' } });
  given(t, statePolicyDecider, was(scoped))
    .when({ type: 'SetStatePolicy', ...scoped, owner: { scope: 'ann' } })
    .thenEvents();
});

for (const [claim, rules] of [
  ['another resolver', { resolver: 'max' }],
  ['another subject as owner', { owner: { subject: 'bob' } }],
  ['a scope of the same text as owner', { owner: { scope: 'ann' } }],
  ['no owner', { owner: null }],
  ['another number of keys', { maxKeys: 99 }],
  ['a number of bytes', { maxBytes: 1 }],
  ['a number of versions', { maxVersions: 1 }],
  ['an age', { maxAgeSec: 1 }],
] as const) {
  test(`set › to ${claim} is a change`, (t) => {
    given(t, statePolicyDecider, was(owned))
      .when({ type: 'SetStatePolicy', ...owned, ...rules })
      .thenEvents(set({ ...owned, ...rules }));
  });
}

test('set › replaces all that the pattern had, in its place', (t) => {
  const other = policyOf('b', { maxBytes: 5 });
  const newer = policyOf('app/*', { resolver: 'max' });
  given(t, statePolicyDecider, was(owned), was(other), was(newer)).thenState({ policies: [newer, other] });
});

test('remove › of a pattern that has a policy', (t) => {
  given(t, statePolicyDecider, was(owned))
    .when({ type: 'RemoveStatePolicy', pattern: 'app/*' })
    .thenEvents({ type: 'StatePolicyRemoved', data: { pattern: 'app/*' } });
  given(
    t,
    statePolicyDecider,
    was(owned),
    by<StatePolicyEvent>('ann', { type: 'StatePolicyRemoved', data: { pattern: 'app/*' } }),
  ).thenState({ policies: [] });
});

test('remove › of a pattern that has none, though another one contains it, is not found', (t) => {
  given(t, statePolicyDecider, was(owned))
    .when({ type: 'RemoveStatePolicy', pattern: 'app/x' })
    .thenRejected({ code: 'not_found' });
});

test('set › one pattern more than there may be is refused, and one that is known is not', (t) => {
  const full = Array.from({ length: maxPolicies }, (_, n) => was(policyOf(`key-${n}`, { maxBytes: 9 })));
  given(t, statePolicyDecider, ...full)
    .when({ type: 'SetStatePolicy', ...owned })
    .thenRejected({ code: 'too_many', max: maxPolicies });
  given(t, statePolicyDecider, ...full)
    .when({ type: 'SetStatePolicy', ...policyOf('key-0', { maxBytes: 1 }) })
    .thenEvents(set(policyOf('key-0', { maxBytes: 1 })));
});
