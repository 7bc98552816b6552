import type { Position } from '../../domain/event.ts';

type Waiter = {
  readonly position: Position;
  readonly settle: (reached: boolean) => void;
  readonly timer: NodeJS.Timeout;
};

/** Those who wait for a position, in order of position: most ask for the newest, so it costs little to add one. */
export const createWaiters = () => {
  let waiting: Waiter[] = [];

  const settle = (waiter: Waiter, reached: boolean): void => {
    clearTimeout(waiter.timer);
    waiter.settle(reached);
  };

  return {
    /** True once `release` was called with `position` or a later one; false after `timeoutMs` or `close`. */
    wait: (position: Position, timeoutMs: number): Promise<boolean> =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          waiting = waiting.filter((other) => other !== waiter);
          resolve(false);
        }, timeoutMs);
        const waiter: Waiter = { position, settle: resolve, timer };
        const before = waiting.findLastIndex((other) => other.position <= position);
        waiting.splice(before + 1, 0, waiter);
      }),

    release(position: Position): void {
      let count = 0;
      for (const waiter of waiting) {
        if (waiter.position > position) break;
        settle(waiter, true);
        count++;
      }
      if (count > 0) waiting.splice(0, count);
    },

    close(): void {
      for (const waiter of waiting) settle(waiter, false);
      waiting = [];
    },

    get size(): number {
      return waiting.length;
    },
  };
};
