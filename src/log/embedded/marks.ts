import type { LogEvent, StreamId } from '../../../domain/event.ts';
import type { Mark } from './records.ts';

/** Truncation marks of all streams that have one, in memory. */
export type Marks = {
  /** Oldest visible revision of a stream. */
  before(stream: StreamId): number;
  get(stream: StreamId): Mark | undefined;
  set(stream: StreamId, mark: Mark): void;
  /** Whether an event that stands in the log must not be shown. */
  hides(event: LogEvent): boolean;
  /** `events` themselves when none is hidden. */
  visible(events: LogEvent[]): LogEvent[];
  /** Streams with hidden events that the scavenger has not freed, and their marks. */
  hidden(): ReadonlyMap<StreamId, number>;
};

export const createMarks = (stored: Iterable<readonly [StreamId, Mark]>): Marks => {
  const marks = new Map<StreamId, Mark>();
  const hidden = new Map<StreamId, number>();

  const set = (stream: StreamId, mark: Mark): void => {
    marks.set(stream, mark);
    if (mark.freed < mark.before) hidden.set(stream, mark.before);
    else hidden.delete(stream);
  };
  for (const [stream, mark] of stored) set(stream, mark);

  const hides = (event: LogEvent): boolean => event.revision < (hidden.get(event.stream) ?? 0);
  return {
    before: (stream) => marks.get(stream)?.before ?? 0,
    get: (stream) => marks.get(stream),
    set,
    hides,
    visible: (events) =>
      hidden.size === 0 || !events.some(hides) ? events : events.filter((event) => !hides(event)),
    hidden: () => hidden,
  };
};
