import { createHash } from 'node:crypto';
import { type Json, type Position, parsePosition } from '../../domain/event.ts';
import { isStateKey, isStatePrefix } from '../../domain/names.ts';
import { byBytes } from '../by-bytes.ts';
import { jsonFault } from '../gateway/json.ts';
import type { StateEntry } from '../nexus-core.ts';

/**
 * A snapshot is one JSON object: a line for its head, a line per key in the order of the keys' bytes, a line for its
 * tail, so that it can be written and read without ever being in memory as a whole (docs/adr/0034-snapshots.md).
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
  /** All keys that begin with it; absent: all keys. */
  readonly prefix?: string;
};

export const snapshotFormat = 'nexus-state';
export const snapshotVersion = 1;

const blockLength = 65_536;

/** A snapshot's text, in blocks of about 64 KiB; at most one page beyond what was taken is in memory. */
export async function* snapshotText(
  head: SnapshotHead,
  pages: AsyncIterable<readonly StateEntry[]>,
): AsyncGenerator<string, number> {
  const hash = createHash('sha256');
  const { prefix, ...rest } = head;
  const opening = JSON.stringify({
    format: snapshotFormat,
    version: snapshotVersion,
    ...rest,
    ...(prefix === undefined || prefix === '' ? {} : { prefix }),
  });
  let block = `${opening.slice(0, -1)},"entries":[`;
  let count = 0;
  for await (const page of pages) {
    for (const entry of page) {
      block += `${count++ === 0 ? '' : ','}\n${JSON.stringify(entry)}`;
      if (block.length < blockLength) continue;
      hash.update(block);
      yield block;
      block = '';
    }
  }
  block += `\n],"count":${count},`;
  yield `${block}"sha256":"${hash.update(block).digest('hex')}"}\n`;
  return count;
}

/** The longest tail line: 15 digits of count. */
export const tailBytes = 128;
/** Bytes of a snapshot that its checksum does not cover. */
export const sealBytes = `"sha256":"${'0'.repeat(64)}"}\n`.length;

const tail = /^],"count":(\d{1,15}),"sha256":"([0-9a-f]{64})"}\n$/;

/** What the last line says; undefined when it is not that of a snapshot. @param end the last `tailBytes` of the text. */
export const parseTail = (end: Buffer): { readonly count: number; readonly sha256: string } | undefined => {
  const text = end.toString('latin1');
  const [, count, sha256] = tail.exec(text.slice(text.lastIndexOf('\n', text.length - 2) + 1)) ?? [];
  return count === undefined || sha256 === undefined ? undefined : { count: Number(count), sha256 };
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const headEnd = ',"entries":[';
const headNames: ReadonlySet<string> = new Set([
  'format',
  'version',
  'logId',
  'position',
  'takenAt',
  'prefix',
  'entries',
]);

/** The head, or what is wrong with it. */
export const parseHead = (line: string): SnapshotHead | string => {
  if (!line.endsWith(headEnd)) return 'the head is not that of a snapshot';
  const head: unknown = JSON.parse(`${line}]}`);
  if (!isObject(head) || head.format !== snapshotFormat) return `the format is not ${snapshotFormat}`;
  if (head.version !== snapshotVersion) return `the version is not ${snapshotVersion}`;
  const { logId, takenAt, prefix } = head;
  const position: Position | null | undefined =
    typeof head.position === 'string'
      ? parsePosition(head.position)
      : head.position === null
        ? null
        : undefined;
  if (typeof logId !== 'string' || typeof takenAt !== 'string' || position === undefined)
    return 'the head is incomplete';
  if (Object.keys(head).some((name) => !headNames.has(name))) return 'the head has members that are unknown';
  if (prefix === undefined) return { logId, takenAt, position };
  if (typeof prefix !== 'string' || !isStatePrefix(prefix)) return 'the prefix is not that of a key';
  return { logId, takenAt, position, prefix };
};

const entryNames: ReadonlySet<string> = new Set([
  'key',
  'value',
  'version',
  'updatedAt',
  'updatedBy',
  'position',
  'expiresAt',
]);
const time = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

const isTime = (value: unknown): value is string =>
  typeof value === 'string' && time.test(value) && !Number.isNaN(Date.parse(value));

/** The entry of a line, its `,` at the end included, or what is wrong with it. */
export const parseEntry = (line: string): StateEntry | string => {
  const entry: unknown = JSON.parse(line.endsWith(',') ? line.slice(0, -1) : line);
  if (!isObject(entry)) return 'is not an entry';
  if (Object.keys(entry).some((name) => !entryNames.has(name))) return 'has members that are unknown';
  const { key, value, version, updatedAt, updatedBy, expiresAt } = entry;
  if (typeof key !== 'string' || !isStateKey(key)) return 'has a key that is none';
  if (value === undefined) return 'has no value';
  const position = typeof entry.position === 'string' ? parsePosition(entry.position) : undefined;
  if (typeof version !== 'number' || typeof updatedAt !== 'string') return 'is not an entry';
  if (typeof updatedBy !== 'string' || position === undefined) return 'is not an entry';
  if (expiresAt !== undefined && !isTime(expiresAt)) return 'has an expiresAt that is no time';
  // What JSON.parse has made is JSON.
  const json = value as Json;
  const fault = jsonFault(json);
  if (fault !== undefined) return `has a value that is refused: ${fault.detail}`;
  const known = { key, value: json, version, updatedAt, updatedBy, position };
  return expiresAt === undefined ? known : { ...known, expiresAt };
};

/** What is wrong with the order of two keys, one behind the other. */
export const orderFault = (before: string | undefined, key: string): string | undefined => {
  if (before === undefined) return undefined;
  const order = byBytes(before, key);
  return order < 0
    ? undefined
    : order === 0
      ? 'has the key of the line before'
      : 'is not in the order of keys';
};
