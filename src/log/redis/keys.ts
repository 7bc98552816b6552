import { asPosition, categoryOf, type Position, type StreamId } from '../../../domain/event.ts';

/** Names of what the log keeps in Redis (docs/adr/0004-redis-log.md); all begin with the prefix. */
export type Keys = {
  readonly prefix: string;
  /** Stream of all events, ids `{sequence}-0`. */
  readonly log: string;
  /** Hash: epoch of the history, newest sequence, its time and day. */
  readonly meta: string;
  /** Hash: stream → revision and sequence of its newest event. */
  readonly heads: string;
  /** Hash: stream → first visible revision and first revision that was not removed. */
  readonly marks: string;
  /** Set: every `{type} {category}` that has events. */
  readonly kinds: string;
  /** Set: streams with truncated events that were not scavenged yet. */
  readonly pending: string;
};

export const createKeys = (prefix: string): Keys => ({
  prefix,
  log: `${prefix}log`,
  meta: `${prefix}meta`,
  heads: `${prefix}heads`,
  marks: `${prefix}marks`,
  kinds: `${prefix}kinds`,
  pending: `${prefix}pending`,
});

export const kindOf = (type: string, stream: StreamId): string => `${type} ${categoryOf(stream)}`;

export const positionOf = (sequence: number): Position => asPosition(sequence.toString(16).padStart(16, '0'));

/** Position before the first event. */
export const startPosition: Position = positionOf(0);

/** The sequence of one of this log's positions, undefined for a text that is none. */
export const sequenceOf = (position: Position): number | undefined => {
  const sequence = /^[0-9a-f]{16}$/.test(position) ? Number.parseInt(position, 16) : Number.NaN;
  return Number.isSafeInteger(sequence) ? sequence : undefined;
};
