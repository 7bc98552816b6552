import type { LogEvent, Position } from '../../domain/event.ts';

export type RingOptions = { readonly maxEvents: number; readonly maxBytes: number };

/** The newest events that were dispatched, bounded by number and bytes: it spares slightly late watchers the disk. */
export type Ring = {
  /** Every dispatched event behind this position is held. */
  readonly floor: Position;
  readonly events: number;
  readonly bytes: number;
  push(event: LogEvent, bytes: number): void;
  /** How many held events stand behind `position`. */
  countAfter(position: Position): number;
  /**
   * Visits the held events behind `position`, oldest first, until `visit` returns false.
   * Only meaningful for a position at or behind `floor`.
   */
  after(position: Position, visit: (event: LogEvent) => boolean): void;
  /** Forgets all; from now on everything behind `floor` is held. */
  reset(floor: Position): void;
};

type Entry = { readonly event: LogEvent; readonly bytes: number };

export const createRing = ({ maxEvents, maxBytes }: RingOptions, start: Position): Ring => {
  let slots: (Entry | undefined)[] = new Array<Entry | undefined>(maxEvents).fill(undefined);
  let first = 0;
  let count = 0;
  let bytes = 0;
  let floor = start;

  const at = (index: number): Entry | undefined => slots[(first + index) % maxEvents];

  const dropOldest = (): void => {
    const oldest = slots[first];
    if (oldest === undefined) return;
    slots[first] = undefined;
    first = (first + 1) % maxEvents;
    count--;
    bytes -= oldest.bytes;
    floor = oldest.event.position;
  };

  /** Index of the first held event behind `position`; `count` when there is none. */
  const indexAfter = (position: Position): number => {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = at(middle);
      if (entry !== undefined && entry.event.position <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  return {
    get floor() {
      return floor;
    },
    get events() {
      return count;
    },
    get bytes() {
      return bytes;
    },
    push(event, size) {
      if (count === maxEvents) dropOldest();
      slots[(first + count) % maxEvents] = { event, bytes: size };
      count++;
      bytes += size;
      while (bytes > maxBytes) dropOldest();
    },
    countAfter: (position) => count - indexAfter(position),
    after(position, visit) {
      for (let index = indexAfter(position); index < count; index++) {
        const entry = at(index);
        if (entry !== undefined && !visit(entry.event)) return;
      }
    },
    reset(from) {
      slots = new Array<Entry | undefined>(maxEvents).fill(undefined);
      first = 0;
      count = 0;
      bytes = 0;
      floor = from;
    },
  };
};
