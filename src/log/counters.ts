/** How far a counter of a window has got. */
export type Counted = {
  /** Of all nodes, with what was just added. */
  readonly count: number;
  /** Until the window ends, and the counter with it. */
  readonly leftMs: number;
};

/** Counters that all nodes of a log share (port). */
export type Counters = {
  /**
   * Adds `by` to the counter `key`; one that is new begins a window of `windowMs`.
   *
   * Rejects when the counters cannot be reached, or do not answer in time (50 ms): what was added is then unknown.
   */
  add(key: string, by: number, windowMs: number): Promise<Counted>;
  close(): void;
};
