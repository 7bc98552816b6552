/** The least a timer waits, and how many there are of one plugin at a time. */
export const minTimerMs = 10;
export const maxTimers = 100;
const maxTimerMs = 2_147_483_647;

type Timer = { readonly run: () => unknown; readonly again: boolean };

/** The timers of one plugin: their clock is the child's, their functions never leave the isolate. */
export type Timers = {
  /** @throws {RangeError} there are 100 already. */
  start(ms: unknown, again: boolean, run: () => unknown): number;
  end(id: unknown): void;
  /** Called by the child. */
  fire(id: number): unknown;
  endAll(): void;
};

export const createTimers = (tell: (id: number, ms: number, again: boolean) => void): Timers => {
  const timers: Record<number, Timer> = Object.create(null);
  let count = 0;
  let lastId = 0;
  let open = true;
  const end = (id: unknown): void => {
    if (typeof id !== 'number' || timers[id] === undefined) return;
    delete timers[id];
    count--;
    tell(id, -1, false);
  };
  return {
    start(ms, again, run) {
      const id = ++lastId;
      if (!open) return id;
      if (count >= maxTimers) throw new RangeError(`a plugin has ${maxTimers} timers at most`);
      const wanted = Number(ms);
      const waitMs = wanted >= minTimerMs ? (wanted > maxTimerMs ? maxTimerMs : wanted) : minTimerMs;
      timers[id] = { run, again };
      count++;
      tell(id, Math.floor(waitMs), again);
      return id;
    },
    end,
    fire(id) {
      const timer = timers[id];
      if (timer === undefined) return undefined;
      if (!timer.again) {
        delete timers[id];
        count--;
      }
      return timer.run();
    },
    endAll() {
      open = false;
      for (const id of Object.keys(timers)) end(Number(id));
    },
  };
};
