import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StateDocument } from '../../projections/documents.ts';
import { byBytes } from '../by-bytes.ts';
import type { Runner } from '../projection/runner.ts';

export type KeyCount = {
  /** Living state keys; undefined while they are being counted, which begins at the first call. */
  now(): number | undefined;
  close(): void;
};

const pageKeys = 500;

/** The read store holds for each model what that model's projection made. */
const lives = (document: unknown): number =>
  document === undefined || (document as StateDocument).deleted ? 0 : 1;

/**
 * Counts the living state keys: once through all of them, a page in each turn of the event loop, and by what is folded
 * from then on. Nothing is counted before somebody asks.
 */
export const createKeyCount = (
  runner: Pick<Runner, 'store' | 'ready' | 'onFolded' | 'onSwapped'>,
): KeyCount => {
  let keys = 0;
  /** The last key that the count has passed; undefined in front of the first. */
  let passed: string | undefined;
  let isCounted = false;
  let isCounting = false;
  let round = 0;

  /** True when it was the last page. */
  const countPage = (): boolean => {
    let paged = 0;
    const behind = passed === undefined ? {} : { after: passed };
    for (const [key, document] of runner.store.range<StateDocument>('state', behind)) {
      keys += lives(document);
      passed = key;
      if (++paged >= pageKeys) return false;
    }
    return true;
  };

  const count = async (): Promise<void> => {
    const own = ++round;
    [keys, passed, isCounted] = [0, undefined, false];
    // A page is read in a turn of its own, in which all that can be read was told.
    for (await nextTurn(); own === round && runner.ready; await nextTurn()) {
      if (!countPage()) continue;
      isCounted = true;
      return;
    }
  };

  const hasPassed = (key: string): boolean =>
    isCounted || (passed !== undefined && byBytes(key, passed) <= 0);

  const unfollow = runner.onFolded((changes) => {
    if (round === 0) return;
    for (const { model, key, document, before } of changes)
      if (model === 'state' && hasPassed(key)) keys += lives(document) - lives(before);
  });
  // Other read models serve: what was counted is of those before.
  runner.onSwapped(() => {
    if (round > 0) round++;
    isCounted = false;
  });

  return {
    now() {
      if (isCounted) return keys;
      if (isCounting) return undefined;
      isCounting = true;
      // Damaged read models are replaced, and counted when somebody asks again.
      count()
        .catch(() => undefined)
        .finally(() => {
          isCounting = false;
        });
      return undefined;
    },
    close() {
      round++;
      unfollow();
    },
  };
};
