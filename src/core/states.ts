import { asPosition, type Position } from '../../domain/event.ts';
import { isStateKey, isStatePrefix } from '../../domain/names.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { stateEntryOf, stateVersionOf } from '../../projections/views.ts';
import { fault, invalid, ok, problem, type Result } from '../errors.ts';
import type { AsOf, Context, Page, StateEntry, StateHistory, StateVersion } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import { positionOf } from './as-of.ts';
import { maxPageBytes, weigh } from './pages.ts';
import type { Parts } from './parts.ts';
import { clampLimit, type Reads } from './reads.ts';

const keyRule = 'must be 1 to 512 bytes of UTF-8 without control characters';
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

/**
 * The document of one version, found by bisecting the positions between which it must stand: a long history costs no
 * more than a short one (64 or 128 steps at most, the width of a position in bits).
 */
const versionAt = (store: ReadStore, key: string, version: number): StateDocument | undefined => {
  const current = store.read<StateDocument>('state', key);
  if (current === undefined || version > current.version || version < 1) return undefined;
  if (current.version === version) return current;
  const width = current.position.length;
  let low = 0n;
  let high = BigInt(`0x${current.position}`) - 1n;
  while (low <= high) {
    const middle = (low + high) / 2n;
    const position = asPosition(middle.toString(16).padStart(width, '0'));
    const past = store.at<StateDocument>('state', key, position);
    if (past?.document.version === version) return past.document;
    if (past === undefined || past.document.version < version) low = middle + 1n;
    else high = BigInt(`0x${past.position}`) - 1n;
  }
  return undefined;
};

export const createStateQueries = (reads: Reads, { log }: Pick<Parts, 'log'>) => {
  const documentOf = (
    store: ReadStore,
    key: string,
    asOf: Position | undefined,
    version: number | undefined,
  ): StateDocument | undefined => {
    if (version !== undefined) {
      const document = versionAt(store, key, version);
      return document !== undefined && asOf !== undefined && document.position > asOf ? undefined : document;
    }
    return asOf === undefined
      ? store.read<StateDocument>('state', key)
      : store.at<StateDocument>('state', key, asOf)?.document;
  };

  return {
    state: async (
      key: string,
      options: { readonly version?: number; readonly asOf?: AsOf },
      context: Context,
    ): Promise<Result<StateEntry>> => {
      if (!isStateKey(key)) return invalid('/key', keyRule);
      const at = await reads.begin(context, { scope: 'state:read', key }, options.asOf);
      if (!at.ok) return at;
      const document = documentOf(at.value.store, key, at.value.asOf, options.version);
      if (document === undefined || document.deleted) {
        return fault(problem('not_found', `the key ${key} does not exist`, { key }));
      }
      return ok(stateEntryOf(key, document));
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
      let last: string | undefined;
      const after = from?.[1] ?? options.after;
      const range = store.range<StateDocument>('state', after === undefined ? { prefix } : { prefix, after });
      for (const [key, current] of range) {
        if (entries.length === limit || scanned === maxScanned || bytes >= maxPageBytes) {
          return ok({
            entries,
            position,
            ...(last === undefined ? {} : { cursor: cursorOf(position, last) }),
          });
        }
        scanned++;
        last = key;
        const document =
          current.position <= position ? current : store.at<StateDocument>('state', key, position)?.document;
        if (document === undefined || document.deleted) continue;
        entries.push(stateEntryOf(key, document));
        bytes += weigh(document.value);
      }
      return ok({ entries, position });
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
      const start = before === undefined ? undefined : versionAt(store, key, before)?.position;
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
      if (history.length === 0 && store.read('state', key) === undefined) {
        return fault(problem('not_found', `the key ${key} never existed`, { key }));
      }
      return ok({ key, history, more });
    },
  };
};
