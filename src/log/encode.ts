import type { NewEvent, StreamId } from '../../domain/event.ts';
import {
  type Expected,
  LogError,
  maxAppendBytes,
  maxAppendEvents,
  maxStreamBytes,
  type StreamAppend,
} from './event-log.ts';

/** An event of an append as every adapter stores it. */
export type EncodedEvent = {
  /** Lower-case UUID. */
  readonly id: string;
  readonly type: string;
  /** JSON text of `data`. */
  readonly data: string;
  /** JSON text of `metadata`, an object, without `recordedAt`. */
  readonly metadata: string;
};

const typeName = /^[A-Za-z][A-Za-z0-9._-]{0,127}$/;
const streamName = /^[a-z]\P{Cc}*$/u;
const idBytes = 36;
const names: ReadonlySet<string> = new Set(['none', 'any', 'exists']);

/** True for the name of a stream: a lower-case letter, then no control characters, 600 bytes of UTF-8 at most. */
export const isStreamName = (text: string): boolean =>
  text.length <= maxStreamBytes &&
  text.isWellFormed() &&
  streamName.test(text) &&
  (text.length * 3 <= maxStreamBytes || Buffer.byteLength(text) <= maxStreamBytes);

export const isTypeName = (text: string): boolean => typeName.test(text);

/** @throws {LogError} `invalid` when `stream` is not the name of a stream. */
export const checkStream = (stream: StreamId): void => {
  if (!isStreamName(stream)) {
    throw new LogError(
      'invalid',
      `a stream's name is a lower-case letter and at most ${maxStreamBytes} bytes without control characters`,
      { stream: stream.slice(0, maxStreamBytes) },
    );
  }
};

/** @throws {LogError} `invalid` when `expected` is not one of the four forms. */
export const checkExpected = (expected: Expected): void => {
  if (typeof expected === 'number' ? Number.isSafeInteger(expected) && expected >= 0 : names.has(expected))
    return;
  throw new LogError('invalid', 'expected is none, any, exists or a revision from 0', { expected });
};

const jsonText = (value: unknown, part: string, id: string): string => {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new LogError('invalid', `the ${part} of event ${id} is not JSON`, { id }, cause);
  }
  if (text === undefined) throw new LogError('invalid', `the ${part} of event ${id} is not JSON`, { id });
  return text;
};

/** A UUID in lower case. A loop, because this runs once per event and costs half of the same regular expression. */
export const isEventId = (text: string): boolean => {
  if (text.length !== idBytes) return false;
  for (let index = 0; index < idBytes; index++) {
    const code = text.charCodeAt(index);
    if (index === 8 || index === 13 || index === 18 || index === 23) {
      if (code !== 45) return false;
    } else if (!((code >= 48 && code <= 57) || (code >= 97 && code <= 102))) return false;
  }
  return true;
};

const checkId = (text: string): string => {
  if (isEventId(text)) return text;
  const lower = text.toLowerCase();
  if (isEventId(lower)) return lower;
  throw new LogError('invalid', `an event's id is a UUID, not ${text.slice(0, 64)}`, {
    id: text.slice(0, 64),
  });
};

const encodeEvent = (event: NewEvent): EncodedEvent => {
  const id = checkId(event.id);
  if (!isTypeName(event.type)) {
    throw new LogError('invalid', `event ${id} has a type that is no name: ${event.type.slice(0, 128)}`, {
      id,
    });
  }
  const metadata = jsonText(event.metadata, 'metadata', id);
  if (metadata.charCodeAt(0) !== 123) {
    throw new LogError('invalid', `the metadata of event ${id} is not an object`, { id });
  }
  return { id, type: event.type, data: jsonText(event.data, 'data', id), metadata };
};

/** UTF-8 bytes that an encoded event counts for against `maxAppendBytes`: id, type, data and metadata. */
export const encodedBytes = (event: EncodedEvent): number =>
  idBytes + event.type.length + Buffer.byteLength(event.data) + Buffer.byteLength(event.metadata);

/**
 * Checks an append before any back end sees it, and encodes its events once.
 *
 * @returns The events in order, as long as `events`.
 * @throws {LogError} `invalid`: stream name, `expected`, no event, an id that is no UUID or occurs twice, a
 *   type that is no name, data that JSON cannot hold. `too_large`: more than 1,000 events or 1,000,000 bytes.
 */
export const checkAppend = (
  stream: StreamId,
  events: readonly NewEvent[],
  expected: Expected,
): readonly EncodedEvent[] => {
  checkStream(stream);
  checkExpected(expected);
  return encodeEvents(stream, events);
};

/** The same for a caller that knows `stream` and `expected` to be sound. */
export const encodeEvents = (stream: StreamId, events: readonly NewEvent[]): readonly EncodedEvent[] => {
  const count = events.length;
  if (count === 0) throw new LogError('invalid', 'an append has at least one event', { stream });
  if (count > maxAppendEvents) {
    throw new LogError('too_large', `an append has at most ${maxAppendEvents} events, not ${count}`, {
      stream,
      events: count,
      maxAppendEvents,
    });
  }
  const encoded: EncodedEvent[] = [];
  let units = 0;
  for (const event of events) {
    const one = encodeEvent(event);
    encoded.push(one);
    units += idBytes + one.type.length + one.data.length + one.metadata.length;
  }
  checkBytes(stream, encoded, units);
  if (count > 1 && new Set(encoded.map((event) => event.id)).size !== count) {
    throw new LogError('invalid', 'two events of one append have the same id', { stream });
  }
  return encoded;
};

/** One part of an append to several streams; `events` is empty where it only asserts. */
export type EncodedPart = Pick<StreamAppend, 'stream' | 'expected'> & {
  readonly events: readonly EncodedEvent[];
};

/**
 * Checks an append to several streams before any back end sees it, and encodes its events once.
 *
 * @throws {LogError} as `checkAppend`; `invalid` also for no part, or two of one stream.
 */
export const checkAppendAll = (parts: readonly StreamAppend[]): readonly EncodedPart[] => {
  const [first] = parts;
  if (first === undefined) throw new LogError('invalid', 'an append has at least one part');
  const count = parts.length;
  if (count > maxAppendEvents) {
    throw new LogError('too_large', `an append has at most ${maxAppendEvents} parts, not ${count}`, {
      parts: count,
      maxAppendEvents,
    });
  }
  for (const { stream, expected } of parts) {
    checkStream(stream);
    checkExpected(expected);
  }
  if (new Set(parts.map(({ stream }) => stream)).size !== count) {
    throw new LogError('invalid', 'two parts of one append are of the same stream');
  }
  const events = parts.flatMap((part) => part.events);
  const encoded = events.length === 0 ? [] : encodeEvents(first.stream, events);
  let from = 0;
  return parts.map(({ stream, expected, events: own }) => {
    const part = { stream, expected, events: encoded.slice(from, from + own.length) };
    from += own.length;
    return part;
  });
};

/** A UTF-16 unit is at most three bytes of UTF-8: most appends are passed without counting bytes. */
const checkBytes = (stream: StreamId, encoded: readonly EncodedEvent[], units: number): void => {
  if (units * 3 <= maxAppendBytes) return;
  let bytes = 0;
  for (const event of encoded) bytes += encodedBytes(event);
  if (bytes > maxAppendBytes) {
    throw new LogError(
      'too_large',
      `an append has at most ${maxAppendBytes} bytes once encoded, not ${bytes}`,
      {
        stream,
        bytes,
        maxAppendBytes,
      },
    );
  }
};
