import type { AnyEvent, LogCreatedEvent } from '../domain/catalog.ts';
import type { RecordedEvent } from '../domain/event.ts';
import type { InterfaceEvent } from '../domain/interface/interface.ts';
import type { MessageEvent } from '../domain/message/message.ts';
import type { PluginEvent } from '../domain/plugin/plugin.ts';
import type { RetentionEvent } from '../domain/retention/retention.ts';
import type { TrimmedEvent } from '../domain/retention/trims.ts';
import type { ServiceEvent } from '../domain/service/service.ts';
import type { StateEvent } from '../domain/state/state.ts';
import type { StatePolicyEvent } from '../domain/state-policy/policy.ts';
import type { SubscriptionEvent } from '../domain/subscription/subscription.ts';
import { deadLetterIds, deadLetters } from './dead-letters.ts';
import type {
  DeadLetterDocument,
  DeadLetterIdDocument,
  ExpiringDocument,
  InterfaceDocument,
  PluginDocument,
  RemovalDocument,
  ReplayDocument,
  RetentionDocument,
  ScheduledDocument,
  ServiceDocument,
  StateDocument,
  StatePoliciesDocument,
  SubscriptionDocument,
  TopicDocument,
  TrimDocument,
} from './documents.ts';
import { expiring } from './expiring.ts';
import { interfaces } from './interfaces.ts';
import { plugins } from './plugins.ts';
import type { Forgotten, Projection } from './projection.ts';
import { removals } from './removals.ts';
import { replays } from './replays.ts';
import { retention } from './retention.ts';
import { scheduled } from './scheduled.ts';
import { services } from './services.ts';
import { state } from './state.ts';
import { statePolicies } from './state-policies.ts';
import { subscriptions } from './subscriptions.ts';
import { topics } from './topics.ts';
import { trims } from './trims.ts';

export type AnyProjection =
  | Projection<ServiceDocument, ServiceEvent>
  | Projection<InterfaceDocument, InterfaceEvent>
  | Projection<StateDocument, StateEvent>
  | Projection<ExpiringDocument, StateEvent>
  | Projection<TopicDocument, MessageEvent>
  | Projection<ScheduledDocument, MessageEvent>
  | Projection<SubscriptionDocument, SubscriptionEvent>
  | Projection<DeadLetterDocument, SubscriptionEvent>
  | Projection<DeadLetterIdDocument, SubscriptionEvent>
  | Projection<RetentionDocument, RetentionEvent | StatePolicyEvent | LogCreatedEvent>
  | Projection<StatePoliciesDocument, RetentionEvent | StatePolicyEvent | LogCreatedEvent>
  | Projection<TrimDocument, TrimmedEvent>
  | Projection<ReplayDocument, SubscriptionEvent>
  | Projection<RemovalDocument, SubscriptionEvent>
  | Projection<PluginDocument, PluginEvent>;
export type AnyDocument =
  | ServiceDocument
  | InterfaceDocument
  | StateDocument
  | ExpiringDocument
  | TopicDocument
  | ScheduledDocument
  | SubscriptionDocument
  | DeadLetterDocument
  | DeadLetterIdDocument
  | RetentionDocument
  | StatePoliciesDocument
  | TrimDocument
  | ReplayDocument
  | RemovalDocument
  | PluginDocument;

/** Every read model, each fed by the events of its category. */
export const projections: readonly AnyProjection[] = [
  services,
  interfaces,
  state,
  expiring,
  topics,
  scheduled,
  subscriptions,
  deadLetters,
  deadLetterIds,
  retention,
  statePolicies,
  trims,
  replays,
  removals,
  plugins,
];

/**
 * `document: undefined`: the event leaves the document alone (it is folded in already, or there is nothing to change);
 * null: it removes it.
 * `ok: false`: the projection has no handler for the event; nothing of that stream can be trusted behind it.
 */
export type Folded =
  | { readonly ok: true; readonly document: AnyDocument | undefined | null }
  | { readonly ok: false; readonly reason: string };

/** A projection whose own event and document types are no longer known: `Handlers` has paired them by name. */
type Untyped = {
  keys(event: RecordedEvent<AnyEvent>): readonly string[];
  readonly on: Readonly<
    Record<
      string,
      (
        document: AnyDocument | undefined,
        event: RecordedEvent<AnyEvent>,
        key: string,
      ) => AnyDocument | undefined | null
    >
  >;
  forgets?(event: RecordedEvent<AnyEvent>): Forgotten | undefined;
};

const untyped = (projection: AnyProjection): Untyped => projection as Untyped;

/** Keys of the documents that `event` concerns, for an event of the projection's category. */
export const keysOf = (projection: AnyProjection, event: RecordedEvent<AnyEvent>): readonly string[] =>
  untyped(projection).keys(event);

/** The history that `event` ends, for an event of the projection's category. */
export const forgottenBy = (
  projection: AnyProjection,
  event: RecordedEvent<AnyEvent>,
): Forgotten | undefined => untyped(projection).forgets?.(event);

/**
 * Folds one decoded event into the document that stands under one of its keys (undefined: none yet).
 *
 * An event at or before the document's position is folded in already, so the same events twice change nothing.
 */
export const foldEvent = (
  projection: AnyProjection,
  document: AnyDocument | undefined,
  event: RecordedEvent<AnyEvent>,
  key: string,
): Folded => {
  const { on } = untyped(projection);
  const handler = Object.hasOwn(on, event.type) ? on[event.type] : undefined;
  if (handler === undefined)
    return {
      ok: false,
      reason: `${projection.name} has no place for ${event.type} ${event.id} (${event.stream})`,
    };
  if (document !== undefined && event.position <= document.position) return { ok: true, document: undefined };
  return { ok: true, document: handler(document, event, key) };
};
