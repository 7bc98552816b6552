import { type Database, open, type RootDatabase } from 'lmdb';
import type { StreamId } from '../../../domain/event.ts';
import {
  findId,
  generationMs,
  type IdColumns,
  type IdDatabase,
  type IdPlace,
  isTimeOrdered,
  putIds,
} from './id-index.ts';
import { createKindIndex, type KindIndex, type KindKey, type KindName } from './kind-index.ts';
import { type Place, sequenceOf } from './place.ts';
import { createStreamIndex, type StreamIndex, type StreamKey } from './stream-index.ts';
import type { Flush } from './tail.ts';
import { createTransact } from './transact.ts';

/** The index on disk: derived from the records, and rebuilt from them when it is missing or damaged. */
export type IndexStore = {
  readonly directory: string;
  /** Everything up to this sequence is in it. */
  readonly checkpoint: number;
  /** Greatest time-ordered id that it knows, or empty. */
  readonly greatestId: string;
  readonly streams: Omit<StreamIndex, 'put' | 'drop'>;
  readonly kinds: Omit<KindIndex, 'put' | 'drop'>;
  /** The event with this id in the stream of that hash. */
  findId(id: string, streamHash: number): IdPlace | undefined;
  write(flush: Flush, nowMs: number): Promise<void>;
  /** Forgets the revisions of each stream below its number. */
  dropRevisions(streams: ReadonlyMap<StreamId, number>): Promise<void>;
  /** Forgets these places of each kind; ascending. */
  dropPlaces(kinds: Iterable<{ readonly kind: KindName; readonly places: readonly Place[] }>): Promise<void>;
  close(): Promise<void>;
};

type Meta = {
  readonly version: number;
  /** Of the records that it belongs to. */
  readonly logId: string;
  readonly checkpoint: number;
  readonly greatestId: string;
  readonly generation: number;
  readonly generationBeganMs: number;
};

const indexVersion = 1;
const metaKey = 'meta';

export type IndexOptions = {
  readonly directory: string;
  readonly mapSizeBytes: number;
  readonly logId: string;
  readonly nowMs: number;
  readonly watchdogMs: number;
};

const columnsOf = ({ ids, heads, firstSequence }: Flush): IdColumns => {
  const places = new Float64Array(ids.length);
  const revisions = new Float64Array(ids.length);
  const streamHashes = new Uint32Array(ids.length);
  for (const { head, count } of heads) {
    for (let index = 0; index < count; index++) {
      const place = head.places[index] ?? 0;
      const at = sequenceOf(place) - firstSequence;
      places[at] = place;
      revisions[at] = head.base + index;
      streamHashes[at] = head.hash;
    }
  }
  return { ids, places, revisions, streamHashes };
};

/** Undefined when what is there belongs to other records or another version: remove the folder and open it again. */
export const openIndexStore = async (options: IndexOptions): Promise<IndexStore | undefined> => {
  const { directory } = options;
  // noMetaSync: a power cut may cost the newest flushes, never the integrity of the older ones. Not the default
  // overlappingSync: after a failed write it leaves a lock behind on which the end of the process waits for ever.
  const env: RootDatabase<Buffer, string> = open({
    path: directory,
    encoding: 'binary',
    mapSize: options.mapSizeBytes,
    maxDbs: 6,
    eventTurnBatching: false,
    overlappingSync: false,
    noMetaSync: true,
  });
  const streamBlocks: Database<Buffer, StreamKey> = env.openDB({ name: 'streams', encoding: 'binary' });
  const kindBlocks: Database<Buffer, KindKey> = env.openDB({ name: 'kinds', encoding: 'binary' });
  const evenIds: IdDatabase = env.openDB({ name: 'ids-0', encoding: 'binary' });
  const oddIds: IdDatabase = env.openDB({ name: 'ids-1', encoding: 'binary' });
  const streams = createStreamIndex(streamBlocks, directory);
  const kinds = createKindIndex(kindBlocks, directory);

  const transact = createTransact(env, `the index in ${directory}`, { directory }, options.watchdogMs);

  const stored = env.get(metaKey);
  let meta: Meta = {
    version: indexVersion,
    logId: options.logId,
    checkpoint: 0,
    greatestId: '',
    generation: 0,
    generationBeganMs: options.nowMs,
    ...(stored === undefined ? {} : JSON.parse(stored.toString())),
  };
  if (meta.version !== indexVersion || meta.logId !== options.logId) {
    await env.close();
    return undefined;
  }

  const current = (): IdDatabase => (meta.generation % 2 === 0 ? evenIds : oddIds);
  const former = (): IdDatabase => (meta.generation % 2 === 0 ? oddIds : evenIds);

  /** The next generation when this one is a day old, else this one. */
  const nextGeneration = (nowMs: number): Meta =>
    nowMs - meta.generationBeganMs < generationMs
      ? meta
      : { ...meta, generation: meta.generation + 1, generationBeganMs: nowMs };

  return {
    directory,
    streams,
    kinds,
    get checkpoint() {
      return meta.checkpoint;
    },
    get greatestId() {
      return meta.greatestId;
    },
    findId(id, streamHash) {
      if (isTimeOrdered(id) && id > meta.greatestId) return undefined;
      return findId(current(), id, streamHash, directory) ?? findId(former(), id, streamHash, directory);
    },
    async write(flush, nowMs) {
      const columns = columnsOf(flush);
      let { greatestId } = meta;
      for (const id of flush.ids) if (isTimeOrdered(id) && id > greatestId) greatestId = id;
      const next = { ...nextGeneration(nowMs), checkpoint: flush.lastSequence, greatestId };
      await transact(() => {
        const rotates = next.generation !== meta.generation;
        // What is written next takes the place of the generation before the last.
        if (rotates) former().clearAsync();
        putIds(rotates ? former() : current(), columns, flush.firstSequence);
        for (const { head, count } of flush.heads) streams.put(head.stream, head.base, head.places, count);
        for (const { kind, count } of flush.kinds) kinds.put([kind.category, kind.type], kind.places, count);
        env.put(metaKey, Buffer.from(JSON.stringify(next)));
      });
      meta = next;
    },
    dropRevisions: (dropped) =>
      transact(() => {
        for (const [stream, before] of dropped) streams.drop(stream, before);
      }),
    dropPlaces: (dropped) =>
      transact(() => {
        for (const { kind, places } of dropped) kinds.drop(kind, places);
      }),
    async close() {
      await env.close();
    },
  };
};
