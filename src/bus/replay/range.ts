import { setTimeout as delay } from 'node:timers/promises';
import type { LogEvent, Position } from '../../../domain/event.ts';
import { type EventLog, LogError } from '../../log/event-log.ts';
import { roughBytes } from '../../rough-bytes.ts';
import { selectionOf } from '../../watch/filter.ts';
import { createHistory } from '../../watch/history.ts';
import type { Hub } from '../../watch/hub.ts';
import { createTurns } from '../../watch/turns.ts';

/** A stretch of the log: the messages of a pattern behind `from` (exclusive), up to `to` (inclusive). */
export type Range = { readonly topic: string; readonly from: Position; readonly to: Position };

export type RangeStep =
  /** Messages in log order; none where a page held nothing of the pattern. Everything up to `position` has been told. */
  | { readonly type: 'items'; readonly events: readonly LogEvent[]; readonly position: Position }
  /** Of what stood between some was removed, as a watch tells it (src/watch/hub.ts): before the first item behind `from`. */
  | { readonly type: 'gap'; readonly from: Position; readonly to: Position };

export type Ranges = {
  /**
   * Reads the range once, a page of about 1 MiB for each pull, and nothing ahead of it; the last step's position is `to`
   * unless `signal` aborts. A log that cannot be reached is waited for. `to` must be a place that the log has reached.
   *
   * @throws {LogError} `log_closed`, `log_corrupt`, `log_failed`.
   */
  read(range: Range, signal: AbortSignal): AsyncGenerator<RangeStep, void, undefined>;
};

const firstPageEvents = 32;
const maxPageEvents = 256;
const minPageEvents = 4;
const pageBytes = 1_048_576;
const maxWeight = 2_000_000;
const retryMs = 250;

/** @param maxReads Reads of the log at a time, of all ranges together. */
export const createRanges = (log: EventLog, hub: Pick<Hub, 'gapBehind'>, maxReads = 4): Ranges => {
  const turns = createTurns(maxReads);

  const sizeAfter = (size: number, events: readonly LogEvent[]): number => {
    let bytes = 0;
    for (const { data } of events) bytes += 400 + roughBytes(data, maxWeight);
    const fitting = events.length === 0 ? maxPageEvents : Math.floor((pageBytes * events.length) / bytes);
    return Math.max(minPageEvents, Math.min(maxPageEvents, fitting, size * 2));
  };

  const patiently = async <Value>(
    read: () => Promise<Value>,
    signal: AbortSignal,
  ): Promise<Value | undefined> => {
    while (!signal.aborted) {
      try {
        return await turns.run(read, signal);
      } catch (error) {
        if (!(error instanceof LogError) || error.code !== 'log_unavailable') throw error;
      }
      await delay(retryMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
    return undefined;
  };

  return {
    async *read({ topic, from, to }, signal) {
      const history = createHistory(log, selectionOf({ topic }));
      let size = firstPageEvents;
      let toldTo = from;
      for (let position = from; position < to; ) {
        const before = position;
        const read = await patiently(async () => {
          const page = await history.read(before, to, size);
          // Behind the read, so that each hole that the page may have passed is known.
          return { page, removed: await hub.gapBehind(before, { topic }) };
        }, signal);
        if (read === undefined || signal.aborted) return;
        const { page, removed } = read;
        size = sizeAfter(size, page.events);
        const events = page.events.filter((event) => event.position <= to);
        const [first] = events;
        position = page.position < to ? page.position : to;
        const gapTo = removed?.to ?? (page.gap ? (first?.position ?? position) : toldTo);
        if (gapTo > toldTo) {
          toldTo = gapTo;
          yield { type: 'gap', from: before, to: gapTo < to ? gapTo : to };
        }
        yield { type: 'items', events, position };
      }
    },
  };
};
