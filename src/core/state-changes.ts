import { decodeEvent } from '../../domain/catalog.ts';
import { asRevision, type Json, type LogEvent, type Position, streamKey } from '../../domain/event.ts';
import type { StateDocument } from '../../projections/documents.ts';
import type { StateChange } from '../nexus-core.ts';
import type { Parts } from './parts.ts';

/** How long a watcher of documents waits for the read models to pass an event before it is told from the log. */
export const readModelsMs = 5_000;

/** What an event makes of its key; undefined for one that is of no key. */
export const stateChangeOf = (event: LogEvent) => {
  const found = decodeEvent(event);
  if (!found.ok || !found.known) return undefined;
  const { type, data } = found.event;
  if (type === 'StateSet') return { value: data.value, deleted: false };
  return type === 'StateDeleted' ? { value: null, deleted: true } : undefined;
};

/** The changes of state keys that events make, each with the value of the version before. */
export const createStateChanges = ({ log, runner }: Pick<Parts, 'log' | 'runner'>) => {
  /** Null for a key that did not exist, and for a version that is no longer kept. */
  const valueBefore = async ({ stream, revision, position }: LogEvent): Promise<Json> => {
    if (revision === 0) return null;
    const history = runner.store.history<StateDocument>('state', streamKey(stream), position);
    for (const { document } of history) {
      if (document.version !== revision) break;
      return document.deleted ? null : document.value;
    }
    // The read models are behind, or keep less than the log does: an older version is not what was there.
    const last = asRevision(revision - 1);
    const [event] = await log.readStream(stream, { from: last, limit: 1 });
    return event?.revision === last ? (stateChangeOf(event)?.value ?? null) : null;
  };

  /** Many watch one key, and are handed the same event while it is recent: what was before it is read once. */
  const before = new WeakMap<LogEvent, Promise<Json>>();
  const oldValueOf = (event: LogEvent): Promise<Json> => {
    const known = before.get(event);
    if (known !== undefined) return known;
    const reading = valueBefore(event);
    before.set(event, reading);
    // One that failed is read again by who comes next.
    reading.catch(() => before.delete(event));
    return reading;
  };

  return async (events: readonly LogEvent[], position: Position): Promise<readonly StateChange[]> => {
    await runner.reached(position, readModelsMs);
    const changes: StateChange[] = [];
    for (const event of events) {
      const change = stateChangeOf(event);
      if (change === undefined) continue;
      changes.push({
        key: streamKey(event.stream),
        value: change.value,
        oldValue: await oldValueOf(event),
        version: event.revision + 1,
        deleted: change.deleted,
        position: event.position,
      });
    }
    return changes;
  };
};
