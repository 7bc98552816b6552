import {
  asRevision,
  type LogEvent,
  type Position,
  type Revision,
  type StreamId,
} from '../../domain/event.ts';
import type { EventLog } from '../log/event-log.ts';
import { categoryOfSelection, ofPriority, type Selection, selects } from './filter.ts';

export type HistoryPage = {
  readonly events: readonly LogEvent[];
  /** Everything at or before it that is selected has been read. */
  readonly position: Position;
  /** True when events between `after` and the first of `events` were truncated, as far as that can be known. */
  readonly gap: boolean;
};

/** Reads what a selection has in the log, page by page. */
export type History = {
  /**
   * Selected events behind `after`, oldest first, from at most `limit` events of the log.
   *
   * @param known a position that the log had reached before the call: a page that meets the end reaches at least to it.
   */
  read(after: Position, known: Position, limit: number): Promise<HistoryPage>;
};

const latest = (left: Position, right: Position): Position => (left > right ? left : right);

const historyOfAll = (log: EventLog, selection: Selection): History => {
  const category = categoryOfSelection(selection);
  const whole = selection.type === 'all' || selection.type === 'category';
  return {
    async read(after, known, limit) {
      const page = await log.readAll(category === undefined ? { after, limit } : { after, limit, category });
      return {
        events: whole ? page.events : page.events.filter((event) => selects(selection, event)),
        position: page.more ? page.position : latest(page.position, latest(after, known)),
        gap: false,
      };
    },
  };
};

/** Of these many newest events is looked for the place first: who comes back has rarely been away for long. */
const tailEvents = 64;

type Place = {
  /** Position that the place stands behind. */
  readonly after: Position;
  readonly from: Revision;
  /** True when `from` is the revision right behind one that was seen: a greater first one means truncation. */
  readonly exact: boolean;
};

/**
 * The first revision of `stream` whose position is behind `after`, by bisection: positions rise with revisions, and
 * no back end can be asked for a stream by position.
 */
const findPlace = async (log: EventLog, stream: StreamId, after: Position): Promise<Place> => {
  if (after === log.start) return { after, from: asRevision(0), exact: true };
  const tail = await log.readStream(stream, { direction: 'backwards', limit: tailEvents });
  let high = 0;
  for (const event of tail) {
    if (event.position <= after) return { after, from: asRevision(event.revision + 1), exact: true };
    high = event.revision;
  }
  let low = 0;
  let exact = false;
  if (tail.length < tailEvents) return { after, from: asRevision(high), exact };
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [event] = await log.readStream(stream, { from: asRevision(middle), limit: 1 });
    if (event === undefined || event.position > after) high = middle;
    else {
      low = event.revision + 1;
      exact = true;
    }
  }
  return { after, from: asRevision(low), exact };
};

const historyOfStream = (
  log: EventLog,
  selection: Extract<Selection, { readonly type: 'stream' }>,
): History => {
  const { stream } = selection;
  let place: Place | undefined;
  return {
    async read(after, known, limit) {
      if (place?.after !== after) place = await findPlace(log, stream, after);
      const { from, exact } = place;
      const events = await log.readStream(stream, { from, limit });
      const first = events[0];
      const last = events.at(-1);
      const position =
        last !== undefined && events.length === limit
          ? last.position
          : latest(last?.position ?? after, latest(after, known));
      place = {
        after: position,
        from: last === undefined ? from : asRevision(last.revision + 1),
        exact: exact || last !== undefined,
      };
      return {
        events: events.filter((event) => ofPriority(selection, event)),
        position,
        gap: exact && first !== undefined && first.revision > from,
      };
    },
  };
};

export const createHistory = (log: EventLog, selection: Selection): History =>
  selection.type === 'stream' ? historyOfStream(log, selection) : historyOfAll(log, selection);
