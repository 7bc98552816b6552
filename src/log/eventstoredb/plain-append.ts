import { type AppendExpectedRevision, type EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import type { EncodedEvent } from '../encode.ts';
import type { Expected } from '../event-log.ts';
import type { AppendAnswer, AppendRequest } from './client.ts';
import { metadataBytes, positionOf } from './codec.ts';
import { Fault, faultOf } from './fault.ts';

const revisionOf = (expected: Expected): AppendExpectedRevision => {
  if (expected === 'none') return 'no_stream';
  if (expected === 'exists') return 'stream_exists';
  return expected === 'any' ? 'any' : BigInt(expected);
};

// The client makes the same JSON again from what was parsed; metadata goes as the bytes that it is.
const eventOf = (event: EncodedEvent, attempt: string | undefined) =>
  jsonEvent({
    id: event.id,
    type: event.type,
    data: JSON.parse(event.data),
    metadata: Uint8Array.from(metadataBytes(event, attempt)),
  });

const conflictOf = (error: unknown): AppendAnswer | undefined => {
  if (!(error instanceof Error && 'type' in error && error.type === 'wrong-expected-version'))
    return undefined;
  const actual = 'actualVersion' in error ? error.actualVersion : undefined;
  return {
    type: 'conflict',
    actual: typeof actual === 'bigint' && actual >= 0n ? Number(actual) : undefined,
  };
};

/** One append by the older call, for servers without BatchAppend: a call of its own each, several times slower. */
export const appendPlainly = async (
  client: EventStoreDBClient,
  request: AppendRequest,
  timeoutMs: number,
): Promise<AppendAnswer> => {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Fault('unavailable', `no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    const events = request.events.map((event, index) =>
      eventOf(event, index === 0 ? request.attempt : undefined),
    );
    const result = await Promise.race([
      client.appendToStream(request.stream, events, {
        expectedRevision: revisionOf(request.expected),
        requiresLeader: true,
        deadline: timeoutMs,
      }),
      late.promise,
    ]);
    if (!result.success) {
      const actual = Number(result.nextExpectedRevision);
      return { type: 'conflict', actual: actual < 0 ? undefined : actual };
    }
    const { position } = result;
    return {
      type: 'written',
      last: Number(result.nextExpectedRevision),
      position: position === undefined ? undefined : positionOf(position.commit, position.prepare),
    };
  } catch (error) {
    const conflict = conflictOf(error);
    if (conflict !== undefined) return conflict;
    throw faultOf(error);
  } finally {
    clearTimeout(timer);
  }
};
