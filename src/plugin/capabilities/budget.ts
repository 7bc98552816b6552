import type { LimitName } from '../sandbox/sandbox.ts';

/** Wishes of one plugin that may be made: `perSec` of them, with a burst of one second. */
export type WishBudget = {
  /** False when there is nothing left at this moment. */
  take(): boolean;
};

/** @param now Ms, of a clock that may be set. */
export const createWishBudget = (perSec: number, now: () => number): WishBudget => {
  let left = perSec;
  let atMs = now();
  return {
    take() {
      const nowMs = now();
      left = Math.min(perSec, left + (Math.max(0, nowMs - atMs) * perSec) / 1_000);
      atMs = nowMs;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
};

type Limited = (limit: LimitName, detail: string) => void;

const quietMs = 1_000;

/** Passes on what it is told at most once a second and limit. */
export const tellingSeldom = (limited: Limited, now: () => number): Limited => {
  const lastMs = new Map<LimitName, number>();
  return (limit, detail) => {
    const nowMs = now();
    const last = lastMs.get(limit);
    if (last !== undefined && Math.abs(nowMs - last) < quietMs) return;
    lastMs.set(limit, nowMs);
    limited(limit, detail);
  };
};
