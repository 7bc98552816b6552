import type { AnyEvent } from '../domain/catalog.ts';
import type { RecordedEvent } from '../domain/event.ts';
import type { MessageEvent } from '../domain/message/message.ts';
import type { ServiceEvent } from '../domain/service/service.ts';
import type { StateEvent } from '../domain/state/state.ts';
import type { ServiceDocument, StateDocument, TopicDocument } from './documents.ts';
import type { Projection } from './projection.ts';
import { services } from './services.ts';
import { state } from './state.ts';
import { topics } from './topics.ts';

export type AnyProjection =
  | Projection<ServiceDocument, ServiceEvent>
  | Projection<StateDocument, StateEvent>
  | Projection<TopicDocument, MessageEvent>;
export type AnyDocument = ServiceDocument | StateDocument | TopicDocument;

/** Every read model, each fed by the events of its category. */
export const projections: readonly AnyProjection[] = [services, state, topics];

/**
 * `document: undefined`: the event leaves the document alone (it is folded in already, or there is nothing to change).
 * `ok: false`: the projection has no handler for the event; nothing of that stream can be trusted behind it.
 */
export type Folded =
  | { readonly ok: true; readonly document: AnyDocument | undefined }
  | { readonly ok: false; readonly reason: string };

/** A projection whose own event and document types are no longer known: `Handlers` has paired them by name. */
type Untyped = {
  key(event: RecordedEvent<AnyEvent>): string;
  readonly on: Readonly<
    Record<
      string,
      (document: AnyDocument | undefined, event: RecordedEvent<AnyEvent>) => AnyDocument | undefined
    >
  >;
};

const untyped = (projection: AnyProjection): Untyped => projection as Untyped;

/** Key of the document that `event` belongs to, for an event of the projection's category. */
export const keyOf = (projection: AnyProjection, event: RecordedEvent<AnyEvent>): string =>
  untyped(projection).key(event);

/**
 * Folds one decoded event into the document that stands under its key (undefined: none yet).
 *
 * An event at or before the document's position is folded in already, so the same events twice change nothing.
 */
export const foldEvent = (
  projection: AnyProjection,
  document: AnyDocument | undefined,
  event: RecordedEvent<AnyEvent>,
): Folded => {
  const { on } = untyped(projection);
  const handler = Object.hasOwn(on, event.type) ? on[event.type] : undefined;
  if (handler === undefined)
    return {
      ok: false,
      reason: `${projection.name} has no place for ${event.type} ${event.id} (${event.stream})`,
    };
  if (document !== undefined && event.position <= document.position) return { ok: true, document: undefined };
  return { ok: true, document: handler(document, event) };
};
