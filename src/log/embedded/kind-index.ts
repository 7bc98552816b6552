import type { Database } from 'lmdb';
import { checkBlock, decodePlaces, encodePlaces, placeIn } from './blocks.ts';
import { firstAtLeast, type Place, sequenceOf } from './place.ts';

/** Key of a block of places: category, type, and the sequence of its first place. */
export type KindKey = [category: string, type: string, firstSequence: number];
export type KindName = readonly [category: string, type: string];

/** Where the events of each category and type stand. `put` and `drop` belong into a transaction of the caller's. */
export type KindIndex = {
  /** Up to `limit` places behind (backwards: before) `sequence`, nearest first. */
  places(kind: KindName, sequence: number, backwards: boolean, limit: number): Place[];
  names(): Iterable<KindName>;
  /** The first `count` of `places`, all newer than what it has. */
  put(kind: KindName, places: readonly Place[], count: number): void;
  /** Forgets these places; ascending, at least one. */
  drop(kind: KindName, places: readonly Place[]): void;
};

const lastKey = Number.MAX_SAFE_INTEGER;
const maxBlockPlaces = 1_024;

export const createKindIndex = (database: Database<Buffer, KindKey>, directory: string): KindIndex => {
  const decode = (block: Buffer): Place[] => decodePlaces(checkBlock(block, directory));

  /** First sequence of the block that holds `sequence`, or `sequence` when none does. */
  const floor = ([category, type]: KindName, sequence: number): number => {
    const start: KindKey = [category, type, sequence];
    const end: KindKey = [category, type, -1];
    for (const key of database.getKeys({ start, end, reverse: true, limit: 1 })) return key[2];
    return sequence;
  };

  return {
    places(kind, sequence, backwards, limit) {
      const [category, type] = kind;
      const places: Place[] = [];
      if (backwards) {
        const start: KindKey = [category, type, sequence - 1];
        const end: KindKey = [category, type, -1];
        for (const { value } of database.getRange({ start, end, reverse: true })) {
          const block = decode(value);
          for (let index = firstAtLeast(block, sequence) - 1; index >= 0; index--) {
            if (places.push(block[index] ?? 0) >= limit) return places;
          }
        }
        return places;
      }
      const start: KindKey = [category, type, floor(kind, sequence + 1)];
      const end: KindKey = [category, type, lastKey];
      for (const { value } of database.getRange({ start, end })) {
        const block = decode(value);
        for (let index = firstAtLeast(block, sequence + 1); index < block.length; index++) {
          if (places.push(block[index] ?? 0) >= limit) return places;
        }
      }
      return places;
    },
    *names() {
      let start: KindKey = ['', '', 0];
      for (;;) {
        let found: KindKey | undefined;
        for (const key of database.getKeys({ start, limit: 1 })) found = key;
        if (found === undefined) return;
        yield [found[0], found[1]];
        start = [found[0], found[1], lastKey];
      }
    },
    put([category, type], places, count) {
      for (let from = 0; from < count; from += maxBlockPlaces) {
        const block = encodePlaces(places, from, Math.min(count, from + maxBlockPlaces));
        database.put([category, type, sequenceOf(placeIn(block, 0))], block);
      }
    },
    drop(kind, places) {
      const [category, type] = kind;
      const gone = new Set(places);
      const start: KindKey = [category, type, floor(kind, sequenceOf(places[0] ?? 0))];
      const end: KindKey = [category, type, sequenceOf(places.at(-1) ?? 0) + 1];
      for (const { key, value } of database.getRange({ start, end })) {
        const before = decode(value);
        const after = before.filter((place) => !gone.has(place));
        if (after.length === before.length) continue;
        if (after.length === 0) database.remove(key);
        else database.put(key, encodePlaces(after, 0, after.length));
      }
    },
  };
};
