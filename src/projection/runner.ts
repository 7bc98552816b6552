import { setTimeout as delay } from 'node:timers/promises';
import type { Position } from '../../domain/event.ts';
import type { AnyProjection } from '../../projections/index.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Logger } from '../logger.ts';
import type { Hub } from '../watch/hub.ts';
import { listParked, type Parked } from './fold.ts';
import { createGeneration, type Generation, manifestOf, writeManifest } from './generation.ts';
import { findGeneration, generationDirectory, markDamaged, removeGeneration } from './generations.ts';
import { type LmdbReadStore, openLmdbReadStore } from './lmdb.ts';
import type { ReadChange, ReadStore } from './read-store.ts';
import { ReadStoreFull } from './room.ts';
import { createWaiters } from './waiters.ts';
import { createWriteBehind, type WriteBehind } from './write-behind.ts';

export type { Parked } from './fold.ts';

export type RunnerOptions = {
  readonly hub: Hub;
  readonly log: EventLog;
  /** Identity of the log: read models of another one are discarded. */
  readonly logId: string;
  /** Holds one folder `generation-N` per generation; may be deleted at any time while the hub is down. */
  readonly directory: string;
  readonly projections: readonly AnyProjection[];
  readonly logger: Logger;
  /** A write of the read models failed, or hangs: nothing more is folded, and the process must end. */
  readonly onFailure?: (error: Error) => void;
};

/**
 * Folds the log into the read models: each event once, in order, with the checkpoint in the transaction of what it
 * changed (docs/adr/0006-runner-and-read-models.md).
 */
export type Runner = {
  /** The current read models; the same object all the time, whatever generation is behind it. Not for writing. */
  readonly store: ReadStore;
  /** Everything at or before it is folded and can be read. */
  readonly position: Position;
  /** False while nothing complete can be served: the read models are being built for the first time. */
  readonly ready: boolean;
  /** `rebuilding`: a new generation is being built (`ready` says whether an old one serves meanwhile). */
  readonly status: 'rebuilding' | 'live' | 'behind';
  /** Dispatched events that are not folded yet: exact while few, else at least so many. */
  readonly lagEvents: number;
  /** The same per projection, for /health. */
  progress(): readonly { readonly name: string; readonly position: Position; readonly lagEvents: number }[];
  /** True once `position` is folded and can be read; false after `timeoutMs`, or when the runner closes. */
  reached(position: Position, timeoutMs: number): Promise<boolean>;
  /** Streams that stand still for a projection, at most 1,000 of them. */
  parked(): readonly Parked[];
  /** Folds the whole log anew beside the current read models, then swaps. Joins a rebuild that is under way. */
  rebuild(): Promise<void>;
  /**
   * Calls `listener` after each batch that can be read with what it changed, in log order: also what is folded again
   * after a start or a rebuild. It must not throw. Returns how to stop it.
   */
  onFolded(listener: (changes: readonly ReadChange[], position: Position) => void): () => void;
  /** Calls `listener` whenever other read models serve from then on, as those before may have been damaged. */
  onSwapped(listener: () => void): void;
  /** SHA-256 of all documents and their history, once all that was folded is written. */
  contentHash(): Promise<string>;
  close(): Promise<void>;
};

const liveWithinEvents = 1_000;
const firstRetryMs = 1_000;
const maxRetryMs = 60_000;

/** Opens the read models in `directory` and begins to fold; does not wait for the log. */
export const openRunner = async (options: RunnerOptions): Promise<Runner> => {
  const { hub, log, logId, directory, projections, logger, onFailure = () => {} } = options;
  const begun = manifestOf(logId, projections, false);
  const waiters = createWaiters();
  const listeners = new Set<(changes: readonly ReadChange[], position: Position) => void>();
  const swapListeners: (() => void)[] = [];
  const closing = new AbortController();
  const lower = new Map<ReadStore, LmdbReadStore>();
  /** What was thrown away, while it is being closed and deleted. */
  const retiring = new Set<Promise<void>>();

  let serving: Generation;
  let building: { readonly generation: Generation; readonly done: PromiseWithResolvers<void> } | undefined;
  let rebuilding: Promise<void> | undefined;
  let nextNumber = 1;

  const openStore = (folder: string): Promise<LmdbReadStore> =>
    openLmdbReadStore({ directory: folder, onDamaged: (error) => unusable(folder, error), onFailure });

  /** A generation met damage: it is replaced, and serves what it can meanwhile. */
  const unusable = (folder: string, error: Error): void => {
    if (closing.signal.aborted) return;
    if (building?.generation.directory === folder) {
      building.done.reject(error);
      return;
    }
    if (serving?.directory !== folder || rebuilding !== undefined) return;
    logger.error(
      { error, generation: serving.number },
      'read models are damaged: rebuilding them from the log',
    );
    markDamaged(folder, error.message).catch((failure: unknown) => {
      logger.warn({ error: failure }, 'the damage could not be noted');
    });
    rebuild().catch(() => undefined);
  };

  const inFront = (folder: string, store: LmdbReadStore): WriteBehind => {
    const front = createWriteBehind(store, {
      onFailed: (error, failures) => {
        if (error instanceof ReadStoreFull) {
          logger.warn({ reason: error.message, failures, folder }, 'the read models wait for room');
        } else logger.error({ error, folder }, 'the read models cannot be written');
      },
    });
    lower.set(front, store);
    return front;
  };

  const generationOf = (number: number, folder: string, store: LmdbReadStore): Generation =>
    createGeneration({
      number,
      directory: folder,
      store: inFront(folder, store),
      manifest: begun,
      hub,
      log,
      projections,
      logger,
      onBatch,
      onDiverged,
    });

  const makeGeneration = async (): Promise<Generation> => {
    const number = nextNumber++;
    const folder = generationDirectory(directory, number);
    await removeGeneration(folder);
    const store = await openStore(folder);
    try {
      await writeManifest(store, begun, log.start);
    } catch (error) {
      await store.close();
      throw error;
    }
    return generationOf(number, folder, store);
  };

  const retire = (generation: Generation): void => {
    const done = (async () => {
      await generation.close();
      lower.delete(generation.store);
      await removeGeneration(generation.directory);
    })()
      .catch((error: unknown) => {
        logger.warn({ error, generation: generation.number }, 'old read models could not be deleted');
      })
      .finally(() => retiring.delete(done));
    retiring.add(done);
  };

  const swapTo = (generation: Generation): void => {
    const old = serving;
    serving = generation;
    retire(old);
    for (const listener of swapListeners) listener();
    waiters.release(serving.position);
  };

  const onBatch = (generation: Generation, changes: readonly ReadChange[]): void => {
    if (generation === serving) {
      if (changes.length > 0) for (const listener of listeners) listener(changes, generation.position);
      waiters.release(generation.position);
    }
    // Also when the old one has just folded the last event that the new one waited for.
    if (building?.generation.complete && building.generation.position >= serving.position) {
      const { generation: ready, done } = building;
      building = undefined;
      swapTo(ready);
      done.resolve();
    }
  };

  /** The log is another one: what was folded is of events that do not exist, and must not be served. */
  const onDiverged = (generation: Generation, reason: string): void => {
    if (closing.signal.aborted) return;
    logger.error(
      { generation: generation.number, reason },
      'the read models do not fit the log: building them anew',
    );
    if (generation !== serving) {
      building?.done.reject(new Error(reason));
      return;
    }
    startOver().catch((error: unknown) => {
      logger.error({ error }, 'new read models could not be made');
    });
  };

  const startOver = async (): Promise<void> => {
    const generation = await makeGeneration();
    building?.done.reject(new Error('the read models are built anew'));
    swapTo(generation);
    generation.start();
  };

  const buildOnce = async (): Promise<void> => {
    const generation = await makeGeneration();
    const done = Promise.withResolvers<void>();
    building = { generation, done };
    const giveUp = (): void => done.reject(new Error('the runner was closed'));
    closing.signal.addEventListener('abort', giveUp, { once: true });
    try {
      generation.start();
      await done.promise;
    } catch (error) {
      building = undefined;
      retire(generation);
      throw error;
    } finally {
      closing.signal.removeEventListener('abort', giveUp);
    }
  };

  const build = async (): Promise<void> => {
    const startedMs = performance.now();
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(maxRetryMs, waitMs * 2)) {
      try {
        await buildOnce();
        const seconds = Math.round(performance.now() - startedMs) / 1_000;
        logger.info({ generation: serving.number, seconds }, 'the read models were rebuilt');
        return;
      } catch (error) {
        if (closing.signal.aborted) throw error;
        logger.error({ error, retryMs: waitMs }, 'rebuilding the read models failed; trying again');
      }
      await delay(waitMs, undefined, { signal: closing.signal });
    }
  };

  const rebuild = (): Promise<void> => {
    if (closing.signal.aborted) return Promise.reject(new Error('the runner is closed'));
    rebuilding ??= build().finally(() => {
      rebuilding = undefined;
    });
    return rebuilding;
  };

  const { found, next } = await findGeneration(directory, begun, openStore, logger);
  nextNumber = next;
  serving =
    found === undefined ? await makeGeneration() : generationOf(found.number, found.directory, found.store);
  serving.start();

  const lagEvents = (): number => hub.countAfter(serving.position);

  const store: ReadStore = {
    get checkpoint() {
      return serving.store.checkpoint;
    },
    read: (model, key) => serving.store.read(model, key),
    range: (model, range) => serving.store.range(model, range),
    history: (model, key, before) => serving.store.history(model, key, before),
    at: (model, key, position) => serving.store.at(model, key, position),
    oldest: (model, key, after) => serving.store.oldest(model, key, after),
    sampleAt: (timeMs) => serving.store.sampleAt(timeMs),
    write: () => Promise.reject(new Error('only the runner writes read models')),
    close: () => Promise.resolve(),
  };

  return {
    store,
    get position() {
      return serving.position;
    },
    get ready() {
      return serving.complete;
    },
    get status() {
      if (!serving.complete || rebuilding !== undefined) return 'rebuilding';
      return hub.following && lagEvents() <= liveWithinEvents ? 'live' : 'behind';
    },
    get lagEvents() {
      return lagEvents();
    },
    progress: () =>
      projections.map(({ name }) => ({ name, position: serving.position, lagEvents: lagEvents() })),
    reached: (position, timeoutMs) => {
      if (serving.position >= position) return Promise.resolve(true);
      if (closing.signal.aborted || timeoutMs <= 0) return Promise.resolve(false);
      return waiters.wait(position, timeoutMs);
    },
    parked: () => listParked(serving.store),
    rebuild,
    onFolded(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    onSwapped: (listener) => void swapListeners.push(listener),
    async contentHash() {
      const { store: front } = serving;
      await front.flush();
      return lower.get(front)?.contentHash() ?? '';
    },
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      waiters.close();
      listeners.clear();
      await rebuilding?.catch(() => undefined);
      await serving.close();
      await Promise.all(retiring);
    },
  };
};
