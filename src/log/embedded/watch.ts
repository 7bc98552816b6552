import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogEvent } from '../../../domain/event.ts';
import type { LogError, WatchOptions } from '../event-log.ts';
import type { Marks } from './marks.ts';
import { sequenceAt } from './place.ts';
import type { Reader } from './reader.ts';
import type { Recent } from './recent.ts';

export type WatchSource = {
  readonly reader: Reader;
  readonly recent: Recent;
  readonly marks: Marks;
  readonly durable: () => number;
  readonly closed: () => boolean;
  readonly failure: () => LogError | undefined;
  /** Called once at the next commit, at the close or the failure of the log. */
  readonly wakers: Set<() => void>;
};

/** Of one pull: events, and bytes of records, which are decoded in one piece. */
const maxBatch = 1_000;
const maxBytes = 262_144;

/** Follows the log: from memory at its head, from the disk when behind. Holds no event between two pulls. */
export const watchLog = (
  source: WatchSource,
  { after, signal }: WatchOptions,
): AsyncIterable<readonly LogEvent[]> => ({
  [Symbol.asyncIterator]: () => {
    let sequence = sequenceAt(after);
    let ended = false;
    let wake: (() => void) | undefined;

    const stop = (): void => {
      ended = true;
      signal.removeEventListener('abort', stop);
      wake?.();
    };
    if (signal.aborted) ended = true;
    else signal.addEventListener('abort', stop, { once: true });

    const nextCommit = (): Promise<void> =>
      new Promise((resolve) => {
        const woken = (): void => {
          source.wakers.delete(woken);
          wake = undefined;
          resolve();
        };
        wake = woken;
        source.wakers.add(woken);
      });

    /** There was more than one pull takes: others have their turn before the next. */
    let more = false;
    const pull = async (): Promise<readonly LogEvent[] | undefined> => {
      while (!ended && !source.closed()) {
        if (more) await nextTurn();
        more = false;
        if (ended || source.closed()) break;
        const failure = source.failure();
        if (failure !== undefined) throw failure;
        if (sequence >= source.durable()) {
          await nextCommit();
          continue;
        }
        const recent = source.recent.after(sequence, maxBatch, maxBytes);
        if (recent !== undefined) {
          const newest = recent.at(-1);
          sequence = newest === undefined ? source.durable() : sequenceAt(newest.position);
          more = sequence < source.durable();
          const events = source.marks.visible(recent);
          if (events.length > 0) return events;
          continue;
        }
        more = true;
        const scanned = source.reader.scan(sequence, maxBatch, maxBytes);
        sequence = scanned.ended ? Math.max(sequence, scanned.last) : scanned.last;
        if (scanned.events.length > 0) return scanned.events;
        if (scanned.ended && sequence < source.durable()) sequence = source.durable();
      }
      stop();
      return undefined;
    };

    let pulling: Promise<unknown> = Promise.resolve();
    return {
      next: () => {
        const pulled = pulling.then(pull).then(
          (events): IteratorResult<readonly LogEvent[]> =>
            events === undefined ? { done: true, value: undefined } : { done: false, value: events },
          (error: unknown) => {
            stop();
            throw error;
          },
        );
        pulling = pulled.catch(() => undefined);
        return pulled;
      },
      return: () => {
        stop();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  },
});
