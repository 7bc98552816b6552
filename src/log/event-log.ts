import type { LogEvent, NewEvent, Position, Revision, StreamId } from '../../domain/event.ts';

/**
 * What the writer believes of a stream before its append:
 * `none` it has no event (never had, truncation included); `exists` it has one; `any` nothing;
 * a revision: its newest event has exactly that revision.
 */
export type Expected = 'none' | 'any' | 'exists' | Revision;

export type Appended = {
  readonly ok: true;
  /** Position and revision of each event of the append, in order. */
  readonly events: readonly { readonly revision: Revision; readonly position: Position }[];
  /** True when the log already had these ids: nothing was written, and these are their first places. */
  readonly duplicate: boolean;
};

export type AppendConflict = {
  readonly ok: false;
  readonly stream: StreamId;
  readonly expected: Expected;
  /** Newest revision of the stream, or `none`. */
  readonly actual: Revision | 'none';
};

export type AppendResult = Appended | AppendConflict;

/** One stream's part of an append to several; without events it only asserts what is expected. */
export type StreamAppend = {
  readonly stream: StreamId;
  readonly events: readonly NewEvent[];
  readonly expected: 'none' | Revision;
};

export type AppendedAll = {
  readonly ok: true;
  /** Of each part in the given order, its events' places. */
  readonly parts: readonly Appended['events'][];
  /** The newest event of the log when this was judged, the last one written included: everything holds as of it. */
  readonly position: Position;
  /** True when the log already had these ids: nothing was written, and these are their first places. */
  readonly duplicate: boolean;
};

/** The conflict names the first part whose `expected` does not hold. */
export type AppendAllResult = AppendedAll | AppendConflict;

export type StreamHead = {
  readonly revision: Revision;
  /** Events before this revision were truncated; 0 when none was. */
  readonly truncatedBefore: Revision;
};

export type ReadStreamOptions = {
  /** First revision to return, inclusive; the oldest (forwards) or the newest (backwards) unless given. */
  readonly from?: Revision;
  readonly direction?: 'forwards' | 'backwards';
  /** 1 … 10,000. */
  readonly limit: number;
  /**
   * A log that can tell ends the read behind the event with which it has brought so many bytes, short of `limit`:
   * whoever gives this goes on until nothing comes.
   */
  readonly maxBytes?: number;
};

export type EventFilter = {
  readonly category?: string;
  readonly types?: readonly string[];
};

export type ReadAllOptions = EventFilter & {
  /** Exclusive: forwards what stands behind it, backwards what stands before it. Absent: from that end. */
  readonly after?: Position;
  readonly direction?: 'forwards' | 'backwards';
  /** Greatest number of matching events to return, 1 … 10,000. */
  readonly limit: number;
};

export type LogPage = {
  readonly events: readonly LogEvent[];
  /**
   * How far the read has looked, matching or not: pass it as `after` to go on. Equals the given `after`
   * (or the log's start) when there was nothing.
   */
  readonly position: Position;
  /** False when the end of the log (that end which `direction` points to) was reached. */
  readonly more: boolean;
};

export type WatchOptions = {
  /** Exclusive; `logStart` for everything. */
  readonly after: Position;
  readonly signal: AbortSignal;
};

export type LogKind = 'embedded' | 'redis' | 'eventstoredb';

/** What the log does when the machine loses power just after an append was acknowledged. */
export type Durability = {
  /** True when every acknowledged append is on disk, as far as this process can know. */
  readonly durable: boolean;
  /** One sentence for the start line and /health, e.g. `appendfsync everysec: …`. */
  readonly note: string;
};

/**
 * One append-only log: atomic per stream, one global order, durable before it is answered.
 *
 * Guarantees of every adapter (test/log/contract.ts holds them to it):
 * - Positions are assigned inside the commit. A reader or watcher never passes a hole: once it has seen
 *   position P, no event at or before P appears later.
 * - `recordedAt` is set by the log and never decreases along it.
 * - An append ends ok, conflict or throws. An unknown outcome is resolved by event id before the caller is told.
 * - Nothing waits for ever: every call settles or rejects within the adapter's own time limits.
 */
export type EventLog = {
  readonly kind: LogKind;
  readonly durability: Durability;
  /** Position before the first event: all zeros, as wide as every position of this log. */
  readonly start: Position;
  /** False while the back end cannot be reached; an embedded log is always reachable until it failed. */
  readonly reachable: boolean;

  /**
   * Appends all `events` to the end of `stream`, or none.
   *
   * Resolves once they are durable and visible to `read…` and `watch`. `expected` is compared inside the same
   * commit; a mismatch is a value, not an exception. Idempotent by event id: with `none` or a revision for
   * ever (the ids stand where the append would have put them), with `any` and `exists` for at least 24 h.
   *
   * @param events 1 … 1,000 events, at most 1,000,000 bytes in all once encoded (`encodedBytes`).
   * @throws {LogError} `too_large`, `log_full`, `log_unavailable` (safe to try again with the same ids),
   *   `log_closed`, `log_failed` (final: this process must end).
   */
  append(stream: StreamId, events: readonly NewEvent[], expected: Expected): Promise<AppendResult>;

  /**
   * Appends the events of all `parts`, contiguous in the global order, or none; absent on a back end that cannot.
   *
   * As `append`, in one commit: every `expected` is compared inside it, and every part's state is durable before the
   * answer. Idempotent by event id for ever. When it is a duplicate, parts without events are not looked at.
   *
   * @param parts 1 … 1,000 of different streams; 1,000 events, and 1,000,000 bytes once encoded, in all.
   * @throws {LogError} as `append`.
   */
  appendAll?(parts: readonly StreamAppend[]): Promise<AppendAllResult>;

  /** Events of one stream; an unknown or wholly truncated stream is an empty array. Truncated ones are left out. */
  readStream(stream: StreamId, options: ReadStreamOptions): Promise<readonly LogEvent[]>;
  readAll(options: ReadAllOptions): Promise<LogPage>;

  /**
   * Every event behind `after`: those that stand in the log, then those that come, in order, each once, in
   * batches of 1 … 1,000. It goes on across lost connections by itself. Pull-based: memory stays
   * bounded however slowly it is consumed. Ends without an error when `signal` aborts or the log closes.
   */
  watch(options: WatchOptions): AsyncIterable<readonly LogEvent[]>;

  /** Undefined for a stream that never had an event. */
  head(stream: StreamId): Promise<StreamHead | undefined>;
  /** Position of the newest durable event; `start` when there is none. */
  position(): Promise<Position>;

  /**
   * Hides all events of `stream` before revision `before` from reads at once; at most the newest event stays
   * visible always (`before` is clamped to the head's revision). Never lowers an earlier mark.
   */
  truncate(stream: StreamId, before: Revision): Promise<void>;
  /** Frees the space of truncated events, a bounded step at a time. Resolves with how much it freed. */
  scavenge(options?: {
    readonly signal?: AbortSignal;
  }): Promise<{ readonly events: number; readonly bytes: number }>;

  /** Settles what is in flight (5 s at most), then releases everything. Idempotent. */
  close(): Promise<void>;
};

export type LogErrorCode =
  | 'too_large'
  | 'log_full'
  | 'log_unavailable'
  | 'log_closed'
  | 'log_failed'
  | 'log_corrupt'
  | 'invalid';

/** Broken infrastructure, or an append that no log takes. `code` is stable (src/errors.ts maps it). */
export class LogError extends Error {
  override readonly name = 'LogError';
  readonly code: LogErrorCode;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: LogErrorCode, message: string, facts: Record<string, unknown> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.facts = facts;
  }
}

export const maxAppendEvents = 1_000;
export const maxAppendBytes = 1_000_000;
/** UTF-8 bytes of the longest stream name: a state key of 512 bytes behind its category. */
export const maxStreamBytes = 600;
export const logStream = 'nexus-log' as StreamId;
