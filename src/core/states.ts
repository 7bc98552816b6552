import type { Position } from '../../domain/event.ts';
import { isStateKey, isStatePrefix } from '../../domain/names.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { stateEntryOf, stateVersionOf } from '../../projections/views.ts';
import { fault, invalid, ok, problem, type Result } from '../errors.ts';
import type { AsOf, Context, Page, StateEntry, StateHistory, StateVersion } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import {
  goneProblem,
  oldestVersionOf,
  type PastState,
  stateAtPosition,
  stateOfVersion,
} from '../state/past.ts';
import { positionOf } from './as-of.ts';
import { maxPageBytes, weigh } from './pages.ts';
import type { Parts } from './parts.ts';
import { clampLimit, type ReadFrom, type Reads } from './reads.ts';

export const keyRule = 'must be 1 to 512 bytes of UTF-8 without control characters';
/** Keys that one page looks at, deleted ones included: a page is bounded however many of them there are. */
const maxScanned = 20_000;

/** A cursor: the position that all pages show, and the key behind which the next one begins. */
const cursorOf = (position: Position, key: string): string =>
  Buffer.from(JSON.stringify([position, key])).toString('base64url');

const parseCursor = (text: string): readonly [position: string, key: string] | undefined => {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (!Array.isArray(value) || value.length !== 2) return undefined;
    const [position, key]: readonly unknown[] = value;
    return typeof position === 'string' && typeof key === 'string' && isStateKey(key)
      ? [position, key]
      : undefined;
  } catch {
    return undefined;
  }
};

const later = (left: StateDocument | undefined, right: StateDocument): StateDocument =>
  left === undefined || right.position > left.position ? right : left;

/** Some keys have lost what they were at `position`; from `first` on all that were looked at can be shown. */
const lostProblem = (position: Position, first: StateDocument) =>
  problem(
    'gap',
    `some of what the keys were at ${position} was removed; from ${first.position} on they are kept`,
    {
      position,
      oldestPosition: first.position,
    },
  );

export const createStateQueries = (reads: Reads, { log }: Pick<Parts, 'log'>) => {
  const pastOf = (
    store: ReadStore,
    key: string,
    asOf: Position | undefined,
    version: number | undefined,
  ): PastState => {
    if (version !== undefined) {
      const past = stateOfVersion(store, key, version);
      return past.type === 'found' && asOf !== undefined && past.document.position > asOf
        ? { type: 'none' }
        : past;
    }
    if (asOf !== undefined) return stateAtPosition(store, key, asOf);
    const document = store.read<StateDocument>('state', key);
    return document === undefined ? { type: 'none' } : { type: 'found', document };
  };

  const entryFrom = (
    { store, asOf }: ReadFrom,
    key: string,
    version: number | undefined,
  ): Result<StateEntry> => {
    const past = pastOf(store, key, asOf, version);
    if (past.type === 'gone') return fault(goneProblem(key, past.oldest));
    if (past.type === 'none' || past.document.deleted) {
      return fault(problem('not_found', `the key ${key} does not exist`, { key }));
    }
    return ok(stateEntryOf(key, past.document));
  };

  return {
    state: (
      key: string,
      options: { readonly version?: number; readonly asOf?: AsOf },
      context: Context,
    ): Result<StateEntry> | Promise<Result<StateEntry>> => {
      if (!isStateKey(key)) return invalid('/key', keyRule);
      const requirement = { scope: 'state:read', key } as const;
      const now = options.asOf === undefined ? reads.beginNow(context, requirement) : undefined;
      if (now !== undefined) return now.ok ? entryFrom(now.value, key, options.version) : now;
      return reads
        .begin(context, requirement, options.asOf)
        .then((at) => (at.ok ? entryFrom(at.value, key, options.version) : at));
    },

    states: async (
      options: {
        readonly prefix?: string;
        readonly limit?: number;
        readonly after?: string;
        readonly cursor?: string;
        readonly asOf?: AsOf;
      },
      context: Context,
    ): Promise<Result<Page<'entries', StateEntry> & { readonly cursor?: string }>> => {
      const prefix = options.prefix ?? '';
      if (!isStatePrefix(prefix)) return invalid('/prefix', keyRule);
      if (options.after !== undefined && !isStateKey(options.after)) return invalid('/after', keyRule);
      const from = options.cursor === undefined ? undefined : parseCursor(options.cursor);
      if (options.cursor !== undefined && (from === undefined || !from[1].startsWith(prefix))) {
        return invalid('/cursor', 'must be one that a page of this list has given');
      }
      const pinned = from === undefined ? undefined : positionOf(log, 'cursor', from[0]);
      if (pinned !== undefined && !pinned.ok) return pinned;
      const at = await reads.begin(context, { scope: 'state:read', prefix }, pinned?.value ?? options.asOf);
      if (!at.ok) return at;
      const { store } = at.value;
      // Every page of one list shows the same position, so that the pages together are one snapshot.
      const position = at.value.asOf ?? at.value.position;
      const limit = clampLimit(options.limit);
      const entries: StateEntry[] = [];
      let scanned = 0;
      let bytes = 0;
      let more = false;
      let last: string | undefined;
      /** The newest of the versions at which the histories begin that have lost what was at `position`. */
      let lost: StateDocument | undefined;
      const after = from?.[1] ?? options.after;
      const range = store.range<StateDocument>('state', after === undefined ? { prefix } : { prefix, after });
      for (const [key, current] of range) {
        more = entries.length === limit || scanned === maxScanned || bytes >= maxPageBytes;
        if (more) break;
        scanned++;
        last = key;
        const past: PastState =
          current.position <= position
            ? { type: 'found', document: current }
            : stateAtPosition(store, key, position);
        if (past.type === 'gone') lost = later(lost, past.oldest);
        if (past.type !== 'found' || past.document.deleted) continue;
        entries.push(stateEntryOf(key, past.document));
        bytes += weigh(past.document.value);
      }
      if (lost !== undefined) return fault(lostProblem(position, lost));
      return ok({
        entries,
        position,
        ...(more && last !== undefined ? { cursor: cursorOf(position, last) } : {}),
      });
    },

    stateHistory: async (
      key: string,
      options: { readonly limit?: number; readonly before?: number },
      context: Context,
    ): Promise<Result<StateHistory>> => {
      if (!isStateKey(key)) return invalid('/key', keyRule);
      const at = await reads.begin(context, { scope: 'state:read', key });
      if (!at.ok) return at;
      const { store } = at.value;
      const before = options.before;
      const limit = clampLimit(options.limit);
      const oldestVersion = oldestVersionOf(store, key);
      if (oldestVersion === undefined) {
        return fault(problem('not_found', `the key ${key} never existed`, { key }));
      }
      if (before !== undefined && before <= oldestVersion) {
        return ok({ key, history: [], more: false, oldestVersion });
      }
      const from = before === undefined ? undefined : stateOfVersion(store, key, before);
      const start = from?.type === 'found' ? from.document.position : undefined;
      const history: StateVersion[] = [];
      let bytes = 0;
      let more = false;
      for (const { document } of store.history<StateDocument>('state', key, start)) {
        if (before !== undefined && document.version >= before) continue;
        more = history.length === limit || bytes >= maxPageBytes;
        if (more) break;
        history.push(stateVersionOf(document));
        bytes += weigh(document.value);
      }
      return ok({ key, history, more, oldestVersion });
    },
  };
};
