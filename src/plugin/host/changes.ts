import type { Clock } from '../../clock.ts';

/** Waiting for something to become true that is told of by `notify`. */
export type Changes = {
  notify(): void;
  /** Resolves with true once `met`, false after `ms`. */
  until(met: () => boolean, ms: number): Promise<boolean>;
};

export const createChanges = (clock: Clock): Changes => {
  const waiting = new Set<() => void>();
  return {
    notify() {
      for (const look of [...waiting]) look();
    },
    async until(met, ms) {
      if (met()) return true;
      const done = Promise.withResolvers<boolean>();
      const look = (): void => {
        if (met()) done.resolve(true);
      };
      waiting.add(look);
      const cancel = clock.after(ms, () => done.resolve(false));
      try {
        return await done.promise;
      } finally {
        cancel();
        waiting.delete(look);
      }
    },
  };
};
