import { type RecordedEvent, streamKey } from '../domain/event.ts';
import type { SubscriptionEvent } from '../domain/subscription/subscription.ts';
import type { RemovalDocument } from './documents.ts';
import type { Projection } from './projection.ts';

/** @param eventId Of the DeadLettersRedriven or DeadLettersDiscarded. */
export const removalKey = (subscription: string, eventId: string): string => `${subscription}/${eventId}`;

const isRemoval = ({ type }: RecordedEvent<SubscriptionEvent>): boolean =>
  type === 'DeadLettersRedriven' || type === 'DeadLettersDiscarded';

const untouched = (): undefined => undefined;
const removal = (
  _document: RemovalDocument | undefined,
  { revision, position }: Pick<RemovalDocument, 'revision' | 'position'>,
): RemovalDocument => ({ revision, position });

/**
 * Where redrives and discards stand that came with a command id, by the id of their event: the same command again finds
 * what it has done, however many letters were recorded since.
 */
export const removals: Projection<RemovalDocument, SubscriptionEvent> = {
  name: 'removals',
  version: 1,
  category: 'subscription',
  keepsHistory: false,
  keys: (event) =>
    isRemoval(event) && event.metadata.commandId !== undefined
      ? [removalKey(streamKey(event.stream), event.id)]
      : [],
  on: {
    SubscriptionCreated: untouched,
    SubscriptionUpdated: untouched,
    SubscriptionPaused: untouched,
    SubscriptionResumed: untouched,
    SubscriptionReset: untouched,
    SubscriptionDeleted: untouched,
    MessageDeadLettered: untouched,
    ReplayRequested: untouched,
    ReplaysStopped: untouched,
    DeadLettersRedriven: removal,
    DeadLettersDiscarded: removal,
  },
};
