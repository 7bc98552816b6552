/** Several at a time may share, one at a time is alone; first come, first served. */
export type Turns = {
  shared<Value>(run: () => Promise<Value>): Promise<Value>;
  alone<Value>(run: () => Promise<Value>): Promise<Value>;
};

export const createTurns = (atOnce: number): Turns => {
  const waiting: { readonly weight: number; readonly start: () => void }[] = [];
  let free = atOnce;
  const next = (): void => {
    for (let first = waiting[0]; first !== undefined && first.weight <= free; first = waiting[0]) {
      waiting.shift();
      free -= first.weight;
      first.start();
    }
  };
  const take = async <Value>(weight: number, run: () => Promise<Value>): Promise<Value> => {
    await new Promise<void>((start) => {
      waiting.push({ weight, start });
      next();
    });
    try {
      return await run();
    } finally {
      free += weight;
      next();
    }
  };
  return { shared: (run) => take(1, run), alone: (run) => take(atOnce, run) };
};
