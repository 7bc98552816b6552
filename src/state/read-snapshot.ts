import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { type Position, parsePosition } from '../../domain/event.ts';
import type { StateEntry } from '../nexus-core.ts';
import { type SnapshotHead, snapshotFormat, snapshotVersion } from './snapshot-file.ts';

export type Snapshot = SnapshotHead & {
  readonly count: number;
  /** In key order; reads the file, so only until `close`. */
  entries(): AsyncIterable<StateEntry>;
  close(): Promise<void>;
};

export type SnapshotRead =
  | { readonly ok: true; readonly snapshot: Snapshot }
  /** `reason` says what is wrong: no file, damaged, or of another format or version. */
  | { readonly ok: false; readonly reason: string };

const tail = /^],"count":(\d{1,15}),"sha256":"([0-9a-f]{64})"}\n$/;
/** The longest tail: 15 digits of count. */
const tailBytes = 128;
const sealBytes = `"sha256":"${'0'.repeat(64)}"}\n`.length;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const readHead = (line: string): SnapshotHead | string => {
  if (!line.endsWith(',"entries":[')) return 'the head is not that of a snapshot';
  const head: unknown = JSON.parse(`${line}]}`);
  if (!isObject(head) || head.format !== snapshotFormat) return `the format is not ${snapshotFormat}`;
  if (head.version !== snapshotVersion) return `the version is not ${snapshotVersion}`;
  const { logId, takenAt } = head;
  const position: Position | null | undefined =
    typeof head.position === 'string'
      ? parsePosition(head.position)
      : head.position === null
        ? null
        : undefined;
  if (typeof logId !== 'string' || typeof takenAt !== 'string' || position === undefined)
    return 'the head is incomplete';
  return { logId, takenAt, position };
};

const isEntry = (value: unknown): value is StateEntry =>
  isObject(value) &&
  typeof value.key === 'string' &&
  value.value !== undefined &&
  typeof value.version === 'number' &&
  typeof value.updatedAt === 'string' &&
  typeof value.updatedBy === 'string' &&
  typeof value.position === 'string' &&
  parsePosition(value.position) !== undefined;

const digestOf = async (handle: FileHandle, bytes: number): Promise<string> => {
  const hash = createHash('sha256');
  if (bytes > 0) {
    for await (const block of handle.createReadStream({ start: 0, end: bytes - 1, autoClose: false })) {
      hash.update(block);
    }
  }
  return hash.digest('hex');
};

const linesOf = (handle: FileHandle) => handle.readLines({ start: 0, autoClose: false });

const firstLine = async (handle: FileHandle): Promise<string> => {
  for await (const line of linesOf(handle)) return line;
  return '';
};

async function* entriesOf(handle: FileHandle, count: number): AsyncIterable<StateEntry> {
  let number = 0;
  for await (const line of linesOf(handle)) {
    if (number++ === 0) continue;
    if (number > count + 1) return;
    const entry: unknown = JSON.parse(line.endsWith(',') ? line.slice(0, -1) : line);
    if (!isEntry(entry)) throw new Error(`line ${number} of the snapshot is not an entry`);
    yield entry;
  }
}

const verify = async (handle: FileHandle): Promise<SnapshotRead> => {
  const { size } = await handle.stat();
  const end = Buffer.alloc(Math.min(tailBytes, size));
  await handle.read(end, 0, end.length, size - end.length);
  const text = end.toString('latin1');
  const [, count, sha256] = tail.exec(text.slice(text.lastIndexOf('\n', text.length - 2) + 1)) ?? [];
  if (count === undefined || sha256 === undefined)
    return { ok: false, reason: 'the file is cut off or no snapshot' };
  if ((await digestOf(handle, size - sealBytes)) !== sha256) {
    return { ok: false, reason: 'the file does not match its checksum' };
  }
  const head = readHead(await firstLine(handle));
  if (typeof head === 'string') return { ok: false, reason: head };
  const entries = () => entriesOf(handle, Number(count));
  return { ok: true, snapshot: { ...head, count: Number(count), entries, close: () => handle.close() } };
};

/** Opens a snapshot after checking all of it against its checksum: a damaged one is refused, never half read. */
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
