import { type Position, parsePosition } from '../../domain/event.ts';
import { invalid, ok, type Result } from '../errors.ts';
import { type EventLog, LogError } from '../log/event-log.ts';
import type { ReadStore } from '../projection/read-store.ts';
import { createReadSizes, maxReadEvents } from './pages.ts';

// RFC 3339, section 5.6; the offset is required.
const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** Milliseconds since 1970 of an RFC 3339 time, or undefined for any other text. */
export const parseTime = (text: string): number | undefined => {
  if (!rfc3339.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
};

/**
 * Position of the last event whose `recordedAt` is not later than `timeMs` (inclusive); the log's start when all are
 * later. The time index of the read models leads to the neighbourhood, the log says exactly.
 */
export const positionAt = async (log: EventLog, store: ReadStore, timeMs: number): Promise<Position> => {
  let position = store.sampleAt(timeMs) ?? log.start;
  const sizes = createReadSizes();
  for (;;) {
    const page = await log.readAll({ after: position, limit: sizes.next(maxReadEvents) });
    sizes.saw(page.events);
    for (const event of page.events) {
      if (Date.parse(event.metadata.recordedAt) > timeMs) return position;
      position = event.position;
    }
    if (!page.more) return position;
    position = page.position;
  }
};

/** A position of this log from text: `invalid` under `/{name}` when it is none. */
export const positionOf = (log: EventLog, name: string, text: string): Result<Position> => {
  const position = parsePosition(text);
  if (position !== undefined && position.length === log.start.length) return ok(position);
  return invalid(`/${name}`, `must be a position of this log: ${log.start.length} lower-case hex digits`);
};

/**
 * The position behind which deliveries begin: `start`, `now`, a position, or a time (what was recorded at it or later).
 * Anything else is `invalid` under `/{name}`.
 */
export const resolvePlace = async (
  log: EventLog,
  store: ReadStore,
  name: string,
  text: string,
): Promise<Result<Position>> => {
  if (text === 'start') return ok(log.start);
  if (text === 'now') return ok(await log.position());
  const timeMs = parseTime(text);
  if (timeMs !== undefined) return ok(await positionAt(log, store, timeMs - 1));
  const position = positionOf(log, name, text);
  if (position.ok) return position;
  return invalid(
    `/${name}`,
    `must be start, now, a position (${log.start.length} hex digits) or an RFC 3339 time`,
  );
};

/** What a replay is to deliver: behind `from` (exclusive), up to `to` (inclusive). */
export type Stretch = { readonly from: Position; readonly to: Position };

/**
 * Both ends of a stretch that the log has now: `start`, `now`, a position or a time each. A position as `from` is
 * exclusive and as `to` inclusive; times are inclusive both; what lies ahead of the log's end is its end.
 */
export const resolveStretch = async (
  log: EventLog,
  store: ReadStore,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<Result<Stretch>> => {
  const first = await resolvePlace(log, store, 'from', from);
  if (!first.ok) return first;
  const toMs = parseTime(to);
  const last =
    toMs === undefined ? await resolvePlace(log, store, 'to', to) : ok(await positionAt(log, store, toMs));
  if (!last.ok) return last;
  const end = await log.position();
  if (first.value > last.value) return invalid('/to', 'must not lie before from');
  return ok({
    from: first.value < end ? first.value : end,
    to: last.value < end ? last.value : end,
  });
};

/** What `asOf` names: a position, or the position at a time. */
export const resolveAsOf = async (
  log: EventLog,
  store: ReadStore,
  text: string,
): Promise<Result<Position>> => {
  const timeMs = parseTime(text);
  if (timeMs !== undefined) return ok(await positionAt(log, store, timeMs));
  if (parsePosition(text)?.length === log.start.length) return positionOf(log, 'asOf', text);
  return invalid('/asOf', `must be a position (${log.start.length} hex digits) or an RFC 3339 time`);
};

type Read = Pick<EventLog, 'appendAll' | 'readAll' | 'reachable' | 'start'>;

/**
 * `position`, or the one before the transaction that it stands within: as of it, nobody sees half of a transaction. With a
 * log that cannot be reached it is taken as it is.
 */
export const outsideTransaction = async (log: Read, position: Position): Promise<Position> => {
  if (log.appendAll === undefined || !log.reachable) return position;
  try {
    return await beforeTransaction(log, position);
  } catch (error) {
    if (error instanceof LogError && error.code === 'log_unavailable') return position;
    throw error;
  }
};

const beforeTransaction = async (log: Read, position: Position): Promise<Position> => {
  const [next] = (await log.readAll({ after: position, limit: 1 })).events;
  let index = next?.metadata.transaction?.index ?? 0;
  if (next === undefined || index === 0) return position;
  for (let after = next.position; ; ) {
    const page = await log.readAll({ after, direction: 'backwards', limit: index + 1 });
    for (const event of page.events) {
      const at = event.metadata.transaction?.index ?? index;
      if (at >= index) return event.position;
      index = at;
    }
    if (!page.more) return log.start;
    after = page.position;
  }
};
