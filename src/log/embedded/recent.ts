import type { LogEvent } from '../../../domain/event.ts';
import { sequenceAt } from './place.ts';
import { eventsIn, lastSequenceOf, type Record } from './record.ts';

/** The newest records, so that those who follow the head are fed from memory; each is decoded once for all. */
export type Recent = {
  push(records: readonly Record[]): void;
  /**
   * Up to `limit` events behind `sequence`, or the first records of more than `maxBytes`; undefined when memory does not
   * reach back that far. They are shared: nobody may change them.
   */
  after(sequence: number, limit: number, maxBytes: number): LogEvent[] | undefined;
  clear(): void;
};

const maxEvents = 8_192;
const maxBytes = 8 * 2 ** 20;

type Entry = { readonly record: Record; readonly last: number; events: LogEvent[] | undefined };

export const createRecent = (): Recent => {
  let entries: Entry[] = [];
  let events = 0;
  let bytes = 0;

  const shed = (): void => {
    let dropped = 0;
    while (dropped < entries.length - 1 && (events > maxEvents || bytes > maxBytes)) {
      const entry = entries[dropped++];
      if (entry === undefined) break;
      events -= entry.record.count;
      bytes -= entry.record.buffer.length;
    }
    if (dropped > 0) entries = entries.slice(dropped);
  };

  return {
    push(records) {
      for (const record of records) {
        entries.push({ record, last: lastSequenceOf(record), events: undefined });
        events += record.count;
        bytes += record.buffer.length;
      }
      shed();
    },
    after(sequence, limit, maxBytes) {
      const [oldest] = entries;
      if (oldest === undefined || oldest.record.key > sequence + 1) return undefined;
      let low = 0;
      let high = entries.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((entries[middle]?.last ?? 0) <= sequence) low = middle + 1;
        else high = middle;
      }
      const found: LogEvent[] = [];
      let looked = 0;
      for (let index = low; index < entries.length && found.length < limit; index++) {
        const entry = entries[index];
        if (entry === undefined || (looked >= maxBytes && found.length > 0)) break;
        looked += entry.record.buffer.length;
        entry.events ??= eventsIn(entry.record);
        for (const event of entry.events) {
          if (found.length >= limit) break;
          if (sequenceAt(event.position) > sequence) found.push(event);
        }
      }
      return found;
    },
    clear() {
      entries = [];
      events = 0;
      bytes = 0;
    },
  };
};
