import { type Json, type Position, parsePosition } from '../../../domain/event.ts';
import { type Priority, priorities } from '../../../domain/message/message.ts';
import type { Failure } from '../../../domain/subscription/subscription.ts';
import type { Gap } from '../../nexus-core.ts';
import type { Entry } from './entry.ts';

/** An unsettled entry as a checkpoint names it: where its message stands, and what has happened to it. */
export type Saved = {
  readonly stream: string;
  readonly revision: number;
  readonly attempts: number;
  /** Milliseconds since 1970; 0 for one that waits for nothing. */
  readonly dueAtMs: number;
  readonly failures: readonly Failure[];
  readonly editedBy?: number;
};

/** What one source has handed over, and how far: `cursor` is the source's own. */
export type SavedSource = {
  readonly cursor: string;
  readonly pending: readonly Saved[];
  /** Of a lane: everything at or before it is settled. */
  readonly floor?: Position;
  /** Of a lane, by pending entry: a place to read that one and all behind it anew from. Not kept. */
  readonly before?: readonly Position[];
};

/** Everything that a dispatcher goes on from. */
export type SavedState = {
  /** Resets there had been: lanes of before another one do not count. */
  readonly resets: number;
  readonly lanes: Readonly<Record<Priority, SavedSource>>;
  readonly scheduled: SavedSource;
  readonly redrive: SavedSource;
  readonly replay: SavedSource;
  /** What retention has taken last before it was delivered. */
  readonly gap?: Gap | undefined;
};

/** An event of the log has 1,000,000 bytes, in which 10,000 entries of a few topics take half a million. */
const maxEntryBytes = 700_000;
/** Failures are kept as long as they fit. */
const maxFailureBytes = 150_000;
const maxReasonChars = 120;

export const savedOf = (entry: Entry): Saved => ({
  stream: entry.place.stream,
  revision: entry.place.revision,
  attempts: entry.attempts,
  dueAtMs: entry.dueAtMs,
  failures: entry.failures,
  ...(entry.editedBy === undefined ? {} : { editedBy: entry.editedBy }),
});

const sourceNames = [...priorities, 'scheduled', 'redrive', 'replay'] as const;

const sourcesOf = (state: SavedState): Readonly<Record<(typeof sourceNames)[number], SavedSource>> => ({
  ...state.lanes,
  scheduled: state.scheduled,
  redrive: state.redrive,
  replay: state.replay,
});

const digits = (value: number): number => String(value).length;

/**
 * As JSON, with each stream's name once, in at most about 900,000 bytes. What of a lane does not fit is read anew behind a
 * restart, as if the lane had not come so far: delivered again, and never lost.
 */
export const encodeState = (state: SavedState): Json => {
  const streams: string[] = [];
  const numbers = new Map<string, number>();
  const numberOf = (stream: string): number => {
    const known = numbers.get(stream);
    if (known !== undefined) return known;
    const next = streams.push(stream) - 1;
    numbers.set(stream, next);
    return next;
  };
  let entryRoom = maxEntryBytes;
  let failureRoom = maxFailureBytes;
  const fits = ({ stream, revision, dueAtMs, editedBy = 0 }: Saved): boolean => {
    const name = numbers.has(stream) ? 0 : stream.length + 3;
    entryRoom -= 20 + name + digits(revision) + digits(dueAtMs) + digits(editedBy);
    return entryRoom >= 0;
  };
  const failuresOf = (failures: readonly Failure[]): Json => {
    const short = failures.map(({ at, reason }) => [at, reason.slice(0, maxReasonChars)]);
    const bytes = short.length === 0 ? 0 : Buffer.byteLength(JSON.stringify(short));
    if (bytes > failureRoom) return [];
    failureRoom -= bytes;
    return short;
  };
  const sourceOf = ({ cursor, pending, floor, before }: SavedSource): Json => {
    const entries: Json[] = [];
    let from = cursor;
    for (const [index, one] of pending.entries()) {
      const place = before?.[index];
      if (!fits(one) && place !== undefined) {
        from = place;
        break;
      }
      const { stream, revision, attempts, dueAtMs, failures, editedBy = -1 } = one;
      entries.push([numberOf(stream), revision, attempts, dueAtMs, failuresOf(failures), editedBy]);
    }
    return [from, entries, floor ?? null];
  };
  const sources: Record<string, Json> = {};
  // What cannot be read anew comes first, then the lanes, the most urgent one before the others.
  for (const [name, source] of Object.entries(sourcesOf(state)).toReversed())
    sources[name] = sourceOf(source);
  const { gap } = state;
  return {
    version: 1,
    resets: state.resets,
    streams,
    sources,
    gap: gap === undefined ? null : [gap.from, gap.to],
  };
};

type Fields = { readonly [name: string]: unknown };
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

const decodeFailures = (value: unknown): readonly Failure[] =>
  !Array.isArray(value)
    ? []
    : value.flatMap((pair: unknown) => {
        if (!Array.isArray(pair)) return [];
        const [at, reason]: readonly unknown[] = pair;
        return typeof at === 'string' && typeof reason === 'string' ? [{ at, reason }] : [];
      });

const decodeSaved = (value: unknown, streams: readonly unknown[]): Saved | undefined => {
  if (!Array.isArray(value)) return undefined;
  const [number, revision, attempts, dueAtMs, failures, editedBy]: readonly unknown[] = value;
  if (!isCount(number) || !isCount(revision) || !isCount(attempts) || !isCount(dueAtMs)) return undefined;
  const stream = streams[number];
  if (typeof stream !== 'string') return undefined;
  return {
    stream,
    revision,
    attempts,
    dueAtMs,
    failures: decodeFailures(failures),
    ...(isCount(editedBy) ? { editedBy } : {}),
  };
};

const decodeSource = (value: unknown, streams: readonly unknown[]): SavedSource | undefined => {
  if (!Array.isArray(value)) return undefined;
  const [cursor, list, floor]: readonly unknown[] = value;
  if (typeof cursor !== 'string' || !Array.isArray(list)) return undefined;
  const pending = list.map((one: unknown) => decodeSaved(one, streams));
  if (!pending.every((one) => one !== undefined)) return undefined;
  const settled = typeof floor === 'string' ? parsePosition(floor) : undefined;
  return settled === undefined ? { cursor, pending } : { cursor, pending, floor: settled };
};

const decodeGap = (value: unknown): Gap | undefined => {
  if (!Array.isArray(value)) return undefined;
  const [from, to] = value.map((text: unknown) =>
    typeof text === 'string' ? parsePosition(text) : undefined,
  );
  return from === undefined || to === undefined ? undefined : { from, to };
};

/** Undefined for anything that `encodeState` has not made: then the subscription begins where it was created. */
export const decodeState = (value: unknown): SavedState | undefined => {
  if (!isFields(value) || value.version !== 1 || !isCount(value.resets)) return undefined;
  const { streams, sources } = value;
  if (!Array.isArray(streams) || !isFields(sources)) return undefined;
  const found = sourceNames.map((name) => decodeSource(sources[name], streams));
  const [low, normal, high, critical, scheduled, redrive, replay] = found;
  if (!low || !normal || !high || !critical || !scheduled || !redrive || !replay) return undefined;
  const lanes = { LOW: low, NORMAL: normal, HIGH: high, CRITICAL: critical };
  if (Object.values(lanes).some(({ cursor }) => parsePosition(cursor) === undefined)) return undefined;
  return { resets: value.resets, lanes, scheduled, redrive, replay, gap: decodeGap(value.gap) };
};

/** What a dispatcher begins with when nothing was saved. @param revision of the subscription's newest event. */
export const freshState = (from: Position, resets: number, nowIso: string, revision: number): SavedState => {
  const lane: SavedSource = { cursor: from, pending: [] };
  const follower: SavedSource = { cursor: String(revision), pending: [] };
  return {
    resets,
    lanes: { LOW: lane, NORMAL: lane, HIGH: lane, CRITICAL: lane },
    scheduled: { cursor: nowIso, pending: [] },
    redrive: follower,
    replay: follower,
  };
};

/**
 * `state` with its lanes begun anew at `to`, as a reset wants it: redrives that were asked for stay, replays are over. A
 * replay whose request stands before the reset is passed over wherever the cursor is.
 */
export const resetState = (state: SavedState, to: Position, resets: number, nowIso: string): SavedState => ({
  ...state,
  ...(({ lanes, scheduled }) => ({ lanes, scheduled }))(freshState(to, resets, nowIso, 0)),
  replay: { cursor: state.replay.cursor, pending: [] },
  gap: undefined,
  resets,
});
