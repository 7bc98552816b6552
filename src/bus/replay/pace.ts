import type { Clock } from '../../clock.ts';

/** Two moments that belong together, both in milliseconds since 1970: what was published at the one is due at the other. */
export type Anchor = { readonly publishedMs: number; readonly dueMs: number };

/** Tells when the messages of a replay are due. */
export type Pace = {
  /** To be saved, so that the replay goes on at its pace behind a restart; undefined before the first message. */
  readonly anchor: Anchor | undefined;
  /** Milliseconds until the next message is due; 0 for at once. Called with times that never decrease. */
  waitMs(publishedMs: number): number;
};

export type PaceOptions = {
  /** 0: no pace at all; 1: the original one; 2: twice that. */
  readonly speed: number;
  /** Steady. */
  readonly clock: Pick<Clock, 'now'>;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly anchor?: Anchor | undefined;
};

/** A replay that is later than this does not hurry after its schedule: it goes on from where it is at its pace. */
export const maxLateMs = 1_000;

/**
 * The first message is due at once, and each other one as long behind it as it was published, divided by `speed`. Waits
 * do not add up their errors; a reader that cannot keep up delays what follows rather than getting it in a burst.
 */
export const createPace = ({ speed, clock, wallMs, anchor: saved }: PaceOptions): Pace => {
  let anchor = saved && {
    publishedMs: saved.publishedMs,
    dueMs: clock.now() + saved.dueMs - wallMs(),
  };

  return {
    get anchor() {
      if (anchor === undefined) return undefined;
      const dueMs = Math.round(wallMs() + anchor.dueMs - clock.now());
      return { publishedMs: anchor.publishedMs, dueMs: Math.max(0, dueMs) };
    },
    waitMs(publishedMs) {
      if (speed === 0) return 0;
      const nowMs = clock.now();
      if (anchor !== undefined) {
        const dueMs = anchor.dueMs + (publishedMs - anchor.publishedMs) / speed;
        if (nowMs - dueMs <= maxLateMs) return Math.max(0, dueMs - nowMs);
      }
      anchor = { publishedMs, dueMs: nowMs };
      return 0;
    },
  };
};

/** A timer's longest wait; what is due later is waited for in steps. */
const maxStepMs = 60_000;

/** Waits that can be cut short. One at a time. */
export type Sleeper = {
  /** Resolves when `ms` are over, at the latest after a minute, or when `wake` is called. */
  sleep(ms: number): Promise<void>;
  wake(): void;
};

export const createSleeper = (clock: Pick<Clock, 'after'>): Sleeper => {
  let woken = (): void => {};
  return {
    async sleep(ms) {
      const over = Promise.withResolvers<void>();
      woken = over.resolve;
      const cancel = clock.after(Math.min(maxStepMs, Math.ceil(ms)), over.resolve);
      await over.promise;
      cancel();
    },
    wake: () => woken(),
  };
};
