import { type RecordedEvent, streamKey } from '../domain/event.ts';
import type { LetterRef, SubscriptionEvent } from '../domain/subscription/subscription.ts';
import type { DeadLetterDocument, DeadLetterIdDocument } from './documents.ts';
import type { Handlers, Projection } from './projection.ts';

/** `{subscription}/…`: a subscription's name holds no slash. */
export const lettersOf = (subscription: string): string => `${subscription}/`;
export const letterKey = (subscription: string, position: string): string => `${subscription}/${position}`;
/** All letters of one message id, of whatever topic. */
export const letterIdPrefix = (subscription: string, messageId: string): string =>
  `${subscription}/${messageId.length}/${messageId}/`;

type Named = Pick<LetterRef, 'messageId' | 'position'>;

const namedBy = (event: RecordedEvent<SubscriptionEvent>): readonly Named[] => {
  switch (event.type) {
    case 'MessageDeadLettered':
      return [event.data];
    case 'DeadLettersRedriven':
    case 'DeadLettersDiscarded':
      return event.data.letters;
    default:
      return [];
  }
};

/** A deleted subscription's letters stay behind: those of before a name's newest SubscriptionCreated are not listed. */
const untouched = (): undefined => undefined;
const removed = (document: object | undefined): null | undefined =>
  document === undefined ? undefined : null;

const handlers = <Document extends object>(
  deadLettered: Handlers<Document, SubscriptionEvent>['MessageDeadLettered'],
): Handlers<Document, SubscriptionEvent> => ({
  SubscriptionCreated: untouched,
  SubscriptionUpdated: untouched,
  SubscriptionPaused: untouched,
  SubscriptionResumed: untouched,
  SubscriptionReset: untouched,
  SubscriptionDeleted: untouched,
  ReplayRequested: untouched,
  ReplaysStopped: untouched,
  MessageDeadLettered: deadLettered,
  DeadLettersRedriven: removed,
  DeadLettersDiscarded: removed,
});

/** What stands dead now, by subscription and the message's position: in the order in which it was published. */
export const deadLetters: Projection<DeadLetterDocument, SubscriptionEvent> = {
  name: 'dead-letters',
  version: 1,
  category: 'subscription',
  keepsHistory: false,
  keys: (event) => {
    const subscription = streamKey(event.stream);
    return namedBy(event).map(({ position }) => letterKey(subscription, position));
  },
  on: handlers((_document, { data, metadata, stream, revision, position }) => ({
    subscription: streamKey(stream),
    messageId: data.messageId,
    messagePosition: data.position,
    attempts: data.attempts,
    error: data.error,
    errors: data.errors,
    redrives: data.redrives,
    ...(data.replay === undefined ? {} : { replay: data.replay }),
    message: data.message,
    deadLetteredAt: metadata.recordedAt,
    letter: revision,
    position,
  })),
};

/** The same by subscription and the message's id. */
export const deadLetterIds: Projection<DeadLetterIdDocument, SubscriptionEvent> = {
  name: 'dead-letter-ids',
  version: 1,
  category: 'subscription',
  keepsHistory: false,
  keys: (event) => {
    const subscription = streamKey(event.stream);
    return namedBy(event).map(
      ({ messageId, position }) => `${letterIdPrefix(subscription, messageId)}${position}`,
    );
  },
  on: handlers((_document, { data, position }) => ({ messagePosition: data.position, position })),
};
