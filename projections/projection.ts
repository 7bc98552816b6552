import type { Category, DomainEvent, Position, RecordedEvent } from '../domain/event.ts';

/** One handler per event type of the union: a misspelt or forgotten one does not compile. */
export type Handlers<Document, Event extends DomainEvent> = {
  readonly [Type in Event['type']]: (
    document: Document | undefined,
    event: RecordedEvent<Extract<Event, { readonly type: Type }>>,
    key: string,
  ) => Document | undefined | null;
};

/** Former documents of a key that are gone for good; the newest one never is. */
export type Forgotten = {
  readonly model: string;
  readonly key: string;
  /** Inclusive: what was written at or before it. */
  readonly to: Position;
};

/**
 * A read model as a pure fold: documents by key, made of the events of one category.
 *
 * Handlers get the document as it is (undefined: none yet) and return the next one (undefined: leave it alone; null:
 * remove it, in a model that keeps no history); they never mutate it, and know no clock and no I/O. Raising `version`
 * rebuilds the model from the log.
 */
export type Projection<Document, Event extends DomainEvent = DomainEvent> = {
  readonly name: string;
  readonly version: number;
  readonly category: Category;
  /** Former documents stay readable by position (`asOf`). */
  readonly keepsHistory: boolean;
  /** Keys of the documents that the event concerns, each once. */
  keys(event: RecordedEvent<Event>): readonly string[];
  readonly on: Handlers<Document, Event>;
  /** History, of whichever model, that the event ends. */
  forgets?(event: RecordedEvent<Event>): Forgotten | undefined;
};
