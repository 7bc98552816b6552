import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { open, type RootDatabase } from 'lmdb';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Position } from '../../domain/event.ts';
import type { Forgotten } from '../../projections/projection.ts';
import {
  checkKey,
  checkpointKey,
  createEncoder,
  decodeValue,
  documentKey,
  endOf,
  firstTimeKey,
  historyPrefix,
  justBehind,
  keyEncoder,
  pastAllPositions,
  positionOfHistoryKey,
  type StoreKey,
  timeKey,
} from './encoding.ts';
import { prepareFile } from './lmdb-file.ts';
import {
  type Past,
  type RangeOptions,
  type ReadBatch,
  ReadModelDamaged,
  type ReadStore,
} from './read-store.ts';
import { checkRoom, defaultReserveBytes } from './room.ts';

export type LmdbReadStoreOptions = {
  /** Made when it is missing; holds one store. */
  readonly directory: string;
  /** Told of each read that met a damaged entry, before the read throws. */
  readonly onDamaged?: (error: ReadModelDamaged) => void;
  /**
   * Told once of a write that failed for another reason than damage or want of room, or that hangs. lmdb may have
   * damaged the memory of the process when it worded the reason, so the process must end.
   */
  readonly onFailure?: (error: Error) => void;
  /** A write that takes longer fails; 30,000 unless given. */
  readonly writeTimeoutMs?: number;
  /** Room that stays free on the disk; 16 MiB unless given. */
  readonly reserveBytes?: number;
};

export type LmdbReadStore = ReadStore & {
  /**
   * SHA-256 of all documents and their history (models whose name begins with `$` left out), the same for the same
   * content however it was batched. Reads all of it synchronously: for tests and maintenance.
   */
  contentHash(): string;
};

/** Models of the runner's own; no part of the content. */
export const isInternalModel = (model: string): boolean => model.startsWith('$');

const closeTimeoutMs = 5_000;
const causeWithinMs = 100;
const sampleEveryMs = 1_000;
const sampleEveryChanges = 1_000;
/** Entries of forgotten history that one transaction removes beside the changes of its batch. */
const maxStale = 5_000;
const corruptCodes: ReadonlySet<unknown> = new Set([-30797, -30796, -30794, -30793]);

const isCorruption = (error: unknown): boolean =>
  error instanceof ReadModelDamaged ||
  error instanceof SyntaxError ||
  (error instanceof Error && 'code' in error && corruptCodes.has(error.code));

type Checkpoint = { readonly position: Position };

const openDatabase = async (path: string): Promise<RootDatabase<Buffer, StoreKey>> => {
  await prepareFile(path);
  // noMetaSync: losing power costs the newest writes, never the integrity. Not the default overlappingSync: after a write
  // that failed it leaves a lock on which the end of the process waits for ever (docs/adr/0006-runner-and-read-models.md).
  return open<Buffer, StoreKey>({
    path,
    encoding: 'binary',
    keyEncoder,
    eventTurnBatching: false,
    overlappingSync: false,
    noMetaSync: true,
  });
};

/**
 * Opens the read store in `directory`.
 *
 * A write is visible once resolved; losing power costs the newest writes together with their checkpoint, never the
 * integrity. One for which the disk has no room is refused with `ReadStoreFull` before it is begun, and can be tried again;
 * after one that failed, each fails. Keys are at most 1,200 bytes of UTF-8, model names a few dozen.
 *
 * @throws {ReadModelDamaged} when the file is no sound store; what the system says when it cannot be opened.
 */
export const openLmdbReadStore = async ({
  directory,
  onDamaged,
  onFailure,
  writeTimeoutMs = 30_000,
  reserveBytes = defaultReserveBytes,
}: LmdbReadStoreOptions): Promise<LmdbReadStore> => {
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'read-models.mdb');
  const encode = createEncoder();

  const damaged = (key: string, cause: unknown): ReadModelDamaged => {
    const error =
      cause instanceof ReadModelDamaged
        ? cause
        : new ReadModelDamaged(`the entry ${JSON.stringify(key)} cannot be read`, { cause });
    onDamaged?.(error);
    return error;
  };

  const checked = <Value>(key: string, read: () => Value): Value => {
    try {
      return read();
    } catch (error) {
      if (isCorruption(error)) throw damaged(key, error);
      // lmdb itself refuses, as it does between a write that failed and the end of the process: nothing to rebuild.
      if (error instanceof Error && 'code' in error && typeof error.code === 'number') {
        throw new ReadModelDamaged(`the entry ${JSON.stringify(key)} cannot be read`, { cause: error });
      }
      throw error;
    }
  };

  const database = await openDatabase(path).catch((error: unknown) => {
    throw isCorruption(error) ? damaged(path, error) : error;
  });

  const readKey = (key: string): unknown =>
    checked(key, () => {
      const bytes = database.getBinaryFast(key);
      return bytes === undefined ? undefined : decodeValue(bytes, bytes.length, key);
    });

  type Bounds = { start: StoreKey; end: StoreKey; reverse?: boolean; limit?: number };

  function* entries(bounds: Bounds): Generator<readonly [key: string, value: unknown]> {
    const range = checked('range', () => database.getRange(bounds)[Symbol.iterator]());
    try {
      for (;;) {
        const next = checked('range', () => range.next());
        if (next.done === true) return;
        const { key, value } = next.value;
        const text = String(key);
        yield [text, checked(text, () => decodeValue(value, value.length, text))];
      }
    } finally {
      range.return?.();
    }
  }

  let checkpoint: Position | undefined;
  try {
    checkpoint = (readKey(checkpointKey) as Checkpoint | undefined)?.position;
  } catch (error) {
    await database.close();
    throw error;
  }
  let lastSampleMs = Number.NEGATIVE_INFINITY;
  let changesSinceSample = 0;
  let writing = false;
  let failure: unknown;
  let closed: Promise<void> | undefined;

  /** Keys of entries that stand in the file and are forgotten, oldest first: at most `maxStale`. */
  const staleKeys = (forgotten: readonly Forgotten[]): StoreKey[] => {
    const stale: StoreKey[] = [];
    for (const { model, key, to } of forgotten) {
      const prefix = historyPrefix(model, key);
      const limit = maxStale - stale.length;
      if (limit === 0) break;
      const keys = checked('range', () =>
        database.getKeys({ start: prefix, end: justBehind(`${prefix}${to}`), limit }),
      );
      for (const found of keys) stale.push(found);
    }
    return stale;
  };

  const put = (batch: ReadBatch, stale: readonly StoreKey[]): Promise<boolean> => {
    const { changes, recordedAtMs } = batch;
    const forgottenTo = new Map<string, Position>();
    for (const { model, key, to } of batch.forgotten ?? []) {
      const where = documentKey(model, key);
      const before = forgottenTo.get(where);
      if (before === undefined || to > before) forgottenTo.set(where, to);
    }
    for (const { key } of changes) checkKey(key);
    const values = changes.map((change) => encode(change.document));
    const mark = encode({ position: batch.checkpoint } satisfies Checkpoint);
    const bytes = values.reduce((sum, { length }) => sum + length, mark.length);
    checkRoom(directory, changes.length + stale.length, bytes, reserveBytes);
    changesSinceSample += changes.length;
    const sample =
      recordedAtMs > 0 &&
      (recordedAtMs - lastSampleMs >= sampleEveryMs || changesSinceSample >= sampleEveryChanges);
    if (sample) {
      lastSampleMs = recordedAtMs;
      changesSinceSample = 0;
    }
    return database.batch(() => {
      // Of several changes to one document only the newest is the current one.
      const current = new Set<string>();
      for (let index = changes.length - 1; index >= 0; index--) {
        const change = changes[index];
        const value = values[index];
        if (change === undefined || value === undefined) continue;
        const { model, key, historyAt } = change;
        const where = documentKey(model, key);
        if (!current.has(where)) {
          current.add(where);
          if (change.document === null) database.remove(where);
          else database.put(where, value);
        }
        if (historyAt === undefined || historyAt <= (forgottenTo.get(where) ?? '')) continue;
        database.put(`${historyPrefix(model, key)}${historyAt}`, value);
      }
      for (const key of stale) database.remove(key);
      database.put(checkpointKey, mark);
      if (sample) database.put(timeKey(recordedAtMs), mark);
    });
  };

  const whyFailed = async (error: Error & { commitError?: Promise<unknown> }): Promise<Error> => {
    // lmdb tells the reason in a promise of its own, which must not stay unhandled and may stay unsettled.
    const told = Promise.resolve(error.commitError).catch((reason: unknown) => reason);
    const cause = await Promise.race([told, delay(causeWithinMs, error, { ref: false })]);
    return isCorruption(cause) ? damaged(path, cause) : new Error(`a write to ${path} failed`, { cause });
  };

  const inTime = (commit: Promise<boolean>): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`a write to ${path} took longer than ${writeTimeoutMs} ms`)),
        writeTimeoutMs,
      );
      commit
        .then(
          () => resolve(),
          async (error: Error) => reject(await whyFailed(error)),
        )
        .finally(() => clearTimeout(timer));
    });

  const settled = async (commit: Promise<boolean>): Promise<void> => {
    writing = true;
    try {
      await inTime(commit);
    } catch (error) {
      failure = error;
      if (error instanceof Error && !(error instanceof ReadModelDamaged)) onFailure?.(error);
      throw error;
    } finally {
      writing = false;
    }
  };

  return {
    get checkpoint() {
      return checkpoint;
    },
    // What stands under a model's name is what its projection has put there.
    read: <Document>(model: string, key: string) => readKey(documentKey(model, key)) as Document | undefined,
    *range<Document>(model: string, { prefix = '', after }: RangeOptions = {}) {
      const base = documentKey(model, '');
      const first = documentKey(model, prefix);
      let start = first;
      if (after !== undefined) {
        const behind = justBehind(documentKey(model, after));
        if (Buffer.compare(Buffer.from(behind), Buffer.from(first)) > 0) start = behind;
      }
      for (const [key, document] of entries({ start, end: endOf(first) })) {
        yield [key.slice(base.length), document as Document] as const;
      }
    },
    *history<Document>(model: string, key: string, before?: Position) {
      const prefix = historyPrefix(model, key);
      const start = `${prefix}${before ?? pastAllPositions}`;
      for (const [found, document] of entries({ start, end: prefix, reverse: true })) {
        const position = positionOfHistoryKey(found, prefix);
        if (position !== before) yield { position, document: document as Document };
      }
    },
    at<Document>(model: string, key: string, position: Position): Past<Document> | undefined {
      const prefix = historyPrefix(model, key);
      for (const [found, document] of entries({
        start: `${prefix}${position}`,
        end: prefix,
        reverse: true,
        limit: 1,
      })) {
        return { position: positionOfHistoryKey(found, prefix), document: document as Document };
      }
      return undefined;
    },
    oldest<Document>(model: string, key: string, after?: Position): Past<Document> | undefined {
      const prefix = historyPrefix(model, key);
      const start = after === undefined ? prefix : justBehind(`${prefix}${after}`);
      for (const [found, document] of entries({ start, end: `${prefix}${pastAllPositions}`, limit: 1 }))
        return { position: positionOfHistoryKey(found, prefix), document: document as Document };
      return undefined;
    },
    sampleAt(timeMs) {
      for (const [, value] of entries({
        start: timeKey(timeMs),
        end: firstTimeKey,
        reverse: true,
        limit: 1,
      })) {
        return (value as Checkpoint).position;
      }
      return undefined;
    },
    async write(batch) {
      if (writing) throw new Error('one write of a read store at a time');
      if (closed !== undefined) throw new Error(`${path} is closed`);
      // lmdb would take a lock and keep it.
      if (failure !== undefined) throw failure;
      const { forgotten = [] } = batch;
      let stale = staleKeys(forgotten);
      // Before the checkpoint that tells of it: done again after a crash, it changes nothing.
      for (; stale.length === maxStale; stale = staleKeys(forgotten)) {
        const keys = stale;
        checkRoom(directory, keys.length, 0, reserveBytes);
        await settled(
          database.batch(() => {
            for (const key of keys) database.remove(key);
          }),
        );
      }
      await settled(put(batch, stale));
      checkpoint = batch.checkpoint;
    },
    contentHash() {
      const hash = createHash('sha256');
      for (const kind of ['d', 'h']) {
        for (const [key, document] of entries({ start: kind, end: endOf(kind) })) {
          if (isInternalModel(key.slice(1))) continue;
          hash.update(`${key.length} ${key}${canonicalJson(document)}\n`);
        }
      }
      return hash.digest('hex');
    },
    close() {
      // After a failed write lmdb may wait for ever.
      closed ??= Promise.race([database.close(), delay(closeTimeoutMs, undefined, { ref: false })]);
      return closed;
    },
  };
};
