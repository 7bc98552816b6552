import type { Candidate } from './candidate.ts';

/** Which instance a key was last sent to, for the keys that were used last: between half of `size` and all of it. */
export type Sticky = {
  recall(key: string): Candidate | undefined;
  remember(key: string, candidate: Candidate): void;
};

/** Two generations instead of a list in order of use: a key that is recalled moves to the younger one. */
export const createSticky = (size: number): Sticky => {
  let young = new Map<string, Candidate>();
  let old = new Map<string, Candidate>();

  const remember = (key: string, candidate: Candidate): void => {
    if (young.size >= size / 2 && !young.has(key)) {
      old = young;
      young = new Map();
    }
    young.set(key, candidate);
  };

  return {
    remember,
    recall(key) {
      const recent = young.get(key);
      if (recent !== undefined) return recent;
      const earlier = old.get(key);
      if (earlier !== undefined) remember(key, earlier);
      return earlier;
    },
  };
};
