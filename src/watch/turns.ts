/** A bounded number of turns at a time, handed out in the order in which they were asked for. */
export type Turns = {
  /** The weight of all that runs. */
  readonly active: number;
  readonly waiting: number;
  /**
   * Runs `task` when its turn has come; undefined when `signal` aborted before that.
   *
   * @param weight turns that it takes, 1 unless given; what takes more than there are runs alone.
   */
  run<Value>(task: () => Promise<Value>, signal: AbortSignal, weight?: number): Promise<Value | undefined>;
};

type Waiting = { readonly weight: number; readonly come: () => void };

export const createTurns = (limit: number): Turns => {
  /** In order of arrival; one that gave up is taken out. */
  const queue = new Set<Waiting>();
  let active = 0;

  const fits = (weight: number): boolean => active + weight <= limit;

  const admit = (): void => {
    for (const next of queue) {
      if (!fits(next.weight)) return;
      queue.delete(next);
      active += next.weight;
      next.come();
    }
  };

  const acquire = (signal: AbortSignal, weight: number): Promise<boolean> => {
    if (signal.aborted) return Promise.resolve(false);
    if (queue.size === 0 && fits(weight)) {
      active += weight;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const waiting: Waiting = {
        weight,
        come() {
          signal.removeEventListener('abort', giveUp);
          resolve(true);
        },
      };
      const giveUp = (): void => {
        queue.delete(waiting);
        resolve(false);
        // A lighter one behind it may fit.
        admit();
      };
      signal.addEventListener('abort', giveUp, { once: true });
      queue.add(waiting);
    });
  };

  return {
    get active() {
      return active;
    },
    get waiting() {
      return queue.size;
    },
    async run(task, signal, weight = 1) {
      const taken = Math.min(weight, limit);
      if (!(await acquire(signal, taken))) return undefined;
      try {
        return await task();
      } finally {
        active -= taken;
        admit();
      }
    },
  };
};
