import { streamKey } from '../domain/event.ts';
import { settingsOf, withSettings } from '../domain/subscription/settings.ts';
import type { SubscriptionEvent, SubscriptionState } from '../domain/subscription/subscription.ts';
import type { SubscriptionDocument } from './documents.ts';
import type { Projection } from './projection.ts';

type At = Pick<SubscriptionDocument, 'revision' | 'position'>;

/** What comes behind the end of a subscription only moves the document's place. */
const changed = (
  document: SubscriptionDocument | undefined,
  { revision, position }: At,
  changes: (document: SubscriptionDocument) => Partial<SubscriptionDocument> = () => ({}),
): SubscriptionDocument | undefined => {
  if (document === undefined) return undefined;
  const more = document.status === 'deleted' ? {} : changes(document);
  return { ...document, ...more, revision, position };
};

/** The durable subscriptions: one document per name, deleted ones included. */
export const subscriptions: Projection<SubscriptionDocument, SubscriptionEvent> = {
  name: 'subscriptions',
  version: 1,
  category: 'subscription',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    SubscriptionCreated: (_document, { data, metadata, revision, position }) => ({
      ...settingsOf(data),
      name: data.name,
      status: 'active',
      from: data.from,
      fromAt: position,
      resets: 0,
      created: revision,
      createdAt: metadata.recordedAt,
      createdBy: metadata.actor,
      owner: null,
      deadLetters: 0,
      removals: 0,
      revision,
      position,
    }),
    SubscriptionUpdated: (document, event) =>
      changed(document, event, (before) => ({
        ...withSettings(before, event.data.changes),
        owner: event.data.owner === undefined ? before.owner : event.data.owner,
      })),
    SubscriptionPaused: (document, event) => changed(document, event, () => ({ status: 'paused' })),
    SubscriptionResumed: (document, event) => changed(document, event, () => ({ status: 'active' })),
    SubscriptionReset: (document, event) =>
      changed(document, event, ({ resets }) => ({
        from: event.data.to,
        fromAt: event.position,
        resets: resets + 1,
      })),
    SubscriptionDeleted: (document, event) =>
      changed(document, event, () => ({ status: 'deleted', deadLetters: 0 })),
    MessageDeadLettered: (document, event) =>
      changed(document, event, ({ deadLetters }) => ({
        deadLetters: event.data.replaces === true ? deadLetters : deadLetters + 1,
      })),
    DeadLettersRedriven: (document, event) =>
      changed(document, event, ({ deadLetters, removals }) => ({
        deadLetters: deadLetters - event.data.letters.length,
        removals: removals + 1,
      })),
    DeadLettersDiscarded: (document, event) =>
      changed(document, event, ({ deadLetters, removals }) => ({
        deadLetters: deadLetters - event.data.letters.length,
        removals: removals + 1,
      })),
    ReplayRequested: (document, event) => changed(document, event),
    ReplaysStopped: (document, event) => changed(document, event),
  },
};

/** The decider's state as of `document.revision`, so that a command need not fold the stream. */
export const restoreSubscription = (document: SubscriptionDocument): SubscriptionState =>
  document.status === 'deleted'
    ? { status: 'deleted' }
    : {
        status: document.status,
        created: document.created,
        settings: settingsOf(document),
        owner: document.owner,
        removals: document.removals,
      };
