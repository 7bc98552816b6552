import { type FileHandle, open } from 'node:fs/promises';
import type { Json } from '../../domain/event.ts';
import { isJsonObject } from '../../domain/json.ts';
import { isStateKey } from '../../domain/names.ts';
import { byBytes } from '../by-bytes.ts';
import { parseJson } from '../gateway/json.ts';
import { readSnapshot } from './read-snapshot.ts';

/** What is set of a key; the rest of a snapshot's entry tells of the past. */
export type ImportEntry = { readonly key: string; readonly value: Json; readonly expiresAt?: string };

/** What a file holds that is to be loaded. */
export type Import = {
  /** All keys of the state that begin with it are the file's matter; '' unless the file says otherwise. */
  readonly prefix: string;
  readonly count: number;
  /** In the order of the keys' bytes, each key once; only until `close`. */
  entries(): AsyncIterable<readonly ImportEntry[]>;
  close(): Promise<void>;
};

export type ImportRead =
  | { readonly ok: true; readonly source: Import }
  | { readonly ok: false; readonly reason: string };

/** A plain JSON object is parsed as a whole. */
export const maxPlainBytes = 16 * 1_048_576;

const headBytes = 4_096;
const endBytes = 128;
const headMarks = ['nexus-state', '"entries":[\n', '"takenAt":'];
const endMarks = ['],"count":', '"sha256":"'];

/**
 * One mark is enough: a snapshot with a damaged head must be refused as a snapshot, and not be taken for an object that
 * has the keys `format` and `entries`.
 */
const isMarked = async (handle: FileHandle, size: number): Promise<boolean> => {
  const piece = async (position: number, bytes: number): Promise<string> => {
    const block = Buffer.alloc(Math.min(bytes, size));
    const { bytesRead } = await handle.read(block, 0, block.length, position);
    return block.toString('latin1', 0, bytesRead);
  };
  const head = await piece(0, headBytes);
  const end = await piece(Math.max(0, size - endBytes), endBytes);
  return headMarks.some((mark) => head.includes(mark)) || endMarks.some((mark) => end.includes(mark));
};

const readPlain = async (handle: FileHandle, size: number): Promise<ImportRead> => {
  if (size > maxPlainBytes) {
    return { ok: false, reason: `it is no snapshot, and a JSON object has at most ${maxPlainBytes} bytes` };
  }
  const bytes = Buffer.alloc(size);
  await handle.read(bytes, 0, size, 0);
  const parsed = parseJson(bytes);
  if (!parsed.ok)
    return { ok: false, reason: `it is no snapshot, and not acceptable JSON: ${parsed.problem.detail}` };
  const { value } = parsed;
  if (!isJsonObject(value)) return { ok: false, reason: 'it is neither a snapshot nor a JSON object' };
  const entries: ImportEntry[] = [];
  for (const [key, own] of Object.entries(value)) {
    if (!isStateKey(key)) return { ok: false, reason: `${JSON.stringify(key.slice(0, 64))} is no key` };
    entries.push({ key, value: own });
  }
  entries.sort((left, right) => byBytes(left.key, right.key));
  return {
    ok: true,
    source: {
      prefix: '',
      count: entries.length,
      async *entries() {
        yield entries;
      },
      close: async () => {},
    },
  };
};

/** The entries of a file that is a snapshot or a plain JSON object, once all of it was found sound. */
export const readImport = async (file: string): Promise<ImportRead> => {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : 'it cannot be read' };
  }
  try {
    const { size } = await handle.stat();
    if (!(await isMarked(handle, size))) return await readPlain(handle, size);
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : 'it cannot be read' };
  } finally {
    await handle.close();
  }
  const read = await readSnapshot(file);
  if (!read.ok) return read;
  const { prefix = '', count, entries, close } = read.snapshot;
  return { ok: true, source: { prefix, count, entries, close } };
};
