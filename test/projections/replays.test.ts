import test from 'ava';
import type { SubscriptionEvent } from '../../domain/subscription/subscription.ts';
import type { ReplayDocument } from '../../projections/documents.ts';
import { replayKey, replays, replaysOf } from '../../projections/replays.ts';
import { documentsAfter } from '../support/documents.ts';
import { type By, by } from '../support/given.ts';
import { positionAt, record } from '../support/recorded.ts';
import { wasCreated } from '../support/subscription-samples.ts';

const order = (replayId: string) => ({
  replayId,
  topic: 'orders.*',
  from: positionAt(0),
  to: positionAt(9),
  speed: 1,
});
const wasRequested = (replayId: string): By<SubscriptionEvent> =>
  by('ann', { type: 'ReplayRequested', data: order(replayId) });
const wereStopped = (...requests: readonly number[]): By<SubscriptionEvent> =>
  by('ann', {
    type: 'ReplaysStopped',
    data: { replays: requests.map((request) => ({ replayId: `r${request}`, request })) },
  });
const after = (...history: readonly By<SubscriptionEvent>[]) =>
  documentsAfter<ReplayDocument>(replays, record('subscription-billing', history));

test('replays › stand in the order in which they were asked for, until they are stopped', (t) => {
  const history = [wasCreated, wasRequested('r1'), wasRequested('r2'), wasRequested('r3')];
  const documents = after(...history);
  t.deepEqual(
    [...documents.keys()],
    [1, 2, 3].map((request) => replayKey('billing', request)),
  );
  t.like(documents.get(replayKey('billing', 2)), { ...order('r2'), requestedBy: 'ann', revision: 2 });
  t.deepEqual(
    [...after(...history, wereStopped(1, 3)).values()].map(({ replayId }) => replayId),
    ['r2'],
  );
});

test('replays › stopped twice, or never asked for, change nothing', (t) => {
  const history = [wasCreated, wasRequested('r1'), wereStopped(1)];
  t.is(after(...history).size, 0);
  t.is(after(...history, wereStopped(1, 1, 7)).size, 0);
});

test('the keys of a subscription’s replays › sort by request, and belong to no other name', (t) => {
  const keys = [2, 10, 100_000].map((request) => replayKey('a', request));
  t.deepEqual(keys.toSorted(), keys);
  t.false(replayKey('a.b', 1).startsWith(replaysOf('a')));
});
