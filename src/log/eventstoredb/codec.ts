import {
  asPosition,
  asRevision,
  asStreamId,
  type EventMetadata,
  type LogEvent,
  type Position,
} from '../../../domain/event.ts';
import type { EncodedEvent } from '../encode.ts';
import { LogError } from '../event-log.ts';

/** An event as the server gave it, with our types for its numbers. */
export type StoredEvent = {
  readonly id: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: Position;
  readonly type: string;
  /** True when the payload was declared as JSON; `data` is parsed then. */
  readonly isJson: boolean;
  readonly data: unknown;
  /** Parsed when it is JSON, else bytes or undefined. */
  readonly metadata: unknown;
  /** Unix milliseconds, by the server's clock. */
  readonly recordedMs: number;
};

const half = 16;

/** Before the first event. Never sent to the server: it may not be read from. */
export const start = asPosition('0'.repeat(2 * half));

export const positionOf = (commit: bigint, prepare: bigint): Position =>
  asPosition(commit.toString(16).padStart(half, '0') + prepare.toString(16).padStart(half, '0'));

const wide = /^[0-9a-f]{32}$/;

/** @throws {LogError} `invalid` when the text is no position of this kind of log. */
export const partsOf = (position: Position): { readonly commit: bigint; readonly prepare: bigint } => {
  if (!wide.test(position)) {
    throw new LogError('invalid', 'a position in EventStoreDB has 32 hexadecimal digits', { position });
  }
  return { commit: BigInt(`0x${position.slice(0, half)}`), prepare: BigInt(`0x${position.slice(half)}`) };
};

/** Names the call that wrote an append; stands in the metadata of its first event, and never leaves the adapter. */
const attemptKey = '$nexusAttempt';

/** Custom metadata of an event, as JSON bytes. `attempt` goes with the first event of an append. */
export const metadataBytes = (event: EncodedEvent, attempt: string | undefined): Uint8Array => {
  if (attempt === undefined) return Buffer.from(event.metadata);
  const comma = event.metadata.length > 2 ? ',' : '';
  return Buffer.from(`${event.metadata.slice(0, -1)}${comma}"${attemptKey}":"${attempt}"}`);
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

export const attemptOf = (stored: StoredEvent): unknown =>
  isRecord(stored.metadata) ? stored.metadata[attemptKey] : undefined;

/** The decode boundary: what every writer of this adapter puts into the metadata. */
const isOwnMetadata = (value: unknown): value is Omit<EventMetadata, 'recordedAt'> =>
  isRecord(value) &&
  typeof value.actor === 'string' &&
  typeof value.correlationId === 'string' &&
  typeof value.node === 'string' &&
  typeof value.schema === 'number';

const withoutAttempt = (metadata: Omit<EventMetadata, 'recordedAt'>): Omit<EventMetadata, 'recordedAt'> => {
  if (!(attemptKey in metadata)) return metadata;
  const { [attemptKey]: _, ...own } = metadata;
  return own;
};

/**
 * The event of the log that `stored` holds; undefined for what no hub wrote: events of the server itself (`$` types
 * and streams), links, and events of other applications in the same database.
 */
export const eventOf = (stored: StoredEvent): LogEvent | undefined => {
  if (stored.type.startsWith('$') || stored.stream.startsWith('$')) return undefined;
  if (!stored.isJson || !isOwnMetadata(stored.metadata)) return undefined;
  return {
    id: stored.id,
    stream: asStreamId(stored.stream),
    revision: asRevision(stored.revision),
    position: stored.position,
    type: stored.type,
    data: stored.data,
    metadata: {
      ...withoutAttempt(stored.metadata),
      recordedAt: new Date(stored.recordedMs).toISOString(),
    },
  };
};
