import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asRevision } from '../../domain/event.ts';
import { lockDirectory } from './directory-lock.ts';
import { createAppender } from './embedded/appender.ts';
import { atMost } from './embedded/at-most.ts';
import { createCommitter } from './embedded/committer.ts';
import { nothingAppended } from './embedded/group.ts';
import { openIndexer } from './embedded/indexer.ts';
import { createMarks } from './embedded/marks.ts';
import { positionOf } from './embedded/place.ts';
import { createReader } from './embedded/reader.ts';
import { createRecent } from './embedded/recent.ts';
import { openRecords, type Records } from './embedded/records.ts';
import { type Freed, scavengeLog } from './embedded/scavenge.ts';
import { createSpace } from './embedded/space.ts';
import { watchLog } from './embedded/watch.ts';
import { checkStream } from './encode.ts';
import { type EventLog, LogError } from './event-log.ts';

export type EmbeddedLogOptions = {
  /** Made when it does not exist; one process at a time. */
  readonly directory: string;
  /** Greatest size of the records on disk; the file grows as it needs. 256 GiB unless given. */
  readonly mapSizeBytes?: number;
  /** Room that stays free on the disk; an append that would touch it is refused as `log_full`. 64 MiB unless given. */
  readonly reserveBytes?: number;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** Called once when a write failed: nothing was or will be acknowledged after it, and the process must end. */
  readonly onFailure?: (error: LogError) => void;
  /** How long a write may take before it counts as failed; 2,000 ms unless given. */
  readonly watchdogMs?: number;
  /** Events that are indexed in memory before they are indexed on disk; 16,384 unless given. */
  readonly flushEvents?: number;
  /** True loses acknowledged events in a power cut: only for the control of a test. */
  readonly noSync?: boolean;
};

const defaultMapBytes = 256 * 2 ** 30;
/** The index keeps the ids of two days also of events that were scavenged. */
const indexShare = 2;
const minIndexMapBytes = 2 ** 30;
const defaultReserveBytes = 64 * 2 ** 20;
const defaultWatchdogMs = 2_000;
const defaultFlushEvents = 16_384;
const flushAfterMs = 5_000;
const closeWithinMs = 5_000;

/**
 * Opens the event log in a folder of its own: LMDB, group commit, durable before it is answered
 * (docs/adr/0003-embedded-log.md). Opening after a crash needs no repair step.
 *
 * @throws {LogError} `log_failed` when another process has the folder open or it cannot be opened, `log_corrupt`.
 */
export const openEmbeddedLog = async (options: EmbeddedLogOptions): Promise<EventLog> => {
  const directory = resolvePath(options.directory);
  const clock = options.clock ?? Date.now;
  mkdirSync(directory, { recursive: true });
  const lock = await lockDirectory(directory, 'the event log');
  let opened: Records | undefined;
  try {
    const records = openRecords(
      {
        directory: join(directory, 'records'),
        mapSizeBytes: options.mapSizeBytes ?? defaultMapBytes,
        noSync: options.noSync ?? false,
        watchdogMs: options.watchdogMs ?? defaultWatchdogMs,
      },
      randomUUID,
    );
    opened = records;
    return await assemble({ ...options, directory }, records, clock, lock.release);
  } catch (error) {
    if (error instanceof LogError && error.code === 'log_failed') {
      // After a failed write lmdb may never answer again, not even a close.
      await lock.release();
      throw error;
    }
    await opened?.close();
    await lock.release();
    if (error instanceof LogError) throw error;
    throw new LogError('log_failed', `the event log in ${directory} cannot be opened`, { directory }, error);
  }
};

const assemble = async (
  options: EmbeddedLogOptions,
  records: Records,
  clock: () => number,
  unlock: () => Promise<void>,
): Promise<EventLog> => {
  const { directory } = options;
  const wakers = new Set<() => void>();
  const wakeAll = (): void => {
    for (const wake of [...wakers]) wake();
  };
  const marks = createMarks(records.marks());
  const recent = createRecent();
  let closed = false;
  let closing: Promise<void> | undefined;
  const closingNow = new AbortController();
  let scavenging: Promise<Freed> | undefined;

  const indexer = await openIndexer({
    records,
    directory: join(directory, 'index'),
    mapSizeBytes: Math.max((options.mapSizeBytes ?? defaultMapBytes) * indexShare, minIndexMapBytes),
    flushEvents: options.flushEvents ?? defaultFlushEvents,
    flushAfterMs,
    now: clock,
    watchdogMs: options.watchdogMs ?? defaultWatchdogMs,
    durable: () => committer.durable,
    onFailure: (error) => committer.fail(error),
  });
  const committer = createCommitter({
    records,
    beforeWrite: () => indexer.room(),
    onDurable: (group) => {
      recent.push(group.records);
      for (const [stream, mark] of group.marks) marks.settle(stream, mark);
      indexer.committed();
      wakeAll();
    },
    onFailure: (error) => {
      indexer.stop();
      wakeAll();
      options.onFailure?.(error);
    },
  });
  const durable = (): number => committer.durable;
  const reader = createReader({ records, indexer, marks, durable });
  const space = createSpace({ records, reserveBytes: options.reserveBytes ?? defaultReserveBytes });
  const appender = createAppender({ records, indexer, reader, committer, space, clock });

  const checkOpen = (): void => {
    if (closed) throw new LogError('log_closed', `the event log in ${directory} is closed`, { directory });
  };
  const checkWritable = (): void => {
    checkOpen();
    if (committer.failure !== undefined) throw committer.failure;
  };
  /** Runs a synchronous read as a promise; remembers a damaged index, so that the next start rebuilds it. */
  const answer = async <Value>(read: () => Value): Promise<Value> => {
    checkOpen();
    try {
      return read();
    } catch (error) {
      if (
        error instanceof LogError &&
        error.code === 'log_corrupt' &&
        error.facts.directory === indexer.store.directory
      ) {
        indexer.condemn();
      }
      throw error;
    }
  };

  const closeNow = async (): Promise<void> => {
    closingNow.abort();
    await atMost(committer.idle(), closeWithinMs);
    indexer.stop();
    if (committer.failure === undefined) {
      await atMost(indexer.flush(), closeWithinMs);
    }
    // After a failed write lmdb may never answer again, not even a close.
    if (committer.failure === undefined) {
      await atMost(Promise.all([indexer.close(), records.close()]), closeWithinMs);
    }
    await unlock();
  };

  return {
    kind: 'embedded',
    durability: {
      durable: options.noSync !== true,
      note:
        options.noSync === true
          ? 'noSync: a power cut loses acknowledged events'
          : 'every append is on disk (fdatasync) before it is acknowledged',
    },
    start: positionOf(0),
    get reachable() {
      return !closed && committer.failure === undefined;
    },
    append(stream, events, expected) {
      try {
        checkWritable();
        return appender.append(stream, events, expected);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    appendAll(parts) {
      try {
        checkWritable();
        return appender.appendAll(parts);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    readStream: (stream, readOptions) => answer(() => reader.stream(stream, readOptions)),
    async readAll(readOptions) {
      checkOpen();
      // Someone who pages through a long history must not keep everyone else from their turn.
      await nextTurn();
      return answer(() => reader.all(readOptions));
    },
    watch: (watchOptions) =>
      watchLog(
        { reader, recent, marks, durable, closed: () => closed, failure: () => committer.failure, wakers },
        watchOptions,
      ),
    head: (stream) => answer(() => reader.head(stream)),
    position: () => answer(() => positionOf(committer.durable)),
    async truncate(stream, before) {
      checkWritable();
      checkStream(stream);
      const { revision } = indexer.tail.peek(stream);
      const clamped = Math.min(asRevision(before), revision);
      if (clamped <= marks.before(stream)) return;
      const group = committer.open();
      await new Promise<void>((resolve, reject) => {
        group.marks.set(stream, marks.raise(stream, { before: clamped, freed: 0 }));
        group.waiters.push({ resolve: () => resolve(), reject, result: nothingAppended });
        committer.schedule();
      });
    },
    async scavenge(scavengeOptions) {
      checkWritable();
      const signal = scavengeOptions?.signal;
      const signals = signal === undefined ? [closingNow.signal] : [closingNow.signal, signal];
      // One at a time: whoever asks meanwhile gets the same answer.
      scavenging ??= scavengeLog({
        records,
        indexer,
        marks,
        recent,
        committer,
        signal: AbortSignal.any(signals),
      }).finally(() => {
        scavenging = undefined;
      });
      return scavenging;
    },
    close() {
      closed = true;
      wakeAll();
      closing ??= closeNow();
      return closing;
    },
  };
};
