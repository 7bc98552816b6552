import type { Clock } from '../clock.ts';

/** One call in the future. */
export type Alarm = {
  /** Earlier or later than before; an alarm that rang or was cancelled is set anew. */
  move(atMs: number): void;
  cancel(): void;
};

/** Any number of alarms over one timer: setting, moving and cancelling cost O(log n), and cancelled ones keep no memory. */
export type Schedule = {
  /** @param run must not throw. */
  alarm(atMs: number, run: () => void): Alarm;
  close(): void;
};

/** Longer timers overflow in the runtime; a wake-up that finds nothing due costs nothing. */
const longestSleepMs = 3_600_000;

type Entry = { atMs: number; slot: number; readonly run: () => void };

const idle = -1;

export const createSchedule = (clock: Clock): Schedule => {
  /** A binary heap: the earliest stands at 0, and each entry knows its slot. */
  const heap: Entry[] = [];
  let sleeping: { readonly untilMs: number; readonly cancel: () => void } | undefined;
  let closed = false;

  const place = (entry: Entry, slot: number): void => {
    heap[slot] = entry;
    entry.slot = slot;
  };

  const sift = (entry: Entry, from: number): void => {
    let slot = from;
    for (;;) {
      const above = (slot - 1) >> 1;
      const parent = slot > 0 ? heap[above] : undefined;
      if (parent === undefined || parent.atMs <= entry.atMs) break;
      place(parent, slot);
      slot = above;
    }
    for (;;) {
      const left = heap[2 * slot + 1];
      const right = heap[2 * slot + 2];
      const child = right !== undefined && left !== undefined && right.atMs < left.atMs ? right : left;
      if (child === undefined || child.atMs >= entry.atMs) break;
      const below = child.slot;
      place(child, slot);
      slot = below;
    }
    place(entry, slot);
  };

  const remove = (entry: Entry): void => {
    const { slot } = entry;
    if (slot === idle) return;
    entry.slot = idle;
    const last = heap.pop();
    if (last !== undefined && last !== entry) sift(last, slot);
  };

  const sleep = (): void => {
    const first = heap[0];
    if (closed || first === undefined) return;
    if (sleeping !== undefined && sleeping.untilMs <= first.atMs) return;
    sleeping?.cancel();
    const nowMs = clock.now();
    const delayMs = Math.min(Math.max(first.atMs - nowMs, 0), longestSleepMs);
    sleeping = { untilMs: nowMs + delayMs, cancel: clock.after(delayMs, wake) };
  };

  const wake = (): void => {
    sleeping = undefined;
    const nowMs = clock.now();
    for (let first = heap[0]; first !== undefined && first.atMs <= nowMs && !closed; first = heap[0]) {
      remove(first);
      first.run();
    }
    sleep();
  };

  return {
    alarm(atMs, run) {
      const entry: Entry = { atMs, slot: idle, run };
      const move = (nextMs: number): void => {
        if (closed) return;
        remove(entry);
        entry.atMs = nextMs;
        heap.push(entry);
        sift(entry, heap.length - 1);
        sleep();
      };
      move(atMs);
      return { move, cancel: () => remove(entry) };
    },
    close() {
      closed = true;
      sleeping?.cancel();
      heap.length = 0;
    },
  };
};
