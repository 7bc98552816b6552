import { asRevision, type Position, type Revision, type StreamId } from '../../domain/event.ts';
import type { EventLog } from './event-log.ts';

/**
 * Revision of the first visible event of `stream` that stands behind `after`, or undefined when there is none: a binary
 * search over the stream, so a topic among millions of other events is found in a few reads.
 */
export const firstRevisionAfter = async (
  log: EventLog,
  stream: StreamId,
  after: Position,
): Promise<Revision | undefined> => {
  const head = await log.head(stream);
  if (head === undefined) return undefined;
  const eventAt = async (revision: number) => {
    const [event] = await log.readStream(stream, { from: asRevision(revision), limit: 1 });
    return event;
  };
  let low: number = head.truncatedBefore;
  let high: number = head.revision + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const event = await eventAt(middle);
    // A read from a truncated revision gives the next one that is still there.
    if (event === undefined || event.position > after) high = middle;
    else low = Math.max(event.revision, middle) + 1;
  }
  return low > head.revision ? undefined : asRevision(low);
};
