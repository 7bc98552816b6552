import type { Position } from '../../domain/event.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { state } from '../../projections/state.ts';
import { stateEntryOf } from '../../projections/views.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { StateEntry } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import { type Written, writeSnapshot } from './snapshot-file.ts';

export type Saved =
  | ({ readonly ok: true; readonly position: Position | null } & Written)
  | { readonly ok: false; readonly reason: string };

/** Writes the whole state to one file, now and then. */
export type Snapshots = {
  /** Writes it now, or joins the writing that goes on. Never rejects: the file stays as it was when it fails. */
  save(): Promise<Saved>;
  /** Ends the period; writes once more what is new, for 3 s at most. */
  close(): Promise<void>;
};

export type SnapshotsOptions = {
  readonly file: string;
  readonly everySec: number;
  readonly logId: string;
  /** The read models that serve at this moment. */
  readonly store: () => ReadStore;
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly after?: Clock['after'];
};

const pageKeys = 500;
const closeLimitMs = 3_000;

/**
 * The entries as they were at `position`, in key order, a page at a time, so that commands go on between pages; what
 * changes meanwhile is read from the history. `signal` ends it with an error.
 */
export async function* stateAt(
  store: ReadStore,
  position: Position,
  signal: AbortSignal,
): AsyncIterable<readonly StateEntry[]> {
  for (let after: string | undefined; ; ) {
    signal.throwIfAborted();
    const page: StateEntry[] = [];
    let looked = 0;
    for (const [key, current] of store.range<StateDocument>(
      state.name,
      after === undefined ? {} : { after },
    )) {
      after = key;
      const document =
        current.position <= position ? current : store.at<StateDocument>(state.name, key, position)?.document;
      if (document !== undefined && !document.deleted) page.push(stateEntryOf(key, document));
      if (++looked === pageKeys) break;
    }
    if (page.length > 0) yield page;
    if (looked < pageKeys) return;
    // A page without entries must let others run too.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

const nothing = async function* (): AsyncIterable<readonly StateEntry[]> {};

export const openSnapshots = (options: SnapshotsOptions): Snapshots => {
  const { file, everySec, logId, logger } = options;
  const now = options.clock ?? systemClock.now;
  const after = options.after ?? systemClock.after;
  const abort = new AbortController();
  let running: Promise<Saved> | undefined;
  let saved: Position | null | undefined;
  let cancel = (): void => {};
  let closed = false;

  const write = async (): Promise<Saved> => {
    const store = options.store();
    const position = store.checkpoint ?? null;
    try {
      const head = { logId, position, takenAt: new Date(now()).toISOString() };
      const pages = position === null ? nothing() : stateAt(store, position, abort.signal);
      const written = await writeSnapshot(file, head, pages);
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

  const isNew = (): boolean => saved === undefined || (options.store().checkpoint ?? null) !== saved;

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
