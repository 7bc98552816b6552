import { asRevision, asStreamId, type LogEvent } from '../../../domain/event.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Place } from './entry.ts';

/** Events that are read at a time: places beside each other in one read, and of a server a round trip each. */
const atOnce = 32;

/** Places that follow each other in their stream. */
type Run = { readonly stream: string; readonly from: number; length: number };

const runsOf = (places: readonly Place[]): readonly Run[] => {
  const runs: Run[] = [];
  for (const { stream, revision } of places) {
    const last = runs.at(-1);
    if (last?.stream === stream && last.from + last.length === revision) last.length++;
    else runs.push({ stream, from: revision, length: 1 });
  }
  return runs;
};

/** The events that stand at `places`, in that order; undefined for one that retention has taken. */
export const loadEvents = async (
  log: Pick<EventLog, 'readStream'>,
  places: readonly Place[],
): Promise<readonly (LogEvent | undefined)[]> => {
  const load = async ({ stream, from, length }: Run): Promise<readonly (LogEvent | undefined)[]> => {
    const events = await log.readStream(asStreamId(stream), { from: asRevision(from), limit: length });
    const found = new Map<number, LogEvent>(events.map((event) => [event.revision, event]));
    return Array.from({ length }, (_, index) => found.get(from + index));
  };
  const loaded: (LogEvent | undefined)[] = [];
  for (let start = 0; start < places.length; start += atOnce) {
    const runs = runsOf(places.slice(start, start + atOnce));
    loaded.push(...(await Promise.all(runs.map(load))).flat());
  }
  return loaded;
};
