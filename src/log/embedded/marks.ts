import type { LogEvent, StreamId } from '../../../domain/event.ts';
import type { Mark } from './records.ts';

/** Truncation marks of all streams that have one, in memory. Marks only rise. */
export type Marks = {
  /** Oldest visible revision of a stream. */
  before(stream: StreamId): number;
  freed(stream: StreamId): number;
  /** The mark to write so that nothing is lowered, neither on disk nor on its way there. */
  raise(stream: StreamId, mark: Mark): Mark;
  /** A mark is durable: it counts from now on. */
  settle(stream: StreamId, mark: Mark): void;
  /** Whether an event that stands in the log must not be shown. */
  hides(event: LogEvent): boolean;
  /** `events` themselves when none is hidden. */
  visible(events: LogEvent[]): LogEvent[];
  /** Streams with hidden events that the scavenger has not freed, and their marks. */
  hidden(): ReadonlyMap<StreamId, number>;
};

const none: Mark = { before: 0, freed: 0 };

export const createMarks = (stored: Iterable<readonly [StreamId, Mark]>): Marks => {
  const marks = new Map<StreamId, Mark>();
  const hidden = new Map<StreamId, number>();
  const onTheirWay = new Map<StreamId, Mark>();

  const settle = (stream: StreamId, mark: Mark): void => {
    marks.set(stream, mark);
    if (onTheirWay.get(stream) === mark) onTheirWay.delete(stream);
    if (mark.freed < mark.before) hidden.set(stream, mark.before);
    else hidden.delete(stream);
  };
  for (const [stream, mark] of stored) settle(stream, mark);

  const hides = (event: LogEvent): boolean => event.revision < (hidden.get(event.stream) ?? 0);
  return {
    before: (stream) => marks.get(stream)?.before ?? 0,
    freed: (stream) => marks.get(stream)?.freed ?? 0,
    raise(stream, mark) {
      const known = onTheirWay.get(stream) ?? marks.get(stream) ?? none;
      const raised = {
        before: Math.max(known.before, mark.before),
        freed: Math.max(known.freed, mark.freed),
      };
      onTheirWay.set(stream, raised);
      return raised;
    },
    settle,
    hides,
    visible: (events) =>
      hidden.size === 0 || !events.some(hides) ? events : events.filter((event) => !hides(event)),
    hidden: () => hidden,
  };
};
