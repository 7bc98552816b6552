import type { Position } from '../domain/event.ts';
import type { Result } from './errors.ts';
import type { AsOf, Context } from './nexus-core.ts';

export type SnapshotText = {
  /** The state is that of this position, inclusive. */
  readonly position: Position;
  /** Made as it is taken; a throw means that it broke off. */
  readonly text: AsyncIterable<string>;
};

/** What a load has done so far, or would do: each entry counts once. */
export type LoadCounts = {
  /** Keys that were set. */
  readonly written: number;
  /** Keys that had the value already. */
  readonly unchanged: number;
  readonly deleted: number;
  /** Entries of the file whose end has passed. */
  readonly expired: number;
  /** Keys that are held as locks, and were left as they are. */
  readonly locked: number;
};

export type Loaded = LoadCounts & {
  /** Reads that name it see the whole. */
  readonly position: Position;
  /** Of the file. */
  readonly entries: number;
};

export type LoadOptions = {
  /** `replace` also deletes the keys that the file lacks; `merge` unless given. */
  readonly mode?: 'merge' | 'replace';
  /** All keys of the file must begin with it, and `replace` deletes within it. The file's own unless given. */
  readonly prefix?: string;
  /** Only tells what would change. */
  readonly dryRun?: boolean;
  /** Called now and then once the file was found sound, first with nothing done. */
  readonly onProgress?: (counts: LoadCounts, entries: number) => void;
};

export type SnapshotApi = {
  /** The state as a snapshot (docs/state.md), for `state:read:PREFIX*`; locks are left out. */
  snapshot(
    options: { readonly prefix?: string; readonly asOf?: AsOf },
    context: Context,
  ): Promise<Result<SnapshotText>>;
  /**
   * Loads a snapshot or a plain JSON object, for `admin`: checks all of it before anything is written (`bad_snapshot`), then
   * writes what differs. A load that ends early has written a part; the same one again completes it. One at a time (`busy`).
   *
   * @param body What it throws is told as `bad_request`: it broke off.
   */
  loadSnapshot(body: AsyncIterable<Buffer>, options: LoadOptions, context: Context): Promise<Result<Loaded>>;
};
