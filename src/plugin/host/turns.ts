/** Work of one kind, one behind the other. */
export type Turns = {
  take<Value>(work: () => Promise<Value>): Promise<Value>;
  /** Resolves when it is the caller's turn, with what ends it. */
  hold(): Promise<() => void>;
  /** Resolves when nothing is under way or waits. */
  idle(): Promise<void>;
};

export const createTurns = (): Turns => {
  let last: Promise<void> = Promise.resolve();

  const hold = async (): Promise<() => void> => {
    const ended = Promise.withResolvers<void>();
    const earlier = last;
    last = earlier.then(() => ended.promise);
    await earlier;
    return ended.resolve;
  };

  return {
    hold,
    async take(work) {
      const release = await hold();
      try {
        return await work();
      } finally {
        release();
      }
    },
    async idle() {
      for (let seen: Promise<void> | undefined; seen !== last; ) {
        seen = last;
        await seen;
      }
    },
  };
};
