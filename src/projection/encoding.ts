import { crc32 } from 'node:zlib';
import type { Position } from '../../domain/event.ts';
import { ReadModelDamaged } from './read-store.ts';

/**
 * Keys and values of the LMDB read store. A key is text that is stored as UTF-8, so that LMDB's order of bytes is the
 * order of code points; a value is a CRC32 (4 bytes, little-endian) and the JSON behind it.
 */

/** UTF-8 bytes of the longest key of a document. */
export const maxDocumentKeyBytes = 1_200;

/** A key of LMDB: text, or bytes where a bound is wanted that no text has. */
export type StoreKey = string | Buffer;

const separator = '\0';

export const checkpointKey = 'c';

export const documentKey = (model: string, key: string): string => `d${model}${separator}${key}`;

/** All keys that begin with `text` lie before it: no UTF-8 has the byte 0xff. */
export const endOf = (text: string): Buffer => Buffer.concat([Buffer.from(text), Buffer.of(0xff)]);

/** The smallest key behind `key`. */
export const justBehind = (key: string): string => `${key}${separator}`;

/** The key's length stands before it, so that no key's entries can lie among another's. */
export const historyPrefix = (model: string, key: string): string =>
  `h${model}${separator}${key.length.toString(16).padStart(4, '0')}${key}`;

/** Behind every position, which is made of hexadecimal digits. */
export const pastAllPositions = 'g';

const timeDigits = 15;
export const timeKey = (ms: number): string =>
  `t${Math.max(0, Math.floor(ms)).toString().padStart(timeDigits, '0')}`;
export const firstTimeKey = 't';

/** @throws {RangeError} for a key that cannot be stored and read back. */
export const checkKey = (key: string): void => {
  if (
    key.length > maxDocumentKeyBytes ||
    Buffer.byteLength(key) > maxDocumentKeyBytes ||
    !key.isWellFormed()
  ) {
    throw new RangeError(
      `the key of a document must be well-formed text of at most ${maxDocumentKeyBytes} bytes: ${JSON.stringify(key.slice(0, 80))}`,
    );
  }
};

/** How lmdb writes and reads our keys, without a buffer per key. */
export const keyEncoder = {
  writeKey(key: StoreKey, target: Buffer, start: number): number {
    if (typeof key === 'string') return start + target.write(key, start, 'utf8');
    target.set(key, start);
    return start + key.length;
  },
  readKey: (source: Buffer, start: number, end: number): string => source.toString('utf8', start, end),
};

const checksumBytes = 4;
const chunkBytes = 262_144;

/** Encodes values one behind the other into chunks that are never written again: lmdb reads them from its own thread. */
export const createEncoder = () => {
  let chunk = Buffer.allocUnsafeSlow(chunkBytes);
  let used = 0;
  return (document: unknown): Buffer => {
    const text: string | undefined = JSON.stringify(document);
    if (text === undefined) throw new TypeError('a document must be a JSON value');
    // UTF-8 takes at most 3 bytes per UTF-16 unit; measure only what does not surely fit.
    let room = checksumBytes + text.length * 3;
    if (room > chunk.length - used) {
      room = checksumBytes + Buffer.byteLength(text);
      if (room > chunk.length - used) {
        chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, room));
        used = 0;
      }
    }
    const start = used;
    const end = start + checksumBytes + chunk.write(text, start + checksumBytes);
    chunk.writeUInt32LE(crc32(chunk.subarray(start + checksumBytes, end)), start);
    used = end;
    return chunk.subarray(start, end);
  };
};

/**
 * The document that `bytes` holds; `length` because lmdb's shared buffer is longer than the value in it.
 *
 * @throws {ReadModelDamaged} when it does not match its checksum.
 */
export const decodeValue = (bytes: Buffer, length: number, key: string): unknown => {
  if (length < checksumBytes || crc32(bytes.subarray(checksumBytes, length)) !== bytes.readUInt32LE(0)) {
    throw new ReadModelDamaged(`the entry ${JSON.stringify(key)} does not match its checksum`);
  }
  return JSON.parse(bytes.toString('utf8', checksumBytes, length));
};

/** The position that ends the key of a history entry. */
export const positionOfHistoryKey = (key: string, prefix: string): Position =>
  key.slice(prefix.length) as Position;
