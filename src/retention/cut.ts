import { asRevision, type StreamId } from '../../domain/event.ts';
import type { Limits } from '../../domain/retention/retention.ts';
import { createReadSizes, maxReadEvents } from '../core/pages.ts';
import type { EventLog } from '../log/event-log.ts';
import { bytesOf, createTally, type Tally } from './tally.ts';

/** What is remembered of a stream between runs, so that none reads it whole again. */
export type Progress = {
  /** Revision of the oldest event that is left. */
  before: number;
  /** Revision of the oldest event that the age was asked of last, and the time (ms since 1970) from which that counts. */
  oldest: { readonly revision: number; readonly ms: number } | undefined;
  tally: Tally | undefined;
};

export type Cut = {
  /** Revision of the oldest event that may stay: at most the newest one's. */
  readonly before: number;
  /** False when more events than `maxCounted` had to be counted: the next run goes on. */
  readonly done: boolean;
};

/** Events of one stream whose bytes one run counts. */
const maxCounted = 20_000;

const timeOf = async (log: EventLog, stream: StreamId, revision: number): Promise<number | undefined> => {
  const [event] = await log.readStream(stream, { from: asRevision(revision), limit: 1 });
  return event && Date.parse(event.metadata.recordedAt);
};

/**
 * The first revision from `low` on whose age counts from `limitMs` or later; `newest` when all before it are older. Steps
 * that double, then bisection: times rise with revisions, and mostly little is to go.
 */
const cutByAge = async (
  log: EventLog,
  stream: StreamId,
  progress: Progress,
  low: number,
  newest: number,
  limitMs: number,
  agesBy: 0 | 1,
): Promise<number> => {
  if (progress.oldest?.revision === low && progress.oldest.ms >= limitMs) return low;
  let old = low - 1;
  let fresh = newest;
  const look = async (revision: number): Promise<boolean> => {
    const ms = await timeOf(log, stream, revision + agesBy);
    if (ms !== undefined && ms < limitMs) {
      old = revision;
      return true;
    }
    fresh = revision;
    progress.oldest = ms === undefined ? undefined : { revision, ms };
    return false;
  };
  for (let step = 1; old + step < fresh && (await look(old + step)); step *= 2);
  while (fresh - old > 1) await look(Math.floor((old + fresh) / 2));
  return fresh;
};

const cutByBytes = async (
  log: EventLog,
  stream: StreamId,
  progress: Progress,
  low: number,
  newest: number,
  maxBytes: number,
): Promise<Cut> => {
  if (progress.tally?.maxBytes !== maxBytes) progress.tally = createTally(maxBytes, low);
  const { tally } = progress;
  tally.forget(low);
  const sizes = createReadSizes();
  for (let counted = 0; tally.next <= newest && counted < maxCounted; ) {
    const limit = sizes.next(Math.min(maxReadEvents, newest + 1 - tally.next));
    const events = await log.readStream(stream, { from: asRevision(tally.next), limit });
    if (events.length === 0) break;
    for (const event of events) tally.add(event.revision, bytesOf(event));
    sizes.saw(events);
    counted += events.length;
  }
  return { before: Math.max(low, tally.from), done: tally.next > newest };
};

/**
 * Where `limits` cut a stream whose newest event has the revision `newest`.
 *
 * @param agesBy an event is as old as the one so many revisions behind it.
 */
export const cutOf = async (
  log: EventLog,
  stream: StreamId,
  { maxAgeSec, maxMessages, maxBytes }: Limits,
  progress: Progress,
  newest: number,
  nowMs: number,
  agesBy: 0 | 1,
): Promise<Cut> => {
  let { before } = progress;
  if (maxMessages !== null) before = Math.max(before, newest + 1 - maxMessages);
  if (maxAgeSec !== null && before < newest)
    before = await cutByAge(log, stream, progress, before, newest, nowMs - maxAgeSec * 1_000, agesBy);
  const cut =
    maxBytes === null
      ? { before, done: true }
      : await cutByBytes(log, stream, progress, before, newest, maxBytes);
  if (cut.before >= newest) progress.oldest = undefined;
  return { before: Math.min(cut.before, newest), done: cut.done };
};
