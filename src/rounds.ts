/**
 * Runs `work` one round at a time. A call begins a round, or, while one is under way, waits for the next, which serves all
 * who called meanwhile: what stood there before the call has been seen by the round that it resolves with.
 */
export const createRounds = <Value>(work: () => Promise<Value>): (() => Promise<Value>) => {
  let running: Promise<Value> | undefined;
  let next: Promise<Value> | undefined;

  const begin = (): Promise<Value> => {
    const round = work().finally(() => {
      if (running === round) running = undefined;
    });
    running = round;
    return round;
  };

  return () => {
    if (running === undefined) return begin();
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };
};
