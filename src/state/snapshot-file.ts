import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StateEntry } from '../nexus-core.ts';
import { freeBytesOf } from '../projection/room.ts';
import { type SnapshotHead, snapshotText } from './snapshot-format.ts';

export type Written = { readonly count: number; readonly bytes: number };

/** More than the read models keep free, less than the event log: a log that is full can still be saved. */
export const snapshotReserveBytes = 32 * 2 ** 20;

const flushLength = 262_144;

/** The name of what is written before it takes the place of `file`. @param writer tells writers of one file apart. */
export const temporaryOf = (file: string, writer: string): string => `${file}.${writer}.tmp`;

/** @throws {Error} when so many bytes would touch the reserve of the disk. */
export const checkSnapshotRoom = (directory: string, bytes: number, reserveBytes: number): void => {
  const freeBytes = freeBytesOf(directory);
  if (freeBytes >= reserveBytes + bytes) return;
  throw new Error(
    `the disk of ${directory} has ${freeBytes} bytes left, of which ${reserveBytes} are kept free`,
  );
};

const syncFolder = async (file: string): Promise<void> => {
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};

/** Puts `temporary`, which is written and closed, in the place of `file`; on disk once resolved. */
export const putInPlace = async (temporary: string, file: string): Promise<void> => {
  await rename(temporary, file);
  await syncFolder(file);
};

const writeAll = async (
  handle: FileHandle,
  file: string,
  text: AsyncGenerator<string, number>,
  reserveBytes: number,
): Promise<Written> => {
  let bytes = 0;
  let pending = '';
  const flush = async (): Promise<void> => {
    const block = Buffer.from(pending);
    pending = '';
    bytes += block.length;
    checkSnapshotRoom(dirname(file), block.length, reserveBytes);
    await handle.writeFile(block);
  };
  try {
    for (;;) {
      const next = await text.next();
      if (next.done === true) {
        await flush();
        return { count: next.value, bytes };
      }
      pending += next.value;
      if (pending.length >= flushLength) await flush();
    }
  } finally {
    await text.return(0);
  }
};

/**
 * Replaces `file` as a whole, or leaves it as it is: a temporary file beside it, fsync, rename, fsync of the folder.
 * Resolves once the new file is on disk.
 *
 * @param writer Names the temporary file: of two hubs that write the same file, each has its own, and the file is always
 *   one of theirs whole. One that a crash has left is overwritten.
 * @throws whatever the file system or `pages` throws; the temporary file is gone then.
 */
export const writeSnapshot = async (
  file: string,
  head: SnapshotHead,
  pages: AsyncIterable<readonly StateEntry[]>,
  writer: string,
  reserveBytes: number = snapshotReserveBytes,
): Promise<Written> => {
  const temporary = temporaryOf(file, writer);
  try {
    const handle = await open(temporary, 'w', 0o600);
    let written: Written;
    try {
      written = await writeAll(handle, file, snapshotText(head, pages), reserveBytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await putInPlace(temporary, file);
    return written;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
};
