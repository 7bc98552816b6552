import type {
  DeadLetter,
  LetterRef,
  SubscriptionEvent,
  SubscriptionSettings,
} from '../../domain/subscription/subscription.ts';
import { type By, by } from './given.ts';
import { positionAt } from './recorded.ts';

export const settings: SubscriptionSettings = {
  topic: 'orders.*',
  ackWaitMs: 30_000,
  maxDeliver: 5,
  backoffMs: [1_000, 5_000],
  maxInFlight: 1_000,
  order: 'none',
};

export const wasCreated: By<SubscriptionEvent> = by('ann', {
  type: 'SubscriptionCreated',
  data: { ...settings, name: 'billing', from: positionAt(3) },
});
export const wasDeleted: By<SubscriptionEvent> = by('ann', {
  type: 'SubscriptionDeleted',
  data: { reason: 'unused' },
});

/** The dead letter of the message at `place`, whose id is `m{place}`. */
export const letterAt = (place: number, attempts = 5): DeadLetter => ({
  messageId: `m${place}`,
  position: positionAt(place),
  attempts,
  error: 'no stock',
  errors: [{ at: '2026-01-01T00:00:00.000Z', reason: 'no stock' }],
  redrives: 0,
  message: {
    messageId: `m${place}`,
    topic: 'orders.created',
    payload: { place },
    priority: 'NORMAL',
    headers: {},
    publishedAt: '2026-01-01T00:00:00.000Z',
    publisher: 'ann',
    position: positionAt(place),
  },
});

export const refAt = (place: number, letter: number): LetterRef => ({
  messageId: `m${place}`,
  position: positionAt(place),
  letter,
});

export const wasDeadLettered = (place: number): By<SubscriptionEvent> =>
  by('system', { type: 'MessageDeadLettered', data: letterAt(place) });
export const wasRedriven = (...letters: readonly LetterRef[]): By<SubscriptionEvent> =>
  by('ann', { type: 'DeadLettersRedriven', data: { letters, through: positionAt(99) } });
export const wereDiscarded = (...letters: readonly LetterRef[]): By<SubscriptionEvent> =>
  by('ann', { type: 'DeadLettersDiscarded', data: { letters, through: positionAt(99) } });
