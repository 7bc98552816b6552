declare const brand: unique symbol;
type Brand<Name extends string> = { readonly [brand]: Name };

/** A place in the whole log: opaque, fixed-width lower-case hex; byte order is log order within one log. */
export type Position = string & Brand<'Position'>;
/** A place in one stream, 0-based, without holes but for what was truncated. */
export type Revision = number & Brand<'Revision'>;
/** `{category}-{id}`: the category is what stands before the first hyphen, or the whole of `nexus-log`. */
export type StreamId = string & Brand<'StreamId'>;

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Of a transaction over several streams: its events stand one behind the other, and this is the `index`-th of `count`. */
export type InTransaction = {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  /** Whether its conditions held. */
  readonly succeeded: boolean;
};

/** What the writer knows of an event; the log adds `recordedAt`. */
export type NewMetadata = {
  /** Subject of the token, or `local`, `system`. */
  readonly actor: string;
  readonly correlationId: string;
  /** Id of the event or message that caused this one. */
  readonly causationId: string | null;
  readonly commandId?: string;
  /** SHA-256 of the command's input, when it had an id: another input under the same id is refused. */
  readonly commandHash?: string;
  readonly traceparent?: string;
  readonly transaction?: InTransaction;
  /** Id of the node that wrote the event. */
  readonly node: string;
  /** Version of the shape of `data`, from 1. */
  readonly schema: number;
};

export type EventMetadata = NewMetadata & {
  /** RFC 3339 UTC with milliseconds, set by the log; never decreasing along the log. */
  readonly recordedAt: string;
};

/** An event to append. `id` is a UUID made once per command, before the first try. */
export type NewEvent = {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
  readonly metadata: NewMetadata;
};

/** An event as it stands in the log; `data` is `unknown` until the catalog decodes it. */
export type LogEvent = {
  readonly id: string;
  readonly stream: StreamId;
  readonly revision: Revision;
  readonly position: Position;
  readonly type: string;
  readonly data: unknown;
  readonly metadata: EventMetadata;
};

/** A domain event: its type tells the shape of its data. */
export type DomainEvent = { readonly type: string; readonly data: unknown };

/** A log event whose data was decoded to the shape that its type promises. */
export type RecordedEvent<Event extends DomainEvent = DomainEvent> = Event extends DomainEvent
  ? Omit<LogEvent, 'type' | 'data'> & { readonly type: Event['type']; readonly data: Event['data'] }
  : never;

export const categories = [
  'service',
  'interface',
  'state',
  'topic',
  'trim',
  'subscription',
  'checkpoint',
  'plugin',
  'nexus',
  'node',
  'access',
] as const;
export type Category = (typeof categories)[number];

export const asRevision = (value: number): Revision => value as Revision;
export const asPosition = (value: string): Position => value as Position;
export const asStreamId = (value: string): StreamId => value as StreamId;

export const streamId = (category: Category, id: string): StreamId => asStreamId(`${category}-${id}`);

/** What stands before the first hyphen of a stream's name; the whole name when there is none. */
export const categoryOf = (stream: string): string => {
  const hyphen = stream.indexOf('-');
  return hyphen < 0 ? stream : stream.slice(0, hyphen);
};

/** What stands behind the first hyphen of a stream's name; empty when there is none. */
export const streamKey = (stream: string): string => {
  const hyphen = stream.indexOf('-');
  return hyphen < 0 ? '' : stream.slice(hyphen + 1);
};

/** The position of a 16- or 32-digit hex text, or undefined for any other text. */
export const parsePosition = (text: string): Position | undefined => {
  if (text.length !== 16 && text.length !== 32) return undefined;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (!((code >= 48 && code <= 57) || (code >= 97 && code <= 102))) return undefined;
  }
  return asPosition(text);
};
