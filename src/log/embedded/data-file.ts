import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What stands in the folder of an lmdb environment: `absent`; `blank`, the zeros of a creation that lost its power
 * before anything was written; `lmdb`; or `foreign`, on which lmdb would end the process instead of refusing it.
 */
export type DataFile = 'absent' | 'blank' | 'lmdb' | 'foreign';

const magic = 0xbeefc0de;
const magicOffset = 24;
const pageBytes = 4_096;
const metaBytes = 2 * pageBytes;
/** A creation writes no more than the two meta pages and the first few of the tree. */
const maxBlankBytes = 16 * pageBytes;

const readStart = (file: string): Buffer | undefined => {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const start = Buffer.alloc(maxBlankBytes + 1);
    return start.subarray(0, readSync(descriptor, start, 0, start.length, 0));
  } finally {
    closeSync(descriptor);
  }
};

export const inspectDataFile = (directory: string): DataFile => {
  const start = readStart(join(directory, 'data.mdb'));
  if (start === undefined || start.length === 0) return 'absent';
  if (start.length <= maxBlankBytes && start.every((byte) => byte === 0)) return 'blank';
  const isMeta = (page: number): boolean => start.readUInt32LE(page * pageBytes + magicOffset) === magic;
  return start.length >= metaBytes && isMeta(0) && isMeta(1) ? 'lmdb' : 'foreign';
};
