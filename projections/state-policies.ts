import type { LogCreatedEvent } from '../domain/catalog.ts';
import { type RecordedEvent, streamKey } from '../domain/event.ts';
import type { RetentionEvent } from '../domain/retention/retention.ts';
import { statePolicies as list } from '../domain/state-policy/decider.ts';
import type { StatePolicy, StatePolicyEvent, StatePolicyState } from '../domain/state-policy/policy.ts';
import type { StatePoliciesDocument } from './documents.ts';
import type { Projection } from './projection.ts';

export const statePoliciesStream = 'nexus-state-policies';
export const statePoliciesKey = streamKey(statePoliciesStream);

const documentOf = (
  { revision, position }: RecordedEvent<StatePolicyEvent>,
  policies: readonly StatePolicy[],
): StatePoliciesDocument => ({ policies, revision, position });

/** All state policies, in the one document `statePoliciesKey`. */
export const statePolicies: Projection<
  StatePoliciesDocument,
  StatePolicyEvent | RetentionEvent | LogCreatedEvent
> = {
  name: 'state-policies',
  version: 1,
  category: 'nexus',
  keepsHistory: false,
  keys: (event) => [streamKey(event.stream)],
  on: {
    StatePolicySet: (document, event) => documentOf(event, list.with(document?.policies ?? [], event.data)),
    StatePolicyRemoved: (document, event) =>
      documentOf(event, list.without(document?.policies ?? [], event.data.pattern)),
    RetentionSet: () => undefined,
    RetentionRemoved: () => undefined,
    LogCreated: () => undefined,
  },
};

/** The decider's state as of `document.revision`, so that a command need not fold the stream. */
export const restoreStatePolicies = ({ policies }: StatePoliciesDocument): StatePolicyState => ({ policies });
