import {
  type AllStreamResolvedEvent,
  BACKWARDS,
  END,
  EventStoreDBClient,
  excludeSystemEvents,
  FORWARDS,
  type ResolvedEvent,
  START,
  type StreamingRead,
} from '@eventstore/db-client';
import type { Position } from '../../../domain/event.ts';
import type { EncodedEvent } from '../encode.ts';
import type { Expected } from '../event-log.ts';
import { createBatchAppender } from './batch.ts';
import { partsOf, type StoredEvent } from './codec.ts';
import { Fault, faultOf } from './fault.ts';
import { closeChannel, openBatchCall, supportsBatchAppend } from './internals.ts';
import { appendPlainly } from './plain-append.ts';
import { storedOf } from './stored.ts';
import { openSubscription, type Subscription } from './subscription.ts';

export type AppendRequest = {
  /** A stream's name; `$$` in front of it for its metadata. */
  readonly stream: string;
  readonly events: readonly EncodedEvent[];
  readonly expected: Expected;
  /** Stored with the first event; absent for metadata. */
  readonly attempt?: string;
};

export type AppendAnswer =
  | {
      readonly type: 'written';
      /** Revision of the last event of the append. */
      readonly last: number;
      /** Its position, when the server told it. */
      readonly position: Position | undefined;
    }
  | { readonly type: 'conflict'; readonly actual: number | undefined };

export type ReadRange<From> = {
  /** Inclusive where the server reads so; the end that `backwards` starts from when absent. */
  readonly from?: From | undefined;
  readonly backwards?: boolean;
  readonly limit: number;
};

const ignore = (): void => undefined;

/** Takes a read to its end; fails when the server is silent for `silenceMs` between two events. */
const collect = async (
  read: StreamingRead<ResolvedEvent> | StreamingRead<AllStreamResolvedEvent>,
  silenceMs: number,
  signal: AbortSignal,
): Promise<StoredEvent[]> => {
  // The client may emit an error once more after the loop has ended; unheard, that would end the process.
  read.on('error', ignore);
  const timer = setTimeout(() => {
    read.destroy(new Fault('unavailable', `the server was silent for ${silenceMs} ms`));
  }, silenceMs);
  const stop = (): void => {
    read.destroy(new Fault('unavailable', 'the log is closing'));
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  const events: StoredEvent[] = [];
  try {
    for await (const resolved of read) {
      timer.refresh();
      const stored = storedOf(resolved);
      if (stored !== undefined) events.push(stored);
    }
    return events;
  } catch (error) {
    if (error instanceof Error && 'type' in error && error.type === 'stream-not-found') return [];
    throw faultOf(error);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    read.cancel().catch(ignore);
  }
};

const connect = (url: string) => {
  const client = EventStoreDBClient.connectionString(url);
  return { client, batches: createBatchAppender(() => openBatchCall(client)) };
};

/**
 * The one client of one log. Nothing is sent before the first call; a lost connection is opened anew by the next one.
 * Every call fails with a `Fault` within the given time; none is tried twice here.
 *
 * @param signal Ends reads and subscriptions at once.
 * @throws {Error} when `url` is no connection string.
 */
export const openClient = (url: string, signal: AbortSignal) => {
  let connection = connect(url);

  /** A client whose feature query has failed repeats that failure for ever; only a new one asks again. */
  const renew = (spoilt: typeof connection): void => {
    if (connection !== spoilt) return;
    connection = connect(url);
    spoilt.batches.close();
    closeChannel(spoilt.client).catch(ignore);
  };

  const knowsBatches = async (used: typeof connection, timeoutMs: number): Promise<boolean> => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        late.reject(new Fault('unavailable', `the server did not say what it can do within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      return await Promise.race([supportsBatchAppend(used.client), late.promise]);
    } catch (error) {
      renew(used);
      throw faultOf(error);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    /** @throws {Fault} `unavailable` means that the outcome is unknown: the events may be written, now or later. */
    append: async (request: AppendRequest, timeoutMs: number): Promise<AppendAnswer> => {
      const used = connection;
      if (await knowsBatches(used, timeoutMs)) return used.batches.append(request, timeoutMs);
      return appendPlainly(used.client, request, timeoutMs);
    },

    /** Events of one stream as it is visible; none when it does not exist. */
    readStream: (stream: string, range: ReadRange<number>, silenceMs: number): Promise<StoredEvent[]> => {
      const read = connection.client.readStream(stream, {
        direction: range.backwards === true ? BACKWARDS : FORWARDS,
        fromRevision:
          range.from === undefined ? (range.backwards === true ? END : START) : BigInt(range.from),
        maxCount: range.limit,
        requiresLeader: true,
      });
      return collect(read, silenceMs, signal);
    },

    /** Events of the whole log, the server's own among them. */
    readAll: (range: ReadRange<Position>, silenceMs: number): Promise<StoredEvent[]> => {
      const read = connection.client.readAll({
        direction: range.backwards === true ? BACKWARDS : FORWARDS,
        fromPosition:
          range.from === undefined ? (range.backwards === true ? END : START) : partsOf(range.from),
        maxCount: range.limit,
        requiresLeader: true,
      });
      return collect(read, silenceMs, signal);
    },

    /** Follows the whole log behind `after` (exclusive), without the server's own events. */
    subscribe: (after: Position | undefined, startMs: number): Subscription =>
      openSubscription(
        connection.client.subscribeToAll(
          { fromPosition: after === undefined ? START : partsOf(after), filter: excludeSystemEvents() },
          { highWaterMark: 256 },
        ),
        startMs,
        signal,
      ),

    close: (): void => {
      connection.batches.close();
      // Not waited for: the client may still be looking for a cluster, which it cannot be told to stop.
      closeChannel(connection.client).catch(ignore);
    },
  };
};

export type EsdbClient = ReturnType<typeof openClient>;
