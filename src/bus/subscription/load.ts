import { asRevision, asStreamId, type LogEvent } from '../../../domain/event.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Place } from './entry.ts';

/** Reads at a time: of a server a round trip each. */
const atOnce = 32;

/** The events that stand at `places`, in that order; undefined for one that retention has taken. */
export const loadEvents = async (
  log: Pick<EventLog, 'readStream'>,
  places: readonly Place[],
): Promise<readonly (LogEvent | undefined)[]> => {
  const found: (LogEvent | undefined)[] = [];
  for (let start = 0; start < places.length; start += atOnce) {
    const read = places.slice(start, start + atOnce).map(async ({ stream, revision }) => {
      const [event] = await log.readStream(asStreamId(stream), { from: asRevision(revision), limit: 1 });
      return event?.revision === revision ? event : undefined;
    });
    found.push(...(await Promise.all(read)));
  }
  return found;
};
