import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb';
import { asStreamId, type StreamId } from '../../../domain/event.ts';
import { LogError } from '../event-log.ts';
import { inspectDataFile } from './data-file.ts';
import { lastSequenceOf, openRecord, type Record, recordedAtMsOf, type Source } from './record.ts';
import { createTransact } from './transact.ts';

/** One group commit: all of it or nothing. Buffers stay untouched until it is settled. */
export type Commit = {
  /** Records to write by key; undefined removes one. */
  readonly records: readonly (readonly [key: number, buffer: Buffer | undefined])[];
  readonly marks: readonly (readonly [stream: StreamId, mark: Mark])[];
};

/** A stream's truncation: what it hides, and how far the scavenger has freed it. */
export type Mark = { readonly before: number; readonly freed: number };

/** The durable part of the log: records by sequence, and truncation marks by stream. */
export type Records = {
  readonly source: Source;
  /** Newest sequence and time on disk when it was opened; zero for an empty log. */
  readonly last: { readonly sequence: number; readonly recordedAtMs: number };
  /** Made when the folder was: the index belongs to the records that carry the same. */
  readonly logId: string;
  /**
   * Resolves once the commit is on disk.
   *
   * @throws {LogError} `log_failed`, after which it must not be called again.
   */
  commit(commit: Commit): Promise<void>;
  /** The record at exactly `key`, or undefined. */
  at(key: number): Record | undefined;
  /** Records from that which holds or follows `sequence` on, in order. Consume it without awaiting. */
  from(sequence: number): Iterable<Record>;
  /** Records that begin at or before `sequence`, newest first. Consume it without awaiting. */
  downFrom(sequence: number): Iterable<Record>;
  marks(): Iterable<readonly [stream: StreamId, mark: Mark]>;
  /** Bytes of the map that hold data, and its size. */
  usage(): { readonly usedBytes: number; readonly mapBytes: number };
  close(): Promise<void>;
};

export type RecordsOptions = {
  readonly directory: string;
  readonly mapSizeBytes: number;
  /** True loses acknowledged events in a power cut: the control of a test. */
  readonly noSync: boolean;
  /** How long a commit may take. */
  readonly watchdogMs: number;
};

const logIdKey = 'log-id';

type Stats = {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly free: Omit<Stats, 'free'>;
  readonly root: Omit<Stats, 'root' | 'free'>;
};

const pagesOf = (stats: Pick<Stats, 'treeBranchPageCount' | 'treeLeafPageCount' | 'overflowPages'>): number =>
  stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;

/** lmdb types its statistics as `{}`. */
const statsOf = (database: { getStats(): unknown }): Stats => database.getStats() as Stats;

const encodeMark = (mark: Mark): Buffer => {
  const buffer = Buffer.alloc(16);
  buffer.writeDoubleLE(mark.before, 0);
  buffer.writeDoubleLE(mark.freed, 8);
  return buffer;
};

const decodeMark = (buffer: Buffer): Mark => ({
  before: buffer.readDoubleLE(0),
  freed: buffer.readDoubleLE(8),
});

export const openRecords = (options: RecordsOptions, makeLogId: () => string): Records => {
  const source: Source = { directory: options.directory };
  const dataFile = inspectDataFile(options.directory);
  if (dataFile === 'blank') rmSync(join(options.directory, 'data.mdb'));
  if (dataFile === 'foreign') {
    throw new LogError('log_corrupt', `the records in ${options.directory} are no database`, source);
  }
  // lmdb's types lack safeRestore. Why these settings: docs/adr/0003-embedded-log.md.
  const settings: RootDatabaseOptionsWithPath & { readonly safeRestore: boolean } = {
    path: options.directory,
    encoding: 'binary',
    mapSize: options.mapSizeBytes,
    maxDbs: 4,
    overlappingSync: false,
    safeRestore: true,
    eventTurnBatching: false,
    ...(options.noSync ? { noSync: true } : {}),
  };
  const env: RootDatabase<Buffer, string> = open(settings);
  const records: Database<Buffer, number> = env.openDB({ name: 'records', encoding: 'binary' });
  const marks: Database<Buffer, string> = env.openDB({ name: 'marks', encoding: 'binary' });

  const transact = createTransact(env, `the event log in ${source.directory}`, source, options.watchdogMs);
  const known = env.get(logIdKey)?.toString('latin1');
  const logId = known ?? makeLogId();
  if (known === undefined) env.putSync(logIdKey, Buffer.from(logId, 'latin1'));

  const opened = (key: number, value: Buffer): Record => openRecord(value, key, source);

  const downFrom = function* (sequence: number): Iterable<Record> {
    for (const { key, value } of records.getRange({ start: sequence, reverse: true }))
      yield opened(key, value);
  };
  let last = { sequence: 0, recordedAtMs: 0 };
  for (const newest of downFrom(Number.MAX_SAFE_INTEGER)) {
    last = { sequence: lastSequenceOf(newest), recordedAtMs: recordedAtMsOf(newest) };
    break;
  }

  return {
    source,
    last,
    logId,
    commit: (commit) =>
      transact(() => {
        for (const [key, buffer] of commit.records) {
          if (buffer === undefined) records.remove(key);
          else records.put(key, buffer);
        }
        for (const [stream, mark] of commit.marks) marks.put(stream, encodeMark(mark));
      }),
    at(key) {
      const value = records.get(key);
      return value === undefined ? undefined : opened(key, value);
    },
    *from(sequence) {
      let start = sequence;
      for (const key of records.getKeys({ start: sequence, reverse: true, limit: 1 })) start = key;
      for (const { key, value } of records.getRange({ start })) {
        const record = opened(key, value);
        if (lastSequenceOf(record) >= sequence) yield record;
      }
    },
    downFrom,
    *marks() {
      for (const { key, value } of marks.getRange({})) yield [asStreamId(key), decodeMark(value)];
    },
    usage() {
      const stats = statsOf(env);
      const pages =
        pagesOf(stats.root) + pagesOf(stats.free) + pagesOf(statsOf(records)) + pagesOf(statsOf(marks));
      return { usedBytes: pages * stats.pageSize, mapBytes: options.mapSizeBytes };
    },
    async close() {
      await env.close();
    },
  };
};
