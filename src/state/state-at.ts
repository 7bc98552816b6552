import { setImmediate as turn } from 'node:timers/promises';
import type { Position } from '../../domain/event.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { state } from '../../projections/state.ts';
import { stateEntryOf } from '../../projections/views.ts';
import { ProblemError } from '../errors.ts';
import type { StateEntry } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import { roughBytes } from '../rough-bytes.ts';
import { goneProblem, type PastState, stateAtPosition } from './past.ts';

/** Keys, and bytes of their values, that a page ends at. */
const pageKeys = 500;
const pageBytes = 1_048_576;

export type StateAt = {
  readonly store: ReadStore;
  readonly position: Position;
  readonly prefix?: string;
  /** Called before each page; what it throws ends the reading. */
  readonly check: () => void;
};

/** Entries of the keys of which `documentOf` tells one, in the order of the keys' bytes; others run between pages. */
async function* pagesOf(
  { store, prefix = '', check }: StateAt,
  documentOf: (key: string, current: StateDocument) => StateDocument | undefined,
): AsyncIterable<readonly StateEntry[]> {
  for (let after: string | undefined; ; ) {
    check();
    const page: StateEntry[] = [];
    let looked = 0;
    let bytes = 0;
    const range = store.range<StateDocument>(
      state.name,
      after === undefined ? { prefix } : { prefix, after },
    );
    for (const [key, current] of range) {
      after = key;
      const document = documentOf(key, current);
      if (document !== undefined && !document.deleted && document.lock === undefined) {
        page.push(stateEntryOf(key, document));
        bytes += roughBytes(document.value, pageBytes);
      }
      if (++looked === pageKeys || bytes >= pageBytes) break;
    }
    if (page.length > 0) yield page;
    if (looked < pageKeys && bytes < pageBytes) return;
    // Whoever takes the pages may never have to wait: then others run here.
    await turn();
  }
}

/**
 * The entries as they were at `position`, a page at a time, so that commands go on between pages; what changes meanwhile is
 * read from the history. Locks are left out.
 *
 * @throws {ProblemError} `gap` when a key has lost meanwhile what it was then: begin again at a newer position.
 */
export const stateAt = (at: StateAt): AsyncIterable<readonly StateEntry[]> =>
  pagesOf(at, (key, current) => {
    const { store, position } = at;
    const past: PastState =
      current.position <= position
        ? { type: 'found', document: current }
        : stateAtPosition(store, key, position);
    if (past.type === 'gone') throw new ProblemError(goneProblem(key, past.oldest));
    return past.type === 'found' ? past.document : undefined;
  });

/** The entries that have not changed since `position`. Locks are left out. */
export const unchangedSince = (at: StateAt): AsyncIterable<readonly StateEntry[]> =>
  pagesOf(at, (_key, current) => (current.position <= at.position ? current : undefined));
