import {
  asRevision,
  asStreamId,
  type EventMetadata,
  type LogEvent,
  type NewMetadata,
} from '../../../domain/event.ts';
import type { EncodedEvent } from '../encode.ts';
import { LogError } from '../event-log.ts';
import { positionOf } from './keys.ts';

/** Value of field `e`: what the log itself never looks at. */
export const bodyOf = (event: EncodedEvent): string => `{"data":${event.data},"metadata":${event.metadata}}`;

const corrupt = (sequence: number, cause?: unknown): LogError =>
  new LogError(
    'log_corrupt',
    `entry ${sequence}-0 of the log in Redis is not an event of this log`,
    { sequence, position: positionOf(sequence) },
    cause,
  );

const parseBody = (sequence: number, text: string): { data: unknown; metadata: NewMetadata } => {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw corrupt(sequence, cause);
  }
  if (typeof body !== 'object' || body === null || !('data' in body) || !('metadata' in body)) {
    throw corrupt(sequence);
  }
  const { data, metadata } = body;
  if (typeof metadata !== 'object' || metadata === null) throw corrupt(sequence);
  // Decode boundary: only `append` of this adapter writes entries, from a checked NewEvent.
  return { data, metadata: metadata as NewMetadata };
};

/** Events come in runs of the same millisecond, and a Date costs more than the rest of the header. */
let lastMs = '0';
let lastTime = new Date(0).toISOString();
const timeOf = (ms: string): string => {
  if (ms !== lastMs) {
    lastTime = new Date(Number(ms)).toISOString();
    lastMs = ms;
  }
  return lastTime;
};

/**
 * One entry of the log as an event. Header: `{revision} {ms} {previous} {id} {type} {stream}`.
 * @throws {LogError} `log_corrupt`.
 */
export const decodeEntry = (sequence: number, header: string, body: string): LogEvent => {
  const one = header.indexOf(' ');
  const two = header.indexOf(' ', one + 1);
  const three = header.indexOf(' ', two + 1);
  const four = header.indexOf(' ', three + 1);
  const five = header.indexOf(' ', four + 1);
  const revision = Number(header.slice(0, one));
  if (one < 1 || five < 0 || !Number.isSafeInteger(revision)) throw corrupt(sequence);
  const { data, metadata } = parseBody(sequence, body);
  const recorded: EventMetadata = Object.assign(metadata, { recordedAt: timeOf(header.slice(one + 1, two)) });
  return {
    id: header.slice(three + 1, four),
    stream: asStreamId(header.slice(five + 1)),
    revision: asRevision(revision),
    position: positionOf(sequence),
    type: header.slice(four + 1, five),
    data,
    metadata: recorded,
  };
};

/** The events of a script's reply, which holds sequence, header and body of each from index `from` on. */
export const decodeTriples = (reply: readonly unknown[], from: number): LogEvent[] => {
  const events: LogEvent[] = [];
  for (let index = from; index + 2 < reply.length; index += 3) {
    events.push(decodeEntry(Number(reply[index]), String(reply[index + 1]), String(reply[index + 2])));
  }
  return events;
};

/** An entry of XRANGE, XREVRANGE or XREAD: id and flat fields. */
export type RawEntry = readonly [id: string, fields: readonly string[]];

/** @throws {LogError} `log_corrupt`, also for an entry that something else has added. */
export const decodeRaw = ([id, fields]: RawEntry): LogEvent => {
  const sequence = Number.parseInt(id, 10);
  const [, header, name, body] = fields;
  if (header === undefined || body === undefined || name !== 'e') throw corrupt(sequence);
  return decodeEntry(sequence, header, body);
};

/** Size of the entries' bodies, in UTF-16 units: near enough to pace reads. */
export const bytesOf = (entries: readonly RawEntry[]): number =>
  entries.reduce((sum, [, fields]) => sum + (fields[3]?.length ?? 0), 0);
