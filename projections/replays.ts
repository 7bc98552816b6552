import { type RecordedEvent, streamKey } from '../domain/event.ts';
import type { SubscriptionEvent } from '../domain/subscription/subscription.ts';
import type { ReplayDocument } from './documents.ts';
import type { Projection } from './projection.ts';

const revisionDigits = 16;

/** `{subscription}/…`: a subscription's name holds no slash. */
export const replaysOf = (subscription: string): string => `${subscription}/`;
/** @param request Revision of the ReplayRequested: replays are carried out in the order of these keys. */
export const replayKey = (subscription: string, request: number): string =>
  `${subscription}/${String(request).padStart(revisionDigits, '0')}`;

const requestsIn = (event: RecordedEvent<SubscriptionEvent>): readonly number[] => {
  switch (event.type) {
    case 'ReplayRequested':
      return [event.revision];
    case 'ReplaysStopped':
      return event.data.replays.map(({ request }) => request);
    default:
      return [];
  }
};

const untouched = (): undefined => undefined;

/**
 * The replays of each subscription that were not stopped. One that is over stays: how far a subscription has come with
 * its replays stands in its checkpoint. Those of before a reset, or of a deleted subscription, are never carried out.
 */
export const replays: Projection<ReplayDocument, SubscriptionEvent> = {
  name: 'replays',
  version: 1,
  category: 'subscription',
  keepsHistory: false,
  keys: (event) => {
    const subscription = streamKey(event.stream);
    return [...new Set(requestsIn(event))].map((request) => replayKey(subscription, request));
  },
  on: {
    SubscriptionCreated: untouched,
    SubscriptionUpdated: untouched,
    SubscriptionPaused: untouched,
    SubscriptionResumed: untouched,
    SubscriptionReset: untouched,
    SubscriptionDeleted: untouched,
    MessageDeadLettered: untouched,
    DeadLettersRedriven: untouched,
    DeadLettersDiscarded: untouched,
    ReplayRequested: (_document, { data, metadata, revision, position }) => ({
      ...data,
      requestedAt: metadata.recordedAt,
      requestedBy: metadata.actor,
      revision,
      position,
    }),
    ReplaysStopped: (document) => (document === undefined ? undefined : null),
  },
};
