import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { StateEntry } from '../nexus-core.ts';
import { blocksOf, linesOf } from './lines.ts';
import {
  orderFault,
  parseEntry,
  parseHead,
  parseTail,
  type SnapshotHead,
  sealBytes,
  tailBytes,
} from './snapshot-format.ts';

export type Snapshot = SnapshotHead & {
  readonly count: number;
  /** In the order of the keys' bytes, each key once; reads the file, so only until `close`. */
  entries(): AsyncIterable<readonly StateEntry[]>;
  close(): Promise<void>;
};

export type SnapshotRead =
  | { readonly ok: true; readonly snapshot: Snapshot }
  /** `reason` says what is wrong: no file, damaged, or of another format or version. */
  | { readonly ok: false; readonly reason: string };

const digestOf = async (handle: FileHandle, bytes: number): Promise<string> => {
  const hash = createHash('sha256');
  for await (const block of blocksOf(handle, bytes)) hash.update(block);
  return hash.digest('hex');
};

const firstLine = async (handle: FileHandle): Promise<string> => {
  for await (const [line] of linesOf(handle)) return line?.toString() ?? '';
  return '';
};

/** @throws {Error} that names the line at which the file is not what its tail says. */
async function* entriesOf(handle: FileHandle, count: number): AsyncIterable<readonly StateEntry[]> {
  let number = 0;
  let before: string | undefined;
  for await (const lines of linesOf(handle)) {
    const page: StateEntry[] = [];
    for (const line of lines) {
      number++;
      if (number === 1) continue;
      if (number > count + 2) throw new Error('something stands behind the tail');
      if (number === count + 2) {
        if (line[0] !== closing) throw new Error(`there are more entries than ${count}`);
        continue;
      }
      if (line[0] === closing) throw new Error(`there are ${number - 2} entries, not ${count}`);
      const entry = parseEntry(line.toString());
      const fault = typeof entry === 'string' ? entry : orderFault(before, entry.key);
      if (fault !== undefined || typeof entry === 'string') throw new Error(`line ${number} ${fault}`);
      before = entry.key;
      page.push(entry);
    }
    if (page.length > 0) yield page;
  }
}

/** `]` */
const closing = 93;

const verify = async (handle: FileHandle): Promise<SnapshotRead> => {
  const { size } = await handle.stat();
  const end = Buffer.alloc(Math.min(tailBytes, size));
  await handle.read(end, 0, end.length, size - end.length);
  const told = parseTail(end);
  if (told === undefined) return { ok: false, reason: 'the file is cut off or no snapshot' };
  const { count, sha256 } = told;
  if ((await digestOf(handle, size - sealBytes)) !== sha256) {
    return { ok: false, reason: 'the file does not match its checksum' };
  }
  const head = parseHead(await firstLine(handle));
  if (typeof head === 'string') return { ok: false, reason: head };
  const { prefix = '' } = head;
  for await (const page of entriesOf(handle, count)) {
    const outside = page.find(({ key }) => !key.startsWith(prefix));
    if (outside !== undefined)
      return { ok: false, reason: `the key ${outside.key} does not begin with ${prefix}` };
  }
  const entries = () => entriesOf(handle, count);
  return { ok: true, snapshot: { ...head, count, entries, close: () => handle.close() } };
};

/**
 * Opens a snapshot after checking all of it: its checksum, its form, every entry and their order. A damaged one is refused,
 * never half read.
 */
export const readSnapshot = async (file: string): Promise<SnapshotRead> => {
  let handle: FileHandle | undefined;
  let result: SnapshotRead | undefined;
  try {
    handle = await open(file, 'r');
    result = await verify(handle);
    return result;
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : 'the file cannot be read' };
  } finally {
    if (result?.ok !== true) await handle?.close();
  }
};
