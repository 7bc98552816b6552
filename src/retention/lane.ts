import { setImmediate as nextTurn } from 'node:timers/promises';
import type { NewMetadata, StreamId } from '../../domain/event.ts';
import type { Limits } from '../../domain/retention/retention.ts';
import { trimIdOf } from '../../domain/retention/trims.ts';
import type { TrimDocument } from '../../projections/documents.ts';
import { trims } from '../../projections/trims.ts';
import type { Handler } from '../command/handle.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Runner } from '../projection/runner.ts';
import { cutOf, type Progress } from './cut.ts';
import type { Candidate, Kind } from './kinds.ts';
import { trimStream } from './trim.ts';

export type LaneRun = {
  /** Ids that were looked at. */
  readonly looked: number;
  readonly truncatedEvents: number;
  /** False when there is more to do at once. */
  readonly done: boolean;
};

/** The work on streams of one kind, and what is remembered of them between runs. */
export type Lane = {
  /** The stream of `id` has a new event. */
  touch(id: string): void;
  /** The next run looks at all ids with limits. */
  startOver(): void;
  /** One at a time. @throws {LogError} */
  run(nowMs: number, metadata: NewMetadata, signal: AbortSignal): Promise<LaneRun>;
};

export type LaneOptions = {
  readonly log: EventLog;
  readonly runner: Pick<Runner, 'store'>;
  readonly handler: Pick<Handler, 'appendAny'>;
  readonly kind: Kind;
  /** Ids whose oldest event or bytes are remembered; 50,000 unless given. */
  readonly maxRemembered?: number;
};

const defaultMaxRemembered = 50_000;
const maxTouched = 100_000;
const pageIds = 256;
/** Ids that are worked on at a time: their appends share a commit. */
const side = 16;

export const createLane = ({
  log,
  runner,
  handler,
  kind,
  maxRemembered = defaultMaxRemembered,
}: LaneOptions): Lane => {
  const remembered = new Map<string, Progress>();
  let touched = new Set<string>();
  let everything = true;
  let unfinished = false;
  /** When the first of those that found no place in memory is due: all ids are looked at then. */
  let othersDueMs = Number.POSITIVE_INFINITY;

  const add = (id: string): void => {
    if (touched.size < maxTouched) touched.add(id);
    else everything = true;
  };

  const dueMsOf = ({ oldest }: Progress, maxAgeSec: number | null | undefined): number =>
    oldest === undefined || typeof maxAgeSec !== 'number'
      ? Number.POSITIVE_INFINITY
      : oldest.ms + maxAgeSec * 1_000;

  /** Limits of a count alone leave nothing to remember. */
  const remember = (id: string, progress: Progress, { maxAgeSec, maxBytes }: Limits): void => {
    if (maxAgeSec === null && maxBytes === null) return;
    if (!remembered.has(id) && remembered.size >= maxRemembered) {
      for (const [first, other] of remembered) {
        othersDueMs = Math.min(othersDueMs, dueMsOf(other, kind.limitsOf(first)?.maxAgeSec));
        remembered.delete(first);
        break;
      }
    }
    remembered.set(id, progress);
  };

  const allOf = function* (prefix: string): Iterable<readonly Candidate[]> {
    for (let after: string | undefined; ; ) {
      const page: Candidate[] = [];
      for (const candidate of kind.range(prefix, after)) {
        [after] = candidate;
        if (page.push(candidate) === pageIds) break;
      }
      yield page;
      if (page.length < pageIds) return;
    }
  };

  const all = function* (): Iterable<readonly Candidate[]> {
    for (const prefix of kind.prefixes()) yield* allOf(prefix);
  };

  const some = function* (ids: ReadonlySet<string>): Iterable<readonly Candidate[]> {
    let page: Candidate[] = [];
    for (const id of ids) {
      const newest = kind.newestOf(id);
      if (newest !== undefined) page.push([id, newest]);
      if (page.length < pageIds) continue;
      yield page;
      page = [];
    }
    yield page;
  };

  /** What the run is to look at, taken over from those who tell of it. */
  const takeCandidates = (nowMs: number): Iterable<readonly Candidate[]> => {
    const ids = touched;
    touched = new Set();
    if (everything || othersDueMs < nowMs) {
      everything = false;
      othersDueMs = Number.POSITIVE_INFINITY;
      return all();
    }
    for (const [id, progress] of remembered)
      if (progress.oldest !== undefined && dueMsOf(progress, kind.limitsOf(id)?.maxAgeSec) < nowMs)
        ids.add(id);
    return some(ids);
  };

  /** Told without the log: most ids of a pass have nothing to lose. */
  const mayLose = (before: number, newest: number, { maxMessages, maxAgeSec, maxBytes }: Limits): boolean => {
    if (newest <= before) return false;
    if (maxAgeSec !== null || maxBytes !== null) return true;
    return maxMessages !== null && newest + 1 - maxMessages > before;
  };

  const recordedBefore = (stream: StreamId): number =>
    runner.store.read<TrimDocument>(trims.name, trimIdOf(stream))?.before ?? 0;

  const firstLook = async (stream: StreamId): Promise<Progress> => {
    const head = await log.head(stream);
    return { before: head?.truncatedBefore ?? 0, oldest: undefined, tally: undefined };
  };

  /** How many events were removed. */
  const enforce = async (
    [id, newest]: Candidate,
    limits: Limits,
    nowMs: number,
    metadata: NewMetadata,
  ): Promise<number> => {
    const stream = kind.streamOf(id);
    const known = remembered.get(id);
    if (!mayLose(known?.before ?? recordedBefore(stream), newest, limits)) return 0;
    const progress = known ?? (await firstLook(stream));
    const { before } = progress;
    const cut = await cutOf(log, stream, limits, progress, newest, nowMs, kind.agesBy);
    remember(id, progress, limits);
    if (!cut.done) {
      add(id);
      unfinished = true;
    }
    if (cut.before <= before) return 0;
    if (await trimStream(log, handler, stream, cut.before, metadata)) {
      progress.before = cut.before;
      return cut.before - before;
    }
    // Another node was at it: what it has left is seen by the next run.
    remembered.delete(id);
    add(id);
    return 0;
  };

  return {
    touch(id) {
      if (!touched.has(id) && kind.limitsOf(id) !== undefined) add(id);
    },
    startOver() {
      everything = true;
    },
    async run(nowMs, metadata, signal) {
      if (kind.refresh()) {
        remembered.clear();
        touched.clear();
        everything = true;
      }
      let looked = 0;
      let truncatedEvents = 0;
      unfinished = false;
      for (const page of takeCandidates(nowMs)) {
        const limited: (readonly [Candidate, Limits])[] = [];
        for (const candidate of page) {
          const limits = kind.limitsOf(candidate[0]);
          if (limits !== undefined) limited.push([candidate, limits]);
        }
        for (let at = 0; at < limited.length; at += side) {
          const settled = await Promise.allSettled(
            limited
              .slice(at, at + side)
              .map(([candidate, limits]) => enforce(candidate, limits, nowMs, metadata)),
          );
          for (const one of settled) {
            if (one.status === 'rejected') throw one.reason;
            truncatedEvents += one.value;
          }
          looked += settled.length;
          if (signal.aborted) throw signal.reason;
        }
        await nextTurn();
      }
      return { looked, truncatedEvents, done: !unfinished };
    },
  };
};
