import type { LogEvent, Position, StreamId } from '../../../domain/event.ts';
import { categoryOf } from '../../../domain/event.ts';
import { checkStream } from '../encode.ts';
import {
  type EventFilter,
  LogError,
  type LogPage,
  type ReadAllOptions,
  type ReadStreamOptions,
} from '../event-log.ts';
import { eventOf, partsOf, type StoredEvent, start } from './codec.ts';
import { type Session, withRetries } from './session.ts';

const maxLimit = 10_000;
/** Events that one page of `readAll` looks at before it is handed out as it is. */
const scanEvents = 20_000;
const scanPage = 1_000;

const checkLimit = (limit: number): void => {
  if (Number.isInteger(limit) && limit >= 1 && limit <= maxLimit) return;
  throw new LogError('invalid', `a read has a limit of 1 to ${maxLimit}`, { limit });
};

const selects = ({ category, types }: EventFilter, event: LogEvent): boolean =>
  (category === undefined || categoryOf(event.stream) === category) &&
  (types === undefined || types.includes(event.type));

export const createReader = (session: Session) => {
  const { client, limits } = session;
  /** Behind `newest` and up to `scannedTo` there is no event of this log. */
  let newest: Position = start;
  let scannedTo: Position = start;

  const pageOfAll = (from: Position | undefined, backwards: boolean, limit: number): Promise<StoredEvent[]> =>
    withRetries(session, 'read of the log', () =>
      client.readAll({ from, backwards, limit }, limits.silenceMs),
    );

  const readStream = async (stream: StreamId, options: ReadStreamOptions): Promise<LogEvent[]> => {
    checkStream(stream);
    checkLimit(options.limit);
    const backwards = options.direction === 'backwards';
    const events: LogEvent[] = [];
    let from: number | undefined = options.from;
    for (;;) {
      const wanted = options.limit - events.length;
      const page = await withRetries(session, `read of ${stream}`, () =>
        client.readStream(stream, { from, backwards, limit: wanted }, limits.silenceMs),
      );
      for (const stored of page) {
        const event = eventOf(stored);
        if (event !== undefined) events.push(event);
      }
      // Short of the limit although the page was full: something that is no event of ours stood in it.
      const last = page.at(-1)?.revision;
      if (last === undefined || page.length < wanted || events.length === options.limit) return events;
      if (backwards && last === 0) return events;
      from = backwards ? last - 1 : last + 1;
    }
  };

  const readAll = async (options: ReadAllOptions): Promise<LogPage> => {
    const { after, limit } = options;
    checkLimit(limit);
    if (after !== undefined) partsOf(after);
    const backwards = options.direction === 'backwards';
    if (backwards && after === start) return { events: [], position: start, more: false };
    const isFiltered = options.category !== undefined || options.types !== undefined;
    const events: LogEvent[] = [];
    let cursor = after === start ? undefined : after;
    let position = after ?? start;
    for (let scanned = 0; scanned < scanEvents; ) {
      // One more tells whether there is more; another one because the server may begin with `cursor` itself.
      const wanted = Math.max(limit - events.length, isFiltered ? scanPage : 0) + 2;
      const page = await pageOfAll(cursor, backwards, wanted);
      for (const stored of page) {
        const isBehind = backwards ? stored.position < position : stored.position > position;
        if (cursor !== undefined && !isBehind) continue;
        const event = eventOf(stored);
        if (event !== undefined && selects(options, event)) {
          if (events.length === limit) return { events, position, more: true };
          events.push(event);
        }
        position = stored.position;
      }
      if (page.length < wanted) return { events, position, more: false };
      cursor = position;
      scanned += page.length;
    }
    return { events, position, more: true };
  };

  /** Scans from the end to what was scanned before: the server's own events stand behind the newest of ours. */
  const position = async (): Promise<Position> => {
    let cursor: Position | undefined;
    let end: Position | undefined;
    let found: Position | undefined;
    for (let size = 16; found === undefined; size = scanPage) {
      const page = await pageOfAll(cursor, true, size);
      end ??= page[0]?.position;
      for (const stored of page) {
        if (stored.position <= scannedTo) found = newest;
        else if (eventOf(stored) !== undefined) found = stored.position;
        if (found !== undefined) break;
      }
      if (page.length < size) found ??= newest;
      cursor = page.at(-1)?.position;
    }
    if (found > newest) newest = found;
    if (end !== undefined && end > scannedTo) scannedTo = end;
    return newest;
  };

  return { readStream, readAll, position };
};
