import type { Entry } from './documents.ts';

type Waiting = { readonly entry: Entry; readonly done: PromiseWithResolvers<void> };

/** What is written together. */
export type Batches = {
  /** Resolves once the entry is in the view; rejects when the write failed. For what is delivered again then. */
  write(entry: Entry): Promise<void>;
  /** For what is told once: kept until a write succeeds; beyond 10,000 the newest is dropped. */
  add(entry: Entry): void;
  /** Writes what waits, and what comes meanwhile. */
  flush(): Promise<void>;
  /** How many were dropped so far. */
  readonly dropped: number;
};

const maxWaiting = 10_000;

/**
 * @param size a batch of so many is written at once, without waiting for the timer of whoever calls `flush`.
 * @param write rejects when it wrote nothing of it, or cannot tell.
 */
export const createBatches = (size: number, write: (entries: readonly Entry[]) => Promise<void>): Batches => {
  const acknowledged: Waiting[] = [];
  let told: Entry[] = [];
  let running: Promise<void> | undefined;
  let dropped = 0;

  const writeAll = async (): Promise<void> => {
    while (acknowledged.length > 0 || told.length > 0) {
      const [waiting, once] = [acknowledged.splice(0, size), told.splice(0, size)];
      try {
        await write([...waiting.map(({ entry }) => entry), ...once]);
        for (const { done } of waiting) done.resolve();
      } catch (error) {
        for (const { done } of waiting) done.reject(error);
        told = [...once, ...told].slice(0, maxWaiting);
        return;
      }
    }
  };

  const flush = (): Promise<void> => {
    running ??= writeAll().finally(() => {
      running = undefined;
    });
    return running;
  };

  return {
    write(entry) {
      const done = Promise.withResolvers<void>();
      acknowledged.push({ entry, done });
      if (acknowledged.length >= size) void flush();
      return done.promise;
    },
    add(entry) {
      if (told.length < maxWaiting) told.push(entry);
      else dropped++;
    },
    flush,
    get dropped() {
      return dropped;
    },
  };
};
