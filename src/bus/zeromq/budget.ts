/** Bytes that several sockets may hold between them. */
export type Budget = {
  /** Undefined when there is room at once; otherwise to be waited for: first come, first served. */
  take(bytes: number): Promise<void> | undefined;
  give(bytes: number): void;
  readonly taken: number;
};

/** @param max one that is larger than this is let through alone. */
export const createBudget = (max: number): Budget => {
  const waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  let taken = 0;
  const fits = (bytes: number): boolean => taken === 0 || taken + bytes <= max;

  return {
    take: (bytes) => {
      if (waiting.length === 0 && fits(bytes)) {
        taken += bytes;
        return undefined;
      }
      return new Promise((resolve) => waiting.push({ bytes, resolve }));
    },
    give: (bytes) => {
      taken -= bytes;
      for (let next = waiting[0]; next !== undefined && fits(next.bytes); next = waiting[0]) {
        waiting.shift();
        taken += next.bytes;
        next.resolve();
      }
    },
    get taken() {
      return taken;
    },
  };
};
