/**
 * Lets calls through while what they weigh together stays below `capacity`; the others wait in order. One that is
 * heavier than all of it passes alone.
 */
export const createGate = (capacity: number, maxWaiting: number) => {
  const waiting: { readonly weight: number; readonly pass: () => void }[] = [];
  let inside = 0;

  const fits = (weight: number): boolean => inside === 0 || inside + weight <= capacity;
  const leave = (weight: number): void => {
    inside -= weight;
    for (let first = waiting[0]; first !== undefined && fits(first.weight); first = waiting[0]) {
      waiting.shift();
      inside += first.weight;
      first.pass();
    }
  };

  return {
    /** Resolves with the function to call when done, or undefined when too many wait already or `waitMs` are over. */
    enter: (weight: number, waitMs: number): Promise<(() => void) | undefined> => {
      const release = (): void => leave(weight);
      if (waiting.length === 0 && fits(weight)) {
        inside += weight;
        return Promise.resolve(release);
      }
      if (waiting.length >= maxWaiting) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        const entry = {
          weight,
          pass: () => {
            clearTimeout(timer);
            resolve(release);
          },
        };
        const timer = setTimeout(() => {
          const index = waiting.indexOf(entry);
          if (index >= 0) waiting.splice(index, 1);
          resolve(undefined);
        }, waitMs);
        waiting.push(entry);
      });
    },
  };
};
