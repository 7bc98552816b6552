import {
  asRevision,
  asStreamId,
  type EventMetadata,
  type LogEvent,
  type Position,
  parsePosition,
} from '../../../../domain/event.ts';
import { isEventId, isStreamName, isTypeName } from '../../../log/encode.ts';
import { logTopic } from '../topics.ts';

export type BatchHeader = {
  /** Identity of the log that the events stand in. */
  readonly logId: string;
  /** Of the node's feed that sent it. */
  readonly epoch: string;
  /** The batch is all that stands in the log behind it, … */
  readonly previous: Position;
  /** … up to and with this. */
  readonly last: Position;
};

export type Batch = BatchHeader & {
  /** @throws {BatchFault} Decodes them: what brings nothing new need not be. */
  events(): readonly LogEvent[];
};

/** Why frames are no batch. Names nothing that came with them but places. */
export class BatchFault extends Error {
  override readonly name = 'BatchFault';
}

/** A batch ends with the event that passes 64 Ki characters, and one event has 1,000,000 bytes at most. */
export const maxBatchBytes = 1_572_864;
const maxHeaderBytes = 1_024;
const maxEvents = 1_000;

/** @param texts JSON of each event. */
export const encodeBatch = (header: BatchHeader, texts: readonly string[]): readonly string[] => [
  logTopic,
  JSON.stringify(header),
  `[${texts.join(',')}]`,
];

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';

const parse = (frame: Buffer, what: string): unknown => {
  try {
    return JSON.parse(frame.toString('utf8'));
  } catch (cause) {
    throw new BatchFault(`the ${what} is not JSON`, { cause });
  }
};

/** Positions of one log are all equally wide. */
const positionOf = (value: unknown, width: number): Position | undefined =>
  isText(value) && value.length === width ? parsePosition(value) : undefined;

const isMetadata = (value: unknown): value is EventMetadata =>
  isFields(value) &&
  isText(value.actor) &&
  isText(value.correlationId) &&
  (value.causationId === null || isText(value.causationId)) &&
  isText(value.node) &&
  isText(value.recordedAt) &&
  Number.isSafeInteger(value.schema) &&
  [value.commandId, value.commandHash, value.traceparent].every((one) => one === undefined || isText(one));

const eventOf = (value: unknown, width: number): LogEvent | undefined => {
  if (!isFields(value)) return undefined;
  const { id, stream, revision, type, data, metadata } = value;
  const position = positionOf(value.position, width);
  if (position === undefined || !isText(id) || !isEventId(id)) return undefined;
  if (!isText(stream) || !isStreamName(stream) || !isText(type) || !isTypeName(type)) return undefined;
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision < 0) return undefined;
  if (data === undefined || !isMetadata(metadata)) return undefined;
  return {
    id,
    stream: asStreamId(stream),
    revision: asRevision(revision),
    position,
    type,
    data,
    metadata,
  };
};

const eventsOf = (body: Buffer, { previous, last }: BatchHeader): readonly LogEvent[] => {
  const values = parse(body, 'list of events');
  if (!Array.isArray(values) || values.length > maxEvents) throw new BatchFault('the events are no list');
  const events: LogEvent[] = [];
  let before = previous;
  for (const [index, value] of values.entries()) {
    const event = eventOf(value, previous.length);
    if (event === undefined) throw new BatchFault(`event ${index} of the batch is none`);
    if (event.position <= before) throw new BatchFault(`event ${index} of the batch is out of order`);
    before = event.position;
    events.push(event);
  }
  if (before !== last) throw new BatchFault('the batch does not end where it says');
  return events;
};

/**
 * Understands the frames behind the topic.
 *
 * @param width of the positions of this node's log.
 * @throws {BatchFault}
 */
export const decodeBatch = (frames: readonly Buffer[], width: number): Batch => {
  const [head, body] = frames;
  if (head === undefined || body === undefined || frames.length !== 2) {
    throw new BatchFault('a batch has three frames');
  }
  if (head.length > maxHeaderBytes || body.length > maxBatchBytes)
    throw new BatchFault('the batch is too large');
  const header = parse(head, 'header');
  if (!isFields(header) || !isText(header.logId) || !isText(header.epoch)) {
    throw new BatchFault('the header of the batch is none');
  }
  const { logId, epoch } = header;
  const previous = positionOf(header.previous, width);
  const last = positionOf(header.last, width);
  if (previous === undefined || last === undefined || last <= previous) {
    throw new BatchFault('the batch is not between two positions of this log');
  }
  const known = { logId, epoch, previous, last };
  return { ...known, events: () => eventsOf(body, known) };
};
