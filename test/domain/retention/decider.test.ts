import test from 'ava';
import { maxPolicies } from '../../../domain/policies.ts';
import { retentionDecider } from '../../../domain/retention/decider.ts';
import type { Limits, RetentionEvent } from '../../../domain/retention/retention.ts';
import { by, given } from '../../support/given.ts';

const limits = (some: Partial<Limits>): Limits => ({
  maxAgeSec: null,
  maxMessages: null,
  maxBytes: null,
  ...some,
});
const hundred = limits({ maxMessages: 100 });
const set = (topic: string, data = hundred): RetentionEvent => ({
  type: 'RetentionSet',
  data: { topic, ...data },
});
const was = (topic: string, data = hundred) => by('ann', set(topic, data));
const removed = (topic: string) => by<RetentionEvent>('ann', { type: 'RetentionRemoved', data: { topic } });

test('set › the limits of a pattern are recorded', (t) => {
  given(t, retentionDecider)
    .when({ type: 'SetRetention', topic: 'orders.>', ...hundred })
    .thenEvents(set('orders.>'));
});

test('set › again to the same limits changes nothing', (t) => {
  given(t, retentionDecider, was('orders.>'))
    .when({ type: 'SetRetention', topic: 'orders.>', ...hundred })
    .thenEvents();
});

test('set › replaces all limits that the pattern had, in its place', (t) => {
  const hour = limits({ maxAgeSec: 3_600 });
  given(t, retentionDecider, was('a'), was('b'))
    .when({ type: 'SetRetention', topic: 'a', ...hour })
    .thenEvents(set('a', hour));
  given(t, retentionDecider, was('a'), was('b'), was('a', hour)).thenState({
    policies: [
      { topic: 'a', ...hour },
      { topic: 'b', ...hundred },
    ],
  });
});

test('remove › of a pattern that has limits', (t) => {
  given(t, retentionDecider, was('a'), was('b'))
    .when({ type: 'RemoveRetention', topic: 'a' })
    .thenEvents({ type: 'RetentionRemoved', data: { topic: 'a' } });
  given(t, retentionDecider, was('a'), was('b'), removed('a')).thenState({
    policies: [{ topic: 'b', ...hundred }],
  });
});

test('remove › of a pattern that has none, though another one matches its topics, is not found', (t) => {
  given(t, retentionDecider, was('orders.>'))
    .when({ type: 'RemoveRetention', topic: 'orders.created' })
    .thenRejected({ code: 'not_found' });
  given(t, retentionDecider, was('a'), removed('a'))
    .when({ type: 'RemoveRetention', topic: 'a' })
    .thenRejected({ code: 'not_found' });
});

test('set › one pattern more than there may be is refused, and one that is known is not', (t) => {
  const full = Array.from({ length: maxPolicies }, (_, n) => was(`topic-${n}`));
  given(t, retentionDecider, ...full)
    .when({ type: 'SetRetention', topic: 'one-more', ...hundred })
    .thenRejected({ code: 'too_many', max: maxPolicies });
  given(t, retentionDecider, ...full)
    .when({ type: 'SetRetention', topic: 'topic-0', ...limits({ maxBytes: 1 }) })
    .thenEvents(set('topic-0', limits({ maxBytes: 1 })));
});
