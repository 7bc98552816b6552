import { priorities } from '../../../domain/message/message.ts';
import type { DeliveryOrder } from '../../../domain/subscription/subscription.ts';
import { type Entry, priorityIndex } from './entry.ts';
import { createFifo, type Fifo } from './fifo.ts';

/** What is ready to be delivered, by priority, and what waits for its key. */
export type Lanes = {
  /** Entries that `take` could give at once. */
  readonly ready: number;
  /** Takes an entry that is new: it is ready, or waits for those of its key that came before. */
  offer(entry: Entry): void;
  /**
   * Takes an entry that waits for its next attempt elsewhere: it holds its key, and `again` follows. False when another
   * holds the key: then it waits here for that one, like any other.
   */
  rest(entry: Entry): boolean;
  /** Takes an entry back for its next attempt, in front of those that had none. */
  again(entry: Entry): void;
  /** The entry is settled: the next of its key is ready. */
  release(entry: Entry): void;
  /** The next to deliver; undefined when none is ready. */
  take(nowMs: number): Entry | undefined;
};

/** For each so long that a lane's oldest entry waits, the lane counts as one higher. */
export const ageingMs = 30_000;
/** Of LOW, NORMAL, HIGH and CRITICAL. */
export const laneWeights: readonly number[] = [1, 2, 4, 8];
const highest = laneWeights.length - 1;

type Lane = {
  readonly index: number;
  readonly again: Fifo<Entry>;
  readonly fresh: Fifo<Entry>;
  /** By key that is taken: what waits for it. */
  readonly keys: Map<string, Fifo<Entry>>;
  /** Of the smooth weighted round-robin. */
  credit: number;
};

const headOf = ({ again, fresh }: Lane): Entry | undefined => again.peek() ?? fresh.peek();

const weightOf = (lane: Lane, head: Entry, nowMs: number): number => {
  const aged = lane.index + Math.floor(Math.max(0, nowMs - head.readySinceMs) / ageingMs);
  return laneWeights[Math.min(highest, aged)] ?? 1;
};

/** Messages of one key (and priority) are ready one at a time when `order` is `key`. */
export const createLanes = (order: DeliveryOrder): Lanes => {
  const lanes: readonly Lane[] = priorities.map((_, index) => ({
    index,
    again: createFifo<Entry>(),
    fresh: createFifo<Entry>(),
    keys: new Map<string, Fifo<Entry>>(),
    credit: 0,
  }));
  let ready = 0;

  const laneOf = ({ message }: Entry): Lane | undefined => lanes[priorityIndex[message.priority]];
  const keyOf = (entry: Entry): string | undefined => (order === 'key' ? entry.key : undefined);

  /** False when it has to wait for its key. */
  const hold = (lane: Lane, entry: Entry): boolean => {
    const key = keyOf(entry);
    if (key === undefined) return true;
    const waiting = lane.keys.get(key);
    waiting?.push(entry);
    if (waiting === undefined) lane.keys.set(key, createFifo());
    return waiting === undefined;
  };

  /** Nginx's smooth weighted round-robin: each lane gains its weight, the richest is taken and pays for all. */
  const choose = (nowMs: number): Lane | undefined => {
    let best: Lane | undefined;
    let total = 0;
    for (const lane of lanes) {
      const head = headOf(lane);
      if (head === undefined) {
        lane.credit = 0;
        continue;
      }
      const weight = weightOf(lane, head, nowMs);
      total += weight;
      lane.credit += weight;
      if (best === undefined || lane.credit >= best.credit) best = lane;
    }
    if (best !== undefined) best.credit -= total;
    return best;
  };

  return {
    get ready() {
      return ready;
    },
    offer(entry) {
      const lane = laneOf(entry);
      if (lane === undefined || !hold(lane, entry)) return;
      lane.fresh.push(entry);
      ready++;
    },
    rest(entry) {
      const lane = laneOf(entry);
      return lane === undefined || hold(lane, entry);
    },
    again(entry) {
      laneOf(entry)?.again.push(entry);
      ready++;
    },
    release(entry) {
      const lane = laneOf(entry);
      const key = keyOf(entry);
      if (lane === undefined || key === undefined) return;
      const next = lane.keys.get(key)?.shift();
      if (next === undefined) {
        lane.keys.delete(key);
        return;
      }
      lane.fresh.push(next);
      ready++;
    },
    take(nowMs) {
      const lane = choose(nowMs);
      const entry = lane?.again.shift() ?? lane?.fresh.shift();
      if (entry !== undefined) ready--;
      return entry;
    },
  };
};
