import type { Database } from 'lmdb';
import type { StreamId } from '../../../domain/event.ts';
import { checkBlock, countIn, decodePlaces, encodePlaces, indexCorrupt, placeIn } from './blocks.ts';
import type { Place } from './place.ts';

/** Key of a block of places: its stream, and the revision of its first place. */
export type StreamKey = [stream: string, firstRevision: number];

/** Where the revisions of each stream stand. `put` and `drop` belong into a transaction of the caller's. */
export type StreamIndex = {
  /** Newest revision that it knows, -1 for none. */
  lastRevision(stream: StreamId): number;
  /**
   * Places of the revisions `from` … `to` that it has, ascending.
   *
   * @throws {LogError} `log_corrupt` when one between them is missing.
   */
  places(stream: StreamId, from: number, to: number): Place[];
  /** Place of one revision; undefined when it is not known, or was scavenged. */
  placeOf(stream: StreamId, revision: number): Place | undefined;
  /**
   * Places of revisions from `from` on and below `before`, ascending, without those that were scavenged; a bounded number,
   * and the revision to go on from, undefined when these were the last.
   */
  below(
    stream: StreamId,
    from: number,
    before: number,
  ): { readonly places: readonly Place[]; readonly next: number | undefined };
  /** The first `count` of `places` are the revisions from `base` on. */
  put(stream: StreamId, base: number, places: readonly Place[], count: number): void;
  /** Forgets the revisions below `before`. */
  drop(stream: StreamId, before: number): void;
};

const lastKey = Number.MAX_SAFE_INTEGER;
const placesAtOnce = 10_000;

export const createStreamIndex = (database: Database<Buffer, StreamKey>, directory: string): StreamIndex => {
  const check = (block: Buffer): Buffer => checkBlock(block, directory);

  /** The block that holds `revision` or ends before it. */
  const floor = (stream: StreamId, revision: number): { key: StreamKey; block: Buffer } | undefined => {
    const start: StreamKey = [stream, revision];
    const end: StreamKey = [stream, -1];
    for (const { key, value } of database.getRange({ start, end, reverse: true, limit: 1 })) {
      return { key, block: check(value) };
    }
    return undefined;
  };

  return {
    lastRevision(stream) {
      const newest = floor(stream, lastKey);
      return newest === undefined ? -1 : newest.key[1] + countIn(newest.block) - 1;
    },
    places(stream, from, to) {
      const places: Place[] = [];
      let next = from;
      const start: StreamKey = [stream, floor(stream, from)?.key[1] ?? from];
      const end: StreamKey = [stream, to + 1];
      for (const { key, value } of database.getRange({ start, end })) {
        const block = check(value);
        const blockEnd = key[1] + countIn(block);
        if (blockEnd <= next) continue;
        if (key[1] > next) throw indexCorrupt(directory, `revision ${next} of ${stream} is missing`);
        for (; next < blockEnd && next <= to; next++) places.push(placeIn(block, next - key[1]));
      }
      return places;
    },
    placeOf(stream, revision) {
      const found = floor(stream, revision);
      if (found === undefined) return undefined;
      const index = revision - found.key[1];
      return index < countIn(found.block) ? placeIn(found.block, index) : undefined;
    },
    below(stream, from, before) {
      const places: Place[] = [];
      const start: StreamKey = [stream, from];
      const end: StreamKey = [stream, before];
      for (const { key, value } of database.getRange({ start, end })) {
        if (places.length >= placesAtOnce) return { places, next: key[1] };
        const block = check(value);
        const count = Math.min(countIn(block), before - key[1]);
        for (let index = 0; index < count; index++) places.push(placeIn(block, index));
      }
      return { places, next: undefined };
    },
    put(stream, base, places, count) {
      database.put([stream, base], encodePlaces(places, 0, count));
    },
    drop(stream, before) {
      const start: StreamKey = [stream, 0];
      const end: StreamKey = [stream, before];
      for (const { key, value } of database.getRange({ start, end })) {
        const places = decodePlaces(check(value));
        const kept = before - key[1];
        if (kept < places.length) database.put([stream, before], encodePlaces(places, kept, places.length));
        database.remove(key);
      }
    },
  };
};
