import { setTimeout as delay } from 'node:timers/promises';
import type { LogEvent, Position, Revision, StreamId } from '../../domain/event.ts';
import type { AnyProjection } from '../../projections/index.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Logger } from '../logger.ts';
import type { Hub } from '../watch/hub.ts';
import { createFolder } from './fold.ts';
import type { ReadChange, ReadStore } from './read-store.ts';
import { wholeTransactions } from './whole-transactions.ts';
import type { WriteBehind } from './write-behind.ts';

/** What a read store says of itself: of which log it is, by which projections, and whether it was ever caught up. */
export type Manifest = {
  readonly format: number;
  readonly logId: string;
  readonly projections: Readonly<Record<string, number>>;
  readonly complete: boolean;
};

/** The newest event that was folded: proof that the log is still the one that was folded. */
type LastFolded = {
  readonly stream: StreamId;
  readonly revision: Revision;
  readonly id: string;
};

const format = 1;
const model = '$runner';
const manifestKey = 'manifest';
const lastKey = 'last';
const foldEvents = 2_000;
const bufferedEvents = 4_096;
const firstRetryMs = 100;
/** What was appended since waits for this, so it is less than a command waits for its own effect. */
const maxRetryMs = 1_000;

export const manifestOf = (
  logId: string,
  projections: readonly AnyProjection[],
  complete: boolean,
): Manifest => ({
  format,
  logId,
  projections: Object.fromEntries(projections.map(({ name, version }) => [name, version])),
  complete,
});

export const readManifest = (store: Pick<ReadStore, 'read'>): Manifest | undefined =>
  store.read<Manifest>(model, manifestKey);

/** Why a store cannot serve `wanted`, or undefined when it can (completeness apart). */
export const mismatch = (found: Manifest | undefined, wanted: Manifest): string | undefined => {
  if (found === undefined) return 'it has no manifest';
  if (found.format !== wanted.format) return `its format is ${found.format}, not ${wanted.format}`;
  if (found.logId !== wanted.logId) return `it is of the log ${found.logId}, not ${wanted.logId}`;
  const names = new Set([...Object.keys(found.projections), ...Object.keys(wanted.projections)]);
  for (const name of names) {
    const [was, is] = [found.projections[name], wanted.projections[name]];
    if (was !== is)
      return `the projection ${name} has version ${is ?? 'none'}, it was folded by ${was ?? 'none'}`;
  }
  return undefined;
};

/** Why the log is not the one that `store` was folded from, or undefined when it is as far as can be known. */
const divergence = async (log: EventLog, store: ReadStore): Promise<string | undefined> => {
  const { checkpoint } = store;
  if (checkpoint === undefined || checkpoint <= log.start) return undefined;
  const head = await log.position();
  if (checkpoint > head) return `its checkpoint ${checkpoint} is beyond the log's head ${head}`;
  const last = store.read<LastFolded>(model, lastKey);
  if (last === undefined) return 'it does not say which event it folded last';
  const [event] = await log.readStream(last.stream, { from: last.revision, limit: 1 });
  if (event === undefined)
    return `the log has no longer what it folded last, ${last.stream} ${last.revision}`;
  // A greater revision: that event was truncated since, and nothing can be told.
  if (event.revision === last.revision && (event.id !== last.id || event.position !== checkpoint)) {
    return `the log has another event at ${checkpoint} than the one that it folded`;
  }
  return undefined;
};

export type GenerationOptions = {
  readonly number: number;
  readonly directory: string;
  readonly store: WriteBehind;
  readonly manifest: Manifest;
  readonly hub: Hub;
  readonly log: EventLog;
  readonly projections: readonly AnyProjection[];
  readonly logger: Logger;
  /** After each batch, once it can be read. */
  readonly onBatch: (generation: Generation, changes: readonly ReadChange[]) => void;
  /** It was seen that the log is another one: nothing of this generation may be served. */
  readonly onDiverged: (generation: Generation, reason: string) => void;
};

/** One read store and the loop that folds the log into it. */
export type Generation = {
  readonly number: number;
  readonly directory: string;
  readonly store: WriteBehind;
  /** Folded and readable up to here, inclusive. */
  readonly position: Position;
  /** True once it was caught up with the log. */
  readonly complete: boolean;
  start(): void;
  /** Ends the loop, writes what waits, closes the store. Idempotent. */
  close(): Promise<void>;
};

export const createGeneration = (options: GenerationOptions): Generation => {
  const { store, hub, log, projections, logger, manifest } = options;
  const fold = createFolder(projections, store);
  const closing = new AbortController();
  let position = store.checkpoint ?? log.start;
  let recordedAtMs = 0;
  let complete = readManifest(store)?.complete ?? false;
  let running: Promise<void> | undefined;

  const take = async (events: readonly LogEvent[]): Promise<void> => {
    const last = events.at(-1);
    if (last === undefined || last.position <= position) return;
    const { changes, forgotten, parked } = fold(events);
    for (const record of parked)
      logger.error({ ...record }, 'a stream is parked: its read model stands still');
    const mark: LastFolded = { stream: last.stream, revision: last.revision, id: last.id };
    recordedAtMs = Date.parse(last.metadata.recordedAt);
    await store.write({
      changes: [...changes, { model, key: lastKey, document: mark }],
      forgotten,
      checkpoint: last.position,
      recordedAtMs,
    });
    position = last.position;
    options.onBatch(generation, changes);
  };

  const finish = async (): Promise<void> => {
    if (complete) return;
    const document: Manifest = { ...manifest, complete: true };
    await store.write({
      changes: [{ model, key: manifestKey, document }],
      checkpoint: position,
      recordedAtMs,
    });
    complete = true;
    options.onBatch(generation, []);
  };

  const follow = async (): Promise<void> => {
    const reason = await divergence(log, store);
    if (closing.signal.aborted) return;
    if (reason !== undefined) {
      options.onDiverged(generation, reason);
      return;
    }
    const watch = hub.watch({
      filter: { all: true },
      after: position,
      signal: closing.signal,
      gaps: false,
      maxBatchEvents: foldEvents,
      maxBufferedEvents: bufferedEvents,
    });
    let held: readonly LogEvent[] = [];
    for await (const part of watch) {
      if (closing.signal.aborted) return;
      if (part.type === 'items') {
        const { whole, rest } = wholeTransactions(held.length === 0 ? part.items : [...held, ...part.items]);
        held = rest;
        await take(whole);
      } else if (part.type === 'caughtUp') await finish();
    }
  };

  const run = async (): Promise<void> => {
    let told = '';
    for (let waitMs = firstRetryMs; !closing.signal.aborted; waitMs = Math.min(maxRetryMs, waitMs * 2)) {
      const before = position;
      try {
        await follow();
        return;
      } catch (error) {
        if (closing.signal.aborted) return;
        if (position !== before) {
          waitMs = firstRetryMs;
          told = '';
        }
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== told) logger.warn({ error, position }, 'folding the log failed; trying again');
        told = reason;
      }
      await delay(waitMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  };

  const generation: Generation = {
    number: options.number,
    directory: options.directory,
    store,
    get position() {
      return position;
    },
    get complete() {
      return complete;
    },
    start() {
      running ??= run();
    },
    async close() {
      closing.abort();
      await store.close();
      await running;
    },
  };
  return generation;
};

/** Writes the manifest of a new, empty store. */
export const writeManifest = (store: ReadStore, manifest: Manifest, start: Position): Promise<void> =>
  store.write({
    changes: [{ model, key: manifestKey, document: manifest }],
    checkpoint: start,
    recordedAtMs: 0,
  });
