/** A bounded number of turns at a time, handed out in the order in which they were asked for. */
export type Turns = {
  readonly active: number;
  readonly waiting: number;
  /** Runs `task` when its turn has come; undefined when `signal` aborted before that. */
  run<Value>(task: () => Promise<Value>, signal: AbortSignal): Promise<Value | undefined>;
};

export const createTurns = (limit: number): Turns => {
  /** In order of arrival; one that gave up is taken out. */
  const queue = new Set<() => void>();
  let active = 0;

  const release = (): void => {
    for (const next of queue) {
      queue.delete(next);
      next();
      return;
    }
    active--;
  };

  const acquire = (signal: AbortSignal): Promise<boolean> => {
    if (signal.aborted) return Promise.resolve(false);
    if (active < limit) {
      active++;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const come = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve(true);
      };
      const giveUp = (): void => {
        queue.delete(come);
        resolve(false);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      queue.add(come);
    });
  };

  return {
    get active() {
      return active;
    },
    get waiting() {
      return queue.size;
    },
    async run(task, signal) {
      if (!(await acquire(signal))) return undefined;
      try {
        return await task();
      } finally {
        release();
      }
    },
  };
};
