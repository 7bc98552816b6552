import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Position } from '../../domain/event.ts';
import type { Forgotten } from '../../projections/projection.ts';
import { byBytes } from '../by-bytes.ts';
import { roughBytes } from '../rough-bytes.ts';
import type { Past, RangeOptions, ReadBatch, ReadChange, ReadStore } from './read-store.ts';
import { ReadStoreFull } from './room.ts';

export type WriteBehindOptions = {
  /** Greatest time that a batch waits before it is handed to the store below; 25 unless given. */
  readonly flushAfterMs?: number;
  /** Changes that are worth a write of their own at once; 1,024 unless given. */
  readonly flushAtChanges?: number;
  /** Changes and bytes that may wait: `write` resolves later then. 8,192 and 16 MiB unless given. */
  readonly maxChanges?: number;
  readonly maxBytes?: number;
  /**
   * Told of each write below that failed. One for which there was no room is tried again a little later; after any other,
   * nothing is written until `close`.
   */
  readonly onFailed?: (error: unknown, failures: number) => void;
};

/** A read store in whose front the newest batches stand in memory until they are written below, together. */
export type WriteBehind = ReadStore & {
  /** Resolves once all that was written before the call stands in the store below. */
  flush(): Promise<void>;
  readonly waitingChanges: number;
};

/** Batches that were taken together: what they changed, and how far they reach. */
type Layer = {
  /** Newest document by model and key, of changes without history. */
  readonly plain: Map<string, Map<string, unknown>>;
  /** Documents by model and key in the order of their positions, of changes with history. */
  readonly pasts: Map<string, Map<string, Past<unknown>[]>>;
  /** Up to where the history of model and key is gone, here and below. */
  readonly forgotten: Map<string, Map<string, Position>>;
  checkpoint: Position;
  recordedAtMs: number;
  changes: number;
  bytes: number;
};

const firstRetryMs = 100;
const maxRetryMs = 10_000;
const maxWeight = 2_000_000;

const layerAt = (checkpoint: Position): Layer => ({
  plain: new Map(),
  pasts: new Map(),
  forgotten: new Map(),
  checkpoint,
  recordedAtMs: 0,
  changes: 0,
  bytes: 0,
});

const ofModel = <Value>(maps: Map<string, Map<string, Value>>, model: string): Map<string, Value> => {
  let map = maps.get(model);
  if (map === undefined) {
    map = new Map();
    maps.set(model, map);
  }
  return map;
};

const forget = (layer: Layer, { model, key, to }: Forgotten): void => {
  const floors = ofModel(layer.forgotten, model);
  const floor = floors.get(key);
  if (floor !== undefined && floor >= to) return;
  if (floor === undefined) layer.changes++;
  floors.set(key, to);
  const pasts = layer.pasts.get(model);
  const list = pasts?.get(key);
  // The newest document is the current one, which stays.
  const first = list?.findIndex(({ position }, index) => position > to || index === list.length - 1);
  if (list !== undefined && first !== undefined && first > 0) pasts?.set(key, list.slice(first));
};

const addToLayer = (layer: Layer, batch: ReadBatch): void => {
  for (const { model, key, document, historyAt } of batch.changes) {
    layer.bytes += 64 + roughBytes(document, maxWeight);
    if (historyAt === undefined) {
      const documents = ofModel(layer.plain, model);
      if (!documents.has(key)) layer.changes++;
      documents.set(key, document);
      continue;
    }
    layer.changes++;
    const pasts = ofModel(layer.pasts, model);
    const past = { position: historyAt, document };
    const list = pasts.get(key);
    if (list === undefined) pasts.set(key, [past]);
    else list.push(past);
  }
  for (const change of batch.forgotten ?? []) forget(layer, change);
  layer.checkpoint = batch.checkpoint;
  layer.recordedAtMs = batch.recordedAtMs;
};

const batchOf = (layer: Layer): ReadBatch => {
  const changes: ReadChange[] = [];
  for (const [model, pasts] of layer.pasts) {
    for (const [key, list] of pasts) {
      for (const { position, document } of list) changes.push({ model, key, document, historyAt: position });
    }
  }
  for (const [model, documents] of layer.plain) {
    for (const [key, document] of documents) changes.push({ model, key, document });
  }
  const forgotten: Forgotten[] = [];
  for (const [model, floors] of layer.forgotten)
    for (const [key, to] of floors) forgotten.push({ model, key, to });
  return { changes, forgotten, checkpoint: layer.checkpoint, recordedAtMs: layer.recordedAtMs };
};

/** Null for a document that was removed, undefined for one that the layer knows nothing of. */
const inLayer = (layer: Layer, model: string, key: string): unknown =>
  layer.pasts.get(model)?.get(key)?.at(-1)?.document ?? layer.plain.get(model)?.get(key);

const later = (left: Position | undefined, right: Position | undefined): Position | undefined =>
  left === undefined || (right !== undefined && right > left) ? right : left;

/**
 * Puts memory in front of `store`: a batch is visible at once, and is written below with those that came beside it.
 *
 * One write at a time goes below, each with its own checkpoint, so what a crash leaves is always a state that the
 * log can be replayed onto. Documents are handed out as they were written: they must not be mutated.
 */
export const createWriteBehind = (
  store: ReadStore,
  {
    flushAfterMs = 25,
    flushAtChanges = 1_024,
    maxChanges = 8_192,
    maxBytes = 16 * 1_048_576,
    onFailed,
  }: WriteBehindOptions = {},
): WriteBehind => {
  /** Takes new batches. */
  let fresh: Layer | undefined;
  /** Is being written below. */
  let leaving: Layer | undefined;
  let flushing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const closing = new AbortController();

  /** Newest first. */
  const layers = (): Layer[] => [fresh, leaving].filter((layer) => layer !== undefined);

  const writeBelow = async (batch: ReadBatch): Promise<void> => {
    let waitMs = firstRetryMs;
    for (let failures = 1; ; failures++) {
      try {
        await store.write(batch);
        return;
      } catch (error) {
        onFailed?.(error, failures);
        if (closing.signal.aborted) throw error;
        if (!(error instanceof ReadStoreFull)) {
          // Memory serves what it holds until whoever was told closes this store.
          await once(closing.signal, 'abort');
          throw error;
        }
      }
      await delay(waitMs, undefined, { signal: closing.signal }).catch(() => undefined);
      waitMs = Math.min(maxRetryMs, waitMs * 2);
    }
  };

  const startFlush = (): void => {
    if (flushing !== undefined || fresh === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    leaving = fresh;
    fresh = undefined;
    flushing = writeBelow(batchOf(leaving)).then(
      () => {
        leaving = undefined;
        flushing = undefined;
        scheduleFlush();
      },
      (error: unknown) => {
        flushing = undefined;
        throw error;
      },
    );
    // Whoever waits for it is told; a failure that nobody waits for was told to `onFailed`.
    flushing.catch(() => undefined);
  };

  const scheduleFlush = (): void => {
    if (fresh === undefined || flushing !== undefined) return;
    if (fresh.changes >= flushAtChanges || fresh.bytes >= maxBytes) startFlush();
    else timer ??= setTimeout(startFlush, flushAfterMs).unref();
  };

  const flush = async (): Promise<void> => {
    while (fresh !== undefined || flushing !== undefined) {
      startFlush();
      await flushing;
    }
  };

  const keysOf = (model: string, prefix: string, after: string | undefined): Map<string, unknown> => {
    const found = new Map<string, unknown>();
    const offer = (key: string, document: unknown): void => {
      if (found.has(key) || !key.startsWith(prefix)) return;
      if (after === undefined || byBytes(key, after) > 0) found.set(key, document);
    };
    for (const layer of layers()) {
      for (const [key, list] of layer.pasts.get(model) ?? []) offer(key, list.at(-1)?.document);
      for (const [key, document] of layer.plain.get(model) ?? []) offer(key, document);
    }
    return found;
  };

  return {
    get checkpoint() {
      return fresh?.checkpoint ?? leaving?.checkpoint ?? store.checkpoint;
    },
    get waitingChanges() {
      return (fresh?.changes ?? 0) + (leaving?.changes ?? 0);
    },
    // What stands under a model's name is what its projection has put there.
    read<Document>(model: string, key: string) {
      for (const layer of layers()) {
        const document = inLayer(layer, model, key);
        if (document === null) return undefined;
        if (document !== undefined) return document as Document;
      }
      return store.read<Document>(model, key);
    },
    *range<Document>(model: string, options: RangeOptions = {}) {
      const front = keysOf(model, options.prefix ?? '', options.after);
      const keys = [...front.keys()].sort(byBytes);
      let next = 0;
      /** What stands in front before `end`, with `end` itself; to the last one when it is undefined. */
      function* inFrontTo(end: string | undefined): Generator<readonly [key: string, document: Document]> {
        for (let key = keys[next]; key !== undefined; key = keys[++next]) {
          if (end !== undefined && byBytes(key, end) > 0) return;
          const document = front.get(key);
          if (document !== null) yield [key, document as Document] as const;
        }
      }
      for (const entry of store.range<Document>(model, options)) {
        yield* inFrontTo(entry[0]);
        if (!front.has(entry[0])) yield entry;
      }
      yield* inFrontTo(undefined);
    },
    *history<Document>(model: string, key: string, before?: Position) {
      let oldest = before;
      let floor: Position | undefined;
      for (const layer of layers()) {
        floor = later(floor, layer.forgotten.get(model)?.get(key));
        const list = layer.pasts.get(model)?.get(key) ?? [];
        for (const past of list.toReversed()) {
          if (oldest !== undefined && past.position >= oldest) continue;
          if (floor !== undefined && past.position <= floor) return;
          oldest = past.position;
          yield past as Past<Document>;
        }
      }
      // A commit can be visible below a moment before its write resolves: not what was handed out already.
      for (const past of store.history<Document>(model, key, oldest)) {
        if (floor !== undefined && past.position <= floor) return;
        yield past;
      }
    },
    at<Document>(model: string, key: string, position: Position) {
      let floor: Position | undefined;
      for (const layer of layers()) {
        floor = later(floor, layer.forgotten.get(model)?.get(key));
        if (floor !== undefined && position <= floor) return undefined;
        const past = layer.pasts
          .get(model)
          ?.get(key)
          ?.findLast((entry) => entry.position <= position);
        if (past === undefined) continue;
        return floor === undefined || past.position > floor ? (past as Past<Document>) : undefined;
      }
      const past = store.at<Document>(model, key, position);
      return past === undefined || floor === undefined || past.position > floor ? past : undefined;
    },
    oldest<Document>(model: string, key: string, after?: Position) {
      let floor = after;
      for (const layer of layers()) floor = later(floor, layer.forgotten.get(model)?.get(key));
      const below = store.oldest<Document>(model, key, floor);
      if (below !== undefined) return below;
      for (const layer of layers().reverse()) {
        const list = layer.pasts.get(model)?.get(key);
        const past = list?.find(({ position }) => floor === undefined || position > floor);
        if (past !== undefined) return past as Past<Document>;
      }
      return undefined;
    },
    sampleAt(timeMs) {
      for (const layer of layers()) {
        if (layer.recordedAtMs > 0 && layer.recordedAtMs <= timeMs) return layer.checkpoint;
      }
      return store.sampleAt(timeMs);
    },
    async write(batch) {
      if (closing.signal.aborted) throw new Error('the read store is closed');
      while (fresh !== undefined && (fresh.changes >= maxChanges || fresh.bytes >= maxBytes)) {
        startFlush();
        await flushing;
      }
      fresh ??= layerAt(batch.checkpoint);
      addToLayer(fresh, batch);
      scheduleFlush();
    },
    flush,
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      clearTimeout(timer);
      await flush().catch(() => undefined);
      await store.close();
    },
  };
};
