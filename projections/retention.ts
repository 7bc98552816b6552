import type { LogCreatedEvent } from '../domain/catalog.ts';
import { type RecordedEvent, streamKey } from '../domain/event.ts';
import { retentionPolicies } from '../domain/retention/decider.ts';
import type { RetentionEvent, RetentionPolicy, RetentionState } from '../domain/retention/retention.ts';
import type { StatePolicyEvent } from '../domain/state-policy/policy.ts';
import type { RetentionDocument } from './documents.ts';
import type { Projection } from './projection.ts';

export const retentionStream = 'nexus-retention';
export const retentionKey = streamKey(retentionStream);

const documentOf = (
  { revision, position }: RecordedEvent<RetentionEvent>,
  policies: readonly RetentionPolicy[],
): RetentionDocument => ({ policies, revision, position });

/** All retention policies, in the one document `retentionKey`. */
export const retention: Projection<RetentionDocument, RetentionEvent | StatePolicyEvent | LogCreatedEvent> = {
  name: 'retention',
  version: 1,
  category: 'nexus',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    RetentionSet: (document, event) =>
      documentOf(event, retentionPolicies.with(document?.policies ?? [], event.data)),
    RetentionRemoved: (document, event) =>
      documentOf(event, retentionPolicies.without(document?.policies ?? [], event.data.topic)),
    StatePolicySet: () => undefined,
    StatePolicyRemoved: () => undefined,
    LogCreated: () => undefined,
  },
};

/** The decider's state as of `document.revision`, so that a command need not fold the stream. */
export const restoreRetention = ({ policies }: RetentionDocument): RetentionState => ({ policies });
