import { type StreamId, streamId, streamKey } from '../event.ts';
import type { TopicTrimmedEvent } from './retention.ts';

/**
 * Versions of a state key were removed, in the stream `trim-state/{key}`, of which the newest event is kept. It is
 * recorded before they are hidden.
 */
export type StateTrimmedEvent = {
  readonly type: 'StateTrimmed';
  readonly data: {
    readonly key: string;
    /** Revision of the oldest event that is left: versions up to this number are gone. */
    readonly before: number;
    /** Position of the newest event that was removed. */
    readonly position: string;
  };
};

export type TrimmedEvent = TopicTrimmedEvent | StateTrimmedEvent;

const keyPrefix = 'state/';
const statePrefix = 'state-';

/** The id of a state key's record; a topic's is the topic, which has no slash. */
export const trimIdOfKey = (key: string): string => `${keyPrefix}${key}`;

/** The state key that a record is of, or undefined when it is of a topic. */
export const keyOfTrimId = (trimId: string): string | undefined =>
  trimId.startsWith(keyPrefix) ? trimId.slice(keyPrefix.length) : undefined;

/** The id of the record of `stream`, a topic's or a state key's. */
export const trimIdOf = (stream: StreamId): string =>
  stream.startsWith(statePrefix) ? trimIdOfKey(streamKey(stream)) : streamKey(stream);

/** The stream that a record is of. */
export const trimmedStream = (trimId: string): StreamId => {
  const key = keyOfTrimId(trimId);
  return key === undefined ? streamId('topic', trimId) : streamId('state', key);
};
