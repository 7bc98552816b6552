import type { Clock } from '../../clock.ts';
import { type Alarm, createSchedule } from '../../registry/schedule.ts';

/** The keys that expire next, of any number: in bounded memory, over one timer. */
export type Nearest = {
  /** Every key that was put and is due before it is held; behind it nothing is known. Infinity: all are held. */
  readonly horizonMs: number;
  readonly size: number;
  put(key: string, version: number, dueMs: number): void;
  remove(key: string): void;
  /** From now on every key that is put counts, however late it is due: whoever calls this puts them all. */
  widen(): void;
  close(): void;
};

export type NearestOptions = {
  readonly clock: Clock;
  /** When there are more, the nearer half stays. */
  readonly maxHeld: number;
  /** The key is no longer held. */
  readonly onDue: (key: string, version: number) => void;
  /** The horizon came nearer. */
  readonly onCut: () => void;
};

type Held = { readonly key: string; readonly version: number; readonly dueMs: number; readonly alarm: Alarm };

/** So soon it is noticed that the system's clock was set, or that the machine slept. */
const longestSleepMs = 30_000;

export const createNearest = ({ clock, maxHeld, onDue, onCut }: NearestOptions): Nearest => {
  const schedule = createSchedule({
    now: clock.now,
    after: (delayMs, run) => clock.after(Math.min(delayMs, longestSleepMs), run),
  });
  const held = new Map<string, Held>();
  let horizonMs = Number.POSITIVE_INFINITY;

  const remove = (key: string): void => {
    held.get(key)?.alarm.cancel();
    held.delete(key);
  };

  const cut = (): void => {
    const all = [...held.values()].sort((left, right) => left.dueMs - right.dueMs);
    const kept = Math.ceil(maxHeld / 2);
    for (const { key } of all.slice(kept)) remove(key);
    horizonMs = all[kept - 1]?.dueMs ?? horizonMs;
    onCut();
  };

  return {
    get horizonMs() {
      return horizonMs;
    },
    get size() {
      return held.size;
    },
    put(key, version, dueMs) {
      remove(key);
      if (!(dueMs < horizonMs)) return;
      const ring = (): void => {
        held.delete(key);
        onDue(key, version);
      };
      held.set(key, { key, version, dueMs, alarm: schedule.alarm(dueMs, ring) });
      if (held.size > maxHeld) cut();
    },
    remove,
    widen() {
      horizonMs = Number.POSITIVE_INFINITY;
    },
    close() {
      schedule.close();
      held.clear();
    },
  };
};
