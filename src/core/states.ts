import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Position } from '../../domain/event.ts';
import { isStateKey, isStatePrefix } from '../../domain/names.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { stateEntryOf, stateVersionOf } from '../../projections/views.ts';
import { fault, invalid, ok, ProblemError, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { AsOf, Context, StateEntry, StateHistory, StateVersion } from '../nexus-core.ts';
import type { StateList, StateListQuery } from '../nexus-state.ts';
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
/** So many of them are looked at before others have their turn. */
const turnKeys = 1_000;

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

/** The asker is gone, and what it read from may be closed. */
const isGone = ({ signal }: Context): boolean =>
  signal?.aborted === true && !(signal.reason instanceof ProblemError);

type PageBounds = { readonly prefix: string; readonly limit: number; readonly maxBytes: number };

/** One page of the keys behind `after` as they were at `position`; it is filled by as many looks as it takes. */
const openPage = (
  store: ReadStore,
  position: Position,
  after: string | undefined,
  { prefix, limit, maxBytes }: PageBounds,
) => {
  const entries: StateEntry[] = [];
  let scanned = 0;
  let bytes = 0;
  let last: string | undefined;
  /** The newest of the versions at which the histories begin that have lost what was at `position`. */
  let lost: StateDocument | undefined;

  /**
   * Looks at up to `keys` more. A range is valid only until an await, so each look begins one behind the last key; what is
   * written between two of them has a later position, and is read past as between two pages.
   */
  const look = (keys: number): 'end' | 'full' | 'open' => {
    const until = scanned + keys;
    for (const [key, current] of store.range<StateDocument>('state', {
      prefix,
      ...given({ after: last ?? after }),
    })) {
      if (entries.length === limit || scanned === maxScanned || bytes >= maxBytes) return 'full';
      if (scanned === until) return 'open';
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
    return 'end';
  };

  return {
    look,
    get lost() {
      return lost;
    },
    shown: (isFull: boolean): StateList => ({
      entries,
      position,
      ...(isFull && last !== undefined ? { cursor: cursorOf(position, last) } : {}),
      scanned,
    }),
  };
};

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

  const list = async (
    options: StateListQuery,
    context: Context,
    keysPerTurn: number,
  ): Promise<Result<StateList>> => {
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
    const { store, asOf } = at.value;
    // Every page of one list shows the same position, so that the pages together are one snapshot.
    const position = asOf ?? at.value.position;
    const page = openPage(store, position, from?.[1] ?? options.after, {
      prefix,
      limit: clampLimit(options.limit),
      maxBytes: options.maxBytes ?? maxPageBytes,
    });
    let looked = page.look(keysPerTurn);
    while (looked === 'open') {
      await nextTurn();
      if (isGone(context)) return fault(problem('shutting_down', 'nobody waits for the list any longer'));
      looked = page.look(keysPerTurn);
    }
    if (page.lost === undefined) return ok(page.shown(looked === 'full'));
    // Nobody asked for this position: what was removed in a turn of others is no gap of a list as it is now.
    if (asOf === undefined && keysPerTurn < maxScanned) return list(options, context, maxScanned);
    return fault(lostProblem(position, page.lost));
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

    states: (options: StateListQuery, context: Context): Promise<Result<StateList>> =>
      list(options, context, turnKeys),

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
