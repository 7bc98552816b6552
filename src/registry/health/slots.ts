/** So many tasks at a time; the others wait for their turn, in order. */
export type Slots = {
  /** Resolves when the task has ended, or when it will not be started any more. */
  run(task: () => Promise<void>): Promise<void>;
  /** Starts nothing new and resolves when what runs has ended. */
  close(): Promise<void>;
};

export const createSlots = (max: number): Slots => {
  let waiting: (() => void)[] = [];
  let next = 0;
  let free = max;
  let closed = false;
  let idle = (): void => {};

  const release = (): void => {
    const first = waiting[next];
    if (first === undefined) {
      free++;
      if (free === max) idle();
      return;
    }
    next++;
    if (next === waiting.length) {
      waiting = [];
      next = 0;
    }
    first();
  };

  return {
    async run(task) {
      if (free > 0) free--;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        if (!closed) await task();
      } finally {
        release();
      }
    },
    close() {
      closed = true;
      return free === max
        ? Promise.resolve()
        : new Promise((resolve) => {
            idle = resolve;
          });
    },
  };
};
