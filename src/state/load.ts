import { setImmediate as turn } from 'node:timers/promises';
import type { Position } from '../../domain/event.ts';
import { sameJson } from '../../domain/json.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { state } from '../../projections/state.ts';
import { byBytes } from '../by-bytes.ts';
import { type ErrorCode, type Problem, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { CommandDone, CommandInput } from '../nexus-core.ts';
import type { LoadCounts } from '../nexus-snapshots.ts';
import type { ReadStore } from '../projection/read-store.ts';
import { roughBytes } from '../rough-bytes.ts';
import type { Import, ImportEntry } from './import.ts';
import { unchangedSince } from './state-at.ts';

export type LoadWork = {
  readonly source: Import;
  readonly store: ReadStore;
  /** Up to which the read models were when the load began. */
  readonly position: Position;
  readonly execute: (input: CommandInput) => Promise<Result<CommandDone>>;
  readonly nowMs: () => number;
  /** Deletes the keys under this prefix that the source lacks; undefined deletes none. */
  readonly replaceWithin: string | undefined;
  readonly dryRun: boolean;
  readonly onProgress: (counts: LoadCounts) => void;
  /** Ends the load between two keys, with this as its reason. */
  readonly stopped: () => Problem | undefined;
  /** Called before each page that is read of the state; what it throws ends the load. */
  readonly check: () => void;
};

export type LoadDone = LoadCounts & {
  readonly position: Position;
  /** Why the load ended before its end. */
  readonly fault?: Problem;
};

/** Commands, and bytes of their values, that are under way at once. */
const maxUnderWay = 256;
const maxUnderWayBytes = 16 * 1_048_576;
/** A time that is set by how long is left is late by as long as the command takes. */
const sameTimeMs = 1_000;

const isSame = (entry: ImportEntry, document: StateDocument): boolean => {
  if (!sameJson(entry.value, document.value)) return false;
  if (entry.expiresAt === undefined || document.expiresAt === undefined)
    return entry.expiresAt === document.expiresAt;
  return Math.abs(Date.parse(entry.expiresAt) - Date.parse(document.expiresAt)) <= sameTimeMs;
};

export const setCommandOf = ({ key, value, expiresAt }: ImportEntry, nowMs: number): CommandInput => ({
  type: 'SetState',
  data: {
    key,
    value,
    ...given({ ttlMs: expiresAt === undefined ? undefined : Date.parse(expiresAt) - nowMs }),
  },
});

export const isExpired = ({ expiresAt }: ImportEntry, nowMs: number): boolean =>
  expiresAt !== undefined && Date.parse(expiresAt) <= nowMs;

/** Of a deletion: what others have done with the key since the load began is theirs. */
const leftAlone: ReadonlySet<ErrorCode> = new Set(['version_conflict', 'not_found', 'lock_held']);

/**
 * Sets each key that differs from the source, then deletes what it lacks. The same load again finds the keys that were set
 * as they are to be, and writes what has changed since (docs/adr/0034-snapshots.md).
 */
export const load = async (work: LoadWork): Promise<LoadDone> => {
  const { source, store, execute, nowMs, dryRun, onProgress, stopped, check } = work;
  const counts = { written: 0, unchanged: 0, deleted: 0, expired: 0, locked: 0 };
  let { position } = work;
  let ended: Problem | undefined;
  let thrown: unknown;
  let failed = false;
  const underWay = new Set<Promise<void>>();
  let underWayBytes = 0;
  let wake = (): void => {};

  const over = (): boolean => {
    ended ??= stopped();
    return failed || ended !== undefined;
  };

  /** Hands a command over, as soon as there is room for it; false once the load is over. */
  const run = async (
    input: CommandInput,
    bytes: number,
    settle: (result: Result<CommandDone>) => Problem | undefined,
  ): Promise<boolean> => {
    while (underWay.size >= maxUnderWay || (underWay.size > 0 && underWayBytes + bytes > maxUnderWayBytes))
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    if (over()) return false;
    underWayBytes += bytes;
    const running = execute(input)
      .then(
        (result) => {
          if (result.ok && result.value.position > position) position = result.value.position;
          ended ??= settle(result);
        },
        (error: unknown) => {
          failed = true;
          thrown ??= error;
        },
      )
      .finally(() => {
        underWay.delete(running);
        underWayBytes -= bytes;
        wake();
      });
    underWay.add(running);
    return true;
  };

  const set = async (entry: ImportEntry): Promise<boolean> => {
    const document = store.read<StateDocument>(state.name, entry.key);
    const now = nowMs();
    if (isExpired(entry, now)) {
      counts.expired++;
      return true;
    }
    if (document?.lock !== undefined) {
      counts.locked++;
      return true;
    }
    if (document !== undefined && !document.deleted && isSame(entry, document)) {
      counts.unchanged++;
      return true;
    }
    if (dryRun) {
      counts.written++;
      return true;
    }
    return run(setCommandOf(entry, now), roughBytes(entry.value, maxUnderWayBytes), (result) => {
      if (result.ok) counts.written++;
      else if (result.problem.code === 'lock_held') counts.locked++;
      else return result.problem;
      return undefined;
    });
  };

  const drop = async (key: string, version: number): Promise<boolean> => {
    if (dryRun) {
      counts.deleted++;
      return true;
    }
    return run({ type: 'DeleteState', data: { key, expectedVersion: version } }, 0, (result) => {
      if (result.ok) counts.deleted++;
      else if (!leftAlone.has(result.problem.code)) return result.problem;
      return undefined;
    });
  };

  const setAll = async (): Promise<void> => {
    for await (const page of source.entries()) {
      for (const [index, entry] of page.entries()) {
        if (!(await set(entry))) return;
        if (index % 500 === 499) {
          onProgress(counts);
          await turn();
        }
      }
      onProgress(counts);
      if (over()) return;
    }
  };

  /** Both sides are in the order of keys, so they are walked side by side. */
  const deleteRest = async (prefix: string): Promise<void> => {
    const keys = keysOf(source);
    let next = await keys.next();
    for await (const page of unchangedSince({ store, position: work.position, prefix, check })) {
      for (const { key, version } of page) {
        while (next.done !== true && byBytes(next.value, key) < 0) next = await keys.next();
        if (next.done !== true && next.value === key) continue;
        if (!(await drop(key, version))) return;
      }
      onProgress(counts);
      if (over()) return;
    }
  };

  onProgress(counts);
  try {
    await setAll();
    await Promise.all(underWay);
    if (work.replaceWithin !== undefined && !over()) await deleteRest(work.replaceWithin);
  } finally {
    await Promise.all(underWay);
  }
  if (failed) throw thrown;
  onProgress(counts);
  return { ...counts, position, ...given({ fault: ended }) };
};

async function* keysOf(source: Import): AsyncGenerator<string, undefined> {
  for await (const page of source.entries()) for (const { key } of page) yield key;
  return undefined;
}

/** What a load that ended early tells: the fault, and how far it came. */
export const partly = (fault: Problem, { written, unchanged, deleted }: LoadCounts): Problem =>
  problem(fault.code, `${fault.detail}; a part was loaded, and the same load again completes it`, {
    ...fault.facts,
    written,
    unchanged,
    deleted,
  });
