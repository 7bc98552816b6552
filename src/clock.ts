/** Time as modules see it, so that tests can move it by hand. */
export type Clock = {
  /** Milliseconds; of the system's clock since 1970. */
  now(): number;
  /** Runs once, `delayMs` from now, and keeps no process alive. The answer cancels it. */
  after(delayMs: number, run: () => void): () => void;
};

/** Never set back or forward while the process runs: for durations, and for what falls due. Not the time of day. */
export const steadyNow = (): number => performance.timeOrigin + performance.now();

export const systemClock: Clock = {
  now: Date.now,
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
