import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Position } from '../../domain/event.ts';
import type { StateEntry } from '../nexus-core.ts';

/**
 * The snapshot file: one JSON object, a line for its head, a line per key, a line for its tail, so that it can be
 * written and read without ever being in memory as a whole.
 *
 * `{"format":"nexus-state","version":1,"logId":…,"position":…,"takenAt":…,"entries":[` · entries ·
 * `],"count":N,"sha256":"…"}`, where the checksum covers every byte before `"sha256"`.
 */
export type SnapshotHead = {
  readonly logId: string;
  /** The state is that of this position, inclusive; null when nothing had happened yet. */
  readonly position: Position | null;
  /** RFC 3339. */
  readonly takenAt: string;
};

export const snapshotFormat = 'nexus-state';
export const snapshotVersion = 1;

export type Written = { readonly count: number; readonly bytes: number };

const flushBytes = 262_144;

/** One writer per file at a time: a file that was left by a crash is overwritten. */
const temporaryOf = (file: string): string => `${file}.tmp`;

const syncFolder = async (file: string): Promise<void> => {
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};

const writeAll = async (
  handle: FileHandle,
  head: SnapshotHead,
  pages: AsyncIterable<readonly StateEntry[]>,
): Promise<Written> => {
  const hash = createHash('sha256');
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let bytes = 0;
  let count = 0;

  const flush = async (): Promise<void> => {
    const block = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    hash.update(block);
    bytes += block.length;
    await handle.writeFile(block);
  };
  const add = (text: string): void => {
    const encoded = Buffer.from(text);
    pending.push(encoded);
    pendingBytes += encoded.length;
  };

  const opening = JSON.stringify({ format: snapshotFormat, version: snapshotVersion, ...head });
  add(`${opening.slice(0, -1)},"entries":[`);
  for await (const page of pages) {
    for (const entry of page) {
      add(`${count++ === 0 ? '' : ','}\n${JSON.stringify(entry)}`);
      if (pendingBytes >= flushBytes) await flush();
    }
  }
  add(`\n],"count":${count},`);
  await flush();
  const tail = `"sha256":"${hash.digest('hex')}"}\n`;
  await handle.writeFile(tail);
  return { count, bytes: bytes + tail.length };
};

/**
 * Replaces `file` as a whole, or leaves it as it is: a temporary file beside it, fsync, rename, fsync of the folder.
 * Resolves once the new file is on disk.
 *
 * @throws whatever the file system or `pages` throws; the temporary file is gone then.
 */
export const writeSnapshot = async (
  file: string,
  head: SnapshotHead,
  pages: AsyncIterable<readonly StateEntry[]>,
): Promise<Written> => {
  const temporary = temporaryOf(file);
  try {
    const handle = await open(temporary, 'w', 0o600);
    let written: Written;
    try {
      written = await writeAll(handle, head, pages);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(file);
    return written;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
};
