import test from 'ava';
import { asRevision, type DomainEvent, streamId } from '../../domain/event.ts';
import type { SubscriptionDocument } from '../../projections/documents.ts';
import { subscriptions } from '../../projections/subscriptions.ts';
import { documentsAfter } from '../support/documents.ts';
import { type By, by } from '../support/given.ts';
import { positionAt, record } from '../support/recorded.ts';
import {
  letterAt,
  refAt,
  settings,
  wasCreated,
  wasDeadLettered,
  wasDeleted,
  wasRedriven,
  wereDiscarded,
} from '../support/subscription-samples.ts';

const name = 'billing';
const at = (second: number): string => `2026-01-01T00:00:0${second}.000Z`;
const subscriptionAfter = (...history: readonly By<DomainEvent>[]): SubscriptionDocument | undefined =>
  documentsAfter<SubscriptionDocument>(subscriptions, record(streamId('subscription', name), history)).get(
    name,
  );

test('a creation makes the document', (t) => {
  t.deepEqual(subscriptionAfter(wasCreated), {
    ...settings,
    name,
    status: 'active',
    from: positionAt(3),
    fromAt: positionAt(1),
    resets: 0,
    created: asRevision(0),
    createdAt: at(0),
    createdBy: 'ann',
    owner: null,
    deadLetters: 0,
    removals: 0,
    revision: asRevision(0),
    position: positionAt(1),
  });
});

test('changes of settings, owner, status and place are taken over', (t) => {
  const updated = by('bob', { type: 'SubscriptionUpdated', data: { changes: { maxDeliver: 9 } } });
  const owner = { node: 'n1', epoch: 'e1' };
  const taken = by('system', { type: 'SubscriptionUpdated', data: { changes: {}, owner } });
  const paused = by('ann', { type: 'SubscriptionPaused', data: { reason: 'release' } });
  const reset = by('ann', { type: 'SubscriptionReset', data: { to: positionAt(1) } });
  t.like(subscriptionAfter(wasCreated, taken, updated, paused, reset, reset), {
    topic: settings.topic,
    maxDeliver: 9,
    owner,
    status: 'paused',
    from: positionAt(1),
    fromAt: positionAt(6),
    resets: 2,
    createdBy: 'ann',
    position: positionAt(6),
  });
  const released = by('system', { type: 'SubscriptionUpdated', data: { changes: {}, owner: null } });
  t.is(subscriptionAfter(wasCreated, taken, released)?.owner, null);
});

test('dead letters are counted, and no more once they are redriven or discarded', (t) => {
  const died = [4, 5, 6].map(wasDeadLettered);
  t.like(subscriptionAfter(wasCreated, ...died), { deadLetters: 3, removals: 0 });
  const redriven = wasRedriven(refAt(4, 1), refAt(5, 2));
  t.like(subscriptionAfter(wasCreated, ...died, redriven), { deadLetters: 1, removals: 1 });
  const discarded = wereDiscarded(refAt(6, 3));
  t.like(subscriptionAfter(wasCreated, ...died, redriven, discarded), { deadLetters: 0, removals: 2 });
});

test('a letter that takes the place of one that stands there counts once', (t) => {
  const again = by('system', { type: 'MessageDeadLettered', data: { ...letterAt(4), replaces: true } });
  t.like(subscriptionAfter(wasCreated, wasDeadLettered(4), again), { deadLetters: 1 });
});

test('a deleted one stays as a document without dead letters, and its name begins anew', (t) => {
  const ended = subscriptionAfter(wasCreated, wasDeadLettered(4), wasDeleted);
  t.like(ended, { status: 'deleted', deadLetters: 0, created: 0 });
  const later = subscriptionAfter(wasCreated, wasDeadLettered(4), wasDeleted, wasDeadLettered(5));
  t.deepEqual(later, ended && { ...ended, revision: later?.revision, position: positionAt(4) });
  const again = subscriptionAfter(wasCreated, wasDeadLettered(4), wasDeleted, wasCreated);
  t.like(again, { status: 'active', deadLetters: 0, created: 3, createdAt: at(3) });
});

test('without its creation, which retention took, there is no document', (t) => {
  t.is(subscriptionAfter(wasDeadLettered(4), wasDeleted), undefined);
});
