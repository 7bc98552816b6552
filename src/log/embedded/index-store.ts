import { type Database, open, type RootDatabase } from 'lmdb';
import type { StreamId } from '../../../domain/event.ts';
import { checkBlock, countIn, decodePlaces, encodePlaces, indexCorrupt, placeIn } from './blocks.ts';
import { findId, generationMs, type IdEntry, type IdPlace, isTimeOrdered, putIds } from './id-index.ts';
import { firstAtLeast, type Place, placeOf } from './place.ts';
import type { Flush } from './tail.ts';

/** The index on disk: derived from the records, and rebuilt from them when it is missing or damaged. */
export type IndexStore = {
  readonly directory: string;
  /** Everything up to this sequence is in it. */
  readonly checkpoint: number;
  /** Greatest time-ordered id that it knows, or empty. */
  readonly greatestId: string;
  /** Newest revision that it knows, -1 for none. */
  lastRevision(stream: StreamId): number;
  /** Places of the revisions `from` … `to` that it has, ascending. */
  streamPlaces(stream: StreamId, from: number, to: number): Place[];
  /** Up to `limit` places behind (backwards: before) `sequence`, nearest first. */
  kindPlaces(category: string, type: string, sequence: number, backwards: boolean, limit: number): Place[];
  kinds(): Iterable<readonly [category: string, type: string]>;
  findId(id: string): IdPlace | undefined;
  write(flush: Flush, nowMs: number): Promise<void>;
  /** Forgets the revisions of `stream` below `before`. */
  dropRevisions(streams: ReadonlyMap<StreamId, number>): Promise<void>;
  /** Forgets these places of a kind; ascending. */
  dropPlaces(places: ReadonlyMap<readonly [category: string, type: string], readonly Place[]>): Promise<void>;
  close(): Promise<void>;
};

type Meta = {
  readonly version: number;
  readonly logId: string;
  readonly checkpoint: number;
  /** Greatest time-ordered id ever indexed: a greater one is new. */
  readonly greatestId: string;
  readonly generation: number;
  readonly generationBeganMs: number;
};

export const indexVersion = 1;
const metaKey = 'meta';
const maxBlockPlaces = 1_024;
const last = Number.MAX_SAFE_INTEGER;

export type IndexOptions = {
  readonly directory: string;
  readonly mapSizeBytes: number;
  readonly logId: string;
  readonly nowMs: number;
};

const openGenerations = (env: RootDatabase<Buffer, string>): [IdDatabase, IdDatabase] => [
  env.openDB({ name: 'ids-0', encoding: 'binary' }),
  env.openDB({ name: 'ids-1', encoding: 'binary' }),
];
type IdDatabase = Database<Buffer, [string, number] | string>;

/** Undefined when what is there belongs to other records or another version: remove the folder and open it again. */
export const openIndexStore = async (options: IndexOptions): Promise<IndexStore | undefined> => {
  const { directory } = options;
  // lmdb's default overlappingSync: a power cut may cost the newest flushes, never the integrity of the older ones.
  const env: RootDatabase<Buffer, string> = open({
    path: directory,
    encoding: 'binary',
    mapSize: options.mapSizeBytes,
    maxDbs: 6,
    eventTurnBatching: false,
  });
  const streams: Database<Buffer, [string, number]> = env.openDB({ name: 'streams', encoding: 'binary' });
  const kinds: Database<Buffer, [string, string, number]> = env.openDB({ name: 'kinds', encoding: 'binary' });
  const generations = openGenerations(env);

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

  const current = (): IdDatabase => generations[meta.generation % 2 === 0 ? 0 : 1];
  const former = (): IdDatabase => generations[meta.generation % 2 === 0 ? 1 : 0];

  const rotate = async (nowMs: number): Promise<void> => {
    if (nowMs - meta.generationBeganMs < generationMs) return;
    await former().clearAsync();
    meta = { ...meta, generation: meta.generation + 1, generationBeganMs: nowMs };
  };

  const entriesOf = (flush: Flush): IdEntry[] => {
    const count = flush.ids.length;
    const entries = new Array<IdEntry>(count);
    for (const { head, count: taken } of flush.heads) {
      for (let index = 0; index < taken; index++) {
        const place = head.places[index] ?? 0;
        const at = Math.floor(place / placeOf(1, 0)) - flush.firstSequence;
        entries[at] = { id: flush.ids[at] ?? '', place, revision: head.base + index, streamHash: head.hash };
      }
    }
    return entries.filter((entry) => entry !== undefined);
  };

  return {
    directory,
    get checkpoint() {
      return meta.checkpoint;
    },
    get greatestId() {
      return meta.greatestId;
    },
    lastRevision(stream) {
      for (const { key, value } of streams.getRange({
        start: [stream, last],
        end: [stream, -1],
        reverse: true,
        limit: 1,
      })) {
        return key[1] + countIn(checkBlock(value, directory)) - 1;
      }
      return -1;
    },
    streamPlaces(stream, from, to) {
      let start = from;
      for (const key of streams.getKeys({
        start: [stream, from],
        end: [stream, -1],
        reverse: true,
        limit: 1,
      })) {
        start = key[1];
      }
      const places: Place[] = [];
      let next = from;
      for (const { key, value } of streams.getRange({ start: [stream, start], end: [stream, to + 1] })) {
        const block = checkBlock(value, directory);
        const end = key[1] + countIn(block);
        if (end <= next) continue;
        if (key[1] > next) throw indexCorrupt(directory, `revision ${next} of ${stream} is missing`);
        for (; next < end && next <= to; next++) places.push(placeIn(block, next - key[1]));
      }
      return places;
    },
    kindPlaces(category, type, sequence, backwards, limit) {
      const places: Place[] = [];
      if (backwards) {
        const range = { start: [category, type, sequence - 1], end: [category, type, -1], reverse: true };
        for (const { value } of kinds.getRange(range as never)) {
          const block = decodePlaces(checkBlock(value, directory));
          for (let index = firstAtLeast(block, sequence) - 1; index >= 0; index--) {
            if (places.push(block[index] ?? 0) >= limit) return places;
          }
        }
        return places;
      }
      let start = sequence + 1;
      const floor = { start: [category, type, start], end: [category, type, -1], reverse: true, limit: 1 };
      for (const key of kinds.getKeys(floor as never)) start = key[2];
      for (const { value } of kinds.getRange({
        start: [category, type, start],
        end: [category, type, last],
      })) {
        const block = decodePlaces(checkBlock(value, directory));
        for (let index = firstAtLeast(block, sequence + 1); index < block.length; index++) {
          if (places.push(block[index] ?? 0) >= limit) return places;
        }
      }
      return places;
    },
    *kinds() {
      let after: [string, string, number] | undefined;
      for (;;) {
        let found: [string, string, number] | undefined;
        for (const key of kinds.getKeys({ limit: 1, ...(after === undefined ? {} : { start: after }) }))
          found = key;
        if (found === undefined) return;
        yield [found[0], found[1]];
        after = [found[0], found[1], last];
      }
    },
    findId(id) {
      if (isTimeOrdered(id) && id > meta.greatestId) return undefined;
      return findId(current(), id, directory) ?? findId(former(), id, directory);
    },
    async write(flush, nowMs) {
      await rotate(nowMs);
      const entries = entriesOf(flush);
      let greatestId = meta.greatestId;
      for (const { id } of entries) if (isTimeOrdered(id) && id > greatestId) greatestId = id;
      const written: Meta = { ...meta, checkpoint: flush.lastSequence, greatestId };
      await env.batch(() => {
        for (const { head, count } of flush.heads) {
          streams.put([head.stream, head.base], encodePlaces(head.places, 0, count));
        }
        for (const { kind, count } of flush.kinds) {
          for (let from = 0; from < count; from += maxBlockPlaces) {
            const block = encodePlaces(kind.places, from, Math.min(count, from + maxBlockPlaces));
            kinds.put([kind.category, kind.type, Math.floor(placeIn(block, 0) / placeOf(1, 0))], block);
          }
        }
        putIds(current(), entries, flush.firstSequence);
        env.put(metaKey, Buffer.from(JSON.stringify(written)));
      });
      meta = written;
    },
    async dropRevisions(marks) {
      await env.batch(() => {
        for (const [stream, before] of marks) {
          for (const { key, value } of streams.getRange({ start: [stream, 0], end: [stream, before] })) {
            const places = decodePlaces(checkBlock(value, directory));
            const kept = before - key[1];
            if (kept < places.length)
              streams.put([stream, before], encodePlaces(places, kept, places.length));
            streams.remove(key);
          }
        }
      });
    },
    async dropPlaces(dropped) {
      await env.batch(() => {
        for (const [[category, type], places] of dropped) {
          const gone = new Set(places);
          const from = Math.floor((places[0] ?? 0) / placeOf(1, 0));
          const to = Math.floor((places.at(-1) ?? 0) / placeOf(1, 0));
          let start = from;
          const floor = { start: [category, type, from], end: [category, type, -1], reverse: true, limit: 1 };
          for (const key of kinds.getKeys(floor as never)) start = key[2];
          for (const { key, value } of kinds.getRange({
            start: [category, type, start],
            end: [category, type, to + 1],
          })) {
            const before = decodePlaces(checkBlock(value, directory));
            const after = before.filter((place) => !gone.has(place));
            if (after.length === before.length) continue;
            if (after.length === 0) kinds.remove(key);
            else kinds.put(key, encodePlaces(after, 0, after.length));
          }
        }
      });
    },
    async close() {
      await env.close();
    },
  };
};
