import type { Database } from 'lmdb';
import { checkBlock, sealBlock } from './blocks.ts';
import type { Place } from './place.ts';

/** Where an event with this id stands, as the index on disk remembers it. */
export type IdPlace = { readonly place: Place; readonly revision: number; readonly streamHash: number };

/** Events of one flush in log order, one array per property; an empty id where there is no event. */
export type IdColumns = {
  readonly ids: readonly string[];
  readonly places: Float64Array;
  readonly revisions: Float64Array;
  readonly streamHashes: Uint32Array;
};

/** A day at least, two at most: ids are kept in two generations, of which the older is dropped as a whole. */
export const generationMs = 24 * 3_600_000;

/*
 * An id made by its time (UUIDv7) stands in a block with those of the same 16 ms and flush: u32 CRC-32, u32 count,
 * 36 bytes of text × count, then f64 place, f64 revision, u32 stream × count. Any other id is a key of its own.
 */
const headerBytes = 8;
const idBytes = 36;
const entryBytes = 20;

/** Bucket and flush of a block, or id and stream's hash of a single one. */
type IdKey = [text: string, number: number];
export type IdDatabase = Database<Buffer, IdKey>;

export const isTimeOrdered = (id: string): boolean => id.charCodeAt(14) === 0x37;

/** The id's milliseconds but for the last four bits. */
const bucketOf = (id: string): string => id.slice(0, 8) + id.slice(9, 12);

const encodeEntries = (columns: IdColumns, indexes: readonly number[]): Buffer => {
  const count = indexes.length;
  const block = Buffer.allocUnsafe(headerBytes + count * (idBytes + entryBytes));
  block.writeUInt32LE(count, 4);
  let text = '';
  let at = headerBytes + count * idBytes;
  for (const index of indexes) {
    text += columns.ids[index];
    block.writeDoubleLE(columns.places[index] ?? 0, at);
    block.writeDoubleLE(columns.revisions[index] ?? 0, at + 8);
    block.writeUInt32LE(columns.streamHashes[index] ?? 0, at + 16);
    at += entryBytes;
  }
  block.write(text, headerBytes, 'latin1');
  return sealBlock(block);
};

const findIn = (block: Buffer, id: string, streamHash: number): IdPlace | undefined => {
  const count = block.readUInt32LE(4);
  const end = headerBytes + count * idBytes;
  for (let found = block.indexOf(id, headerBytes, 'latin1'); found >= 0 && found < end; ) {
    const at = end + ((found - headerBytes) / idBytes) * entryBytes;
    if ((found - headerBytes) % idBytes === 0 && block.readUInt32LE(at + 16) === streamHash) {
      return { place: block.readDoubleLE(at), revision: block.readDoubleLE(at + 8), streamHash };
    }
    found = block.indexOf(id, found + 1, 'latin1');
  }
  return undefined;
};

/** Writes the ids of one flush; call it inside the flush's transaction. `flush` tells its blocks from others. */
export const putIds = (database: IdDatabase, columns: IdColumns, flush: number): void => {
  const buckets = new Map<string, number[]>();
  // Neighbours nearly always share a bucket.
  let bucket = '';
  let same: number[] = [];
  for (const [index, id] of columns.ids.entries()) {
    if (id === '') continue;
    if (!isTimeOrdered(id)) {
      database.put([id, columns.streamHashes[index] ?? 0], encodeEntries(columns, [index]));
      continue;
    }
    const itsBucket = bucketOf(id);
    if (itsBucket !== bucket) {
      bucket = itsBucket;
      same = buckets.get(bucket) ?? [];
      buckets.set(bucket, same);
    }
    same.push(index);
  }
  for (const [key, indexes] of buckets) database.put([key, flush], encodeEntries(columns, indexes));
};

/** @throws {LogError} `log_corrupt` */
export const findId = (
  database: IdDatabase,
  id: string,
  streamHash: number,
  directory: string,
): IdPlace | undefined => {
  if (!isTimeOrdered(id)) {
    const block = database.get([id, streamHash]);
    return block === undefined ? undefined : findIn(checkBlock(block, directory), id, streamHash);
  }
  const start: IdKey = [bucketOf(id), 0];
  const end: IdKey = [bucketOf(id), Number.MAX_SAFE_INTEGER];
  for (const { value } of database.getRange({ start, end })) {
    const found = findIn(checkBlock(value, directory), id, streamHash);
    if (found !== undefined) return found;
  }
  return undefined;
};
