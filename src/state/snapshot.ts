import type { Position } from '../../domain/event.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { StateEntry } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import { type Written, writeSnapshot } from './snapshot-file.ts';
import { stateAt } from './state-at.ts';

export type Saved =
  | ({ readonly ok: true; readonly position: Position | null } & Written)
  | { readonly ok: false; readonly reason: string };

/** Writes the whole state to one file, now and then. */
export type Snapshots = {
  /**
   * Writes it now, or joins the writing that goes on. Never rejects: the file stays as it was when it fails, and while
   * the read models are not complete, which would put an old state in the place of a newer one.
   */
  save(): Promise<Saved>;
  /** Ends the period; writes once more what is new, for 3 s at most. */
  close(): Promise<void>;
};

export type SnapshotsOptions = {
  readonly file: string;
  readonly everySec: number;
  readonly logId: string;
  /** Of this hub: names its temporary file. */
  readonly node: string;
  /** False while the read models are being built. */
  readonly ready: () => boolean;
  /** The read models that serve at this moment. */
  readonly store: () => ReadStore;
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly after?: Clock['after'];
  /** Room that stays free on the disk; 32 MiB unless given. */
  readonly reserveBytes?: number;
};

const closeLimitMs = 3_000;

const building = 'the read models are being built';
const nothing = async function* (): AsyncIterable<readonly StateEntry[]> {};

export const openSnapshots = (options: SnapshotsOptions): Snapshots => {
  const { file, everySec, logId, node, ready, logger } = options;
  const now = options.clock ?? systemClock.now;
  const after = options.after ?? systemClock.after;
  const abort = new AbortController();
  let running: Promise<Saved> | undefined;
  let saved: Position | null | undefined;
  let cancel = (): void => {};
  let closed = false;

  const write = async (): Promise<Saved> => {
    if (!ready()) return { ok: false, reason: building };
    const store = options.store();
    const position = store.checkpoint ?? null;
    const check = (): void => {
      abort.signal.throwIfAborted();
      if (!ready()) throw new Error(building);
    };
    try {
      const head = { logId, position, takenAt: new Date(now()).toISOString() };
      const pages = position === null ? nothing() : stateAt({ store, position, check });
      const written = await writeSnapshot(file, head, pages, node, options.reserveBytes);
      saved = position;
      return { ok: true, position, ...written };
    } catch (error) {
      logger.warn({ err: error, file }, 'the snapshot of the state could not be written');
      return { ok: false, reason: error instanceof Error ? error.message : 'unknown' };
    }
  };

  const save = (): Promise<Saved> => {
    running ??= write().finally(() => {
      running = undefined;
    });
    return running;
  };

  const isNew = (): boolean =>
    ready() && (saved === undefined || (options.store().checkpoint ?? null) !== saved);

  const plan = (): void => {
    if (closed) return;
    cancel = after(everySec * 1_000, () => {
      if (isNew()) save().then(plan);
      else plan();
    });
  };
  plan();

  return {
    save,
    async close() {
      if (closed) return;
      closed = true;
      cancel();
      const stop = setTimeout(() => abort.abort(new Error('the hub is shutting down')), closeLimitMs);
      try {
        await running;
        if (isNew()) await save();
      } finally {
        clearTimeout(stop);
      }
    },
  };
};
