import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LogEvent } from '../../../domain/event.ts';
import { LogError } from '../event-log.ts';
import { inspectDataFile } from './data-file.ts';
import { type IndexStore, openIndexStore } from './index-store.ts';
import { placeOf, sequenceAt } from './place.ts';
import { eventsIn, type Record } from './record.ts';
import type { Records } from './records.ts';
import { createTail, type Tail } from './tail.ts';
import { createTailIds } from './tail-ids.ts';

/** The index: its newest part in memory, the rest on disk, and the flushes between them. */
export type Indexer = {
  readonly tail: Tail;
  readonly store: IndexStore;
  /** Call it after each durable commit: flushes when enough has come together, or some seconds later. */
  committed(): void;
  /** Undefined while memory has room for more; else resolves when it has. */
  room(): Promise<void> | undefined;
  /** Writes everything durable to the index on disk. */
  flush(): Promise<void>;
  /** Marks the index as damaged: it is rebuilt when the log is opened again. */
  condemn(): void;
  /** Stops the timer; flushes are the caller's business. */
  stop(): void;
  close(): Promise<void>;
};

export type IndexerOptions = {
  readonly records: Records;
  readonly directory: string;
  readonly mapSizeBytes: number;
  /** Events in memory that start a flush; four times as many make appends wait for it. */
  readonly flushEvents: number;
  readonly flushAfterMs: number;
  readonly now: () => number;
  readonly watchdogMs: number;
  /** Newest durable sequence. */
  readonly durable: () => number;
  readonly onFailure: (error: LogError) => void;
};

const condemnedFile = 'damaged';
const waitFactor = 4;

const openStore = async (options: IndexerOptions): Promise<IndexStore> => {
  const { directory, records } = options;
  const dataFile = inspectDataFile(directory);
  if (dataFile === 'blank' || dataFile === 'foreign' || existsSync(join(directory, condemnedFile))) {
    rmSync(directory, { recursive: true, force: true });
  }
  const open = async (): Promise<IndexStore | undefined> => {
    mkdirSync(directory, { recursive: true });
    const store = await openIndexStore({
      directory,
      mapSizeBytes: options.mapSizeBytes,
      logId: records.logId,
      nowMs: options.now(),
      watchdogMs: options.watchdogMs,
    });
    if (store === undefined || store.checkpoint <= records.last.sequence) return store;
    // Records from an older backup: what the index says beyond them is not true any more.
    await store.close();
    return undefined;
  };
  const first = await open().catch(() => undefined);
  if (first !== undefined) return first;
  rmSync(directory, { recursive: true, force: true });
  const second = await open();
  if (second === undefined)
    throw new LogError('log_failed', `the index in ${directory} cannot be made`, { directory });
  return second;
};

export const openIndexer = async (options: IndexerOptions): Promise<Indexer> => {
  const { records, directory, flushEvents } = options;
  const store = await openStore(options);
  const tail = createTail(createTailIds(store.checkpoint + 1, store.greatestId), store.streams.lastRevision);
  let flushing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const flushOnce = async (durable: number): Promise<void> => {
    const flush = tail.begin(durable);
    if (flush.ids.length === 0) return;
    await store.write(flush, options.now());
    tail.end(flush);
  };

  const start = (durable: number): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const running = flushOnce(durable).finally(() => {
      if (flushing === running) flushing = undefined;
    });
    flushing = running;
    return running;
  };

  const failed = (error: unknown): void => {
    options.onFailure(
      error instanceof LogError
        ? error
        : new LogError('log_failed', `the index in ${directory} failed`, { directory }, error),
    );
  };

  /** Takes what the records have and the index lacks, oldest first. */
  const catchUp = async (): Promise<void> => {
    const add = async (event: LogEvent, record: Record): Promise<void> => {
      const sequence = sequenceAt(event.position);
      if (sequence <= store.checkpoint) return;
      let head = tail.head(event.stream);
      if (event.revision <= head.revision) return;
      if (event.revision !== head.revision + 1) {
        // The scavenger removed what stood between; places in memory are dense.
        if (head.places.length > 0) await start(sequence - 1);
        head = tail.head(event.stream);
        head.base = event.revision;
      }
      head.revision = event.revision;
      tail.add(
        head,
        tail.kind(head.category, event.type),
        event.id,
        placeOf(sequence, sequence - record.key),
      );
    };
    let next = store.checkpoint + 1;
    while (next <= records.last.sequence) {
      const batch: Record[] = [];
      let count = 0;
      for (const record of records.from(next)) {
        batch.push(record);
        count += record.count;
        if (count >= flushEvents) break;
      }
      if (batch.length === 0) return;
      for (const record of batch) {
        for (const event of eventsIn(record)) {
          await add(event, record);
          next = sequenceAt(event.position) + 1;
        }
      }
      if (tail.ids.size >= flushEvents) await start(next - 1);
    }
  };
  try {
    for (const [category, type] of store.kinds.names()) tail.kind(category, type);
    await catchUp();
  } catch (error) {
    // After a failed write lmdb may never answer again, not even a close.
    if (!(error instanceof LogError) || error.code !== 'log_failed') await store.close();
    throw error;
  }

  return {
    tail,
    store,
    committed() {
      if (stopped || flushing !== undefined || tail.ids.size === 0) return;
      if (tail.ids.size >= flushEvents) {
        start(options.durable()).catch(failed);
        return;
      }
      timer ??= setTimeout(() => {
        timer = undefined;
        if (!stopped && flushing === undefined) start(options.durable()).catch(failed);
      }, options.flushAfterMs).unref();
    },
    room: () => (tail.ids.size < flushEvents * waitFactor ? undefined : flushing?.catch(() => undefined)),
    async flush() {
      while (flushing !== undefined) await flushing;
      try {
        await start(options.durable());
      } catch (error) {
        failed(error);
        throw error;
      }
    },
    condemn() {
      writeFileSync(join(directory, condemnedFile), '');
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
    async close() {
      await flushing?.catch(() => undefined);
      await store.close();
    },
  };
};
