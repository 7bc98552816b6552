import type { Json } from '../../../domain/event.ts';
import { createFifo } from '../../bus/subscription/fifo.ts';
import { roughBytes } from '../../rough-bytes.ts';
import type { CallAnswer, CallTarget, Wish, WishAnswer } from '../sandbox/sandbox.ts';
import { createFollowing } from './following.ts';

/** One call of a running plugin, or one wish of its, as it went. */
export type Recorded =
  | {
      readonly type: 'call';
      readonly atMs: number;
      /** The target; `message:N` and `change:N` with what was subscribed to or watched in place of N. */
      readonly label: string;
      readonly input: Json;
      readonly answer: CallAnswer;
      readonly durationMs: number;
    }
  | { readonly type: 'wish'; readonly atMs: number; readonly wish: Wish; readonly answer: WishAnswer };

/** What a plugin was called for and asked for lately: bounded in time, number and bytes, the oldest goes first. */
export type Recorder = {
  call(target: CallTarget, input: Json, answer: CallAnswer, durationMs: number): void;
  wish(wish: Wish, answer: WishAnswer): void;
  /** A new life of the guest: what it had subscribed to and watched is gone. */
  restarted(): void;
  /** What it is subscribed to and watches at this moment, as labels. */
  following(): readonly string[];
  /** In the order in which they were recorded. */
  since(atMs: number): readonly Recorded[];
};

export type RecorderLimits = {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
};

/** The longest time that a shadow can be shown. */
export const maxShadowMinutes = 60;

const defaultLimits: RecorderLimits = {
  maxEntries: 10_000,
  maxBytes: 1_048_576,
  maxAgeMs: maxShadowMinutes * 60_000,
};

type Kept = { readonly recorded: Recorded; readonly bytes: number };

/** @param now ms. What is recorded is held by reference: nobody may change it. */
export const createRecorder = (now: () => number, limits: RecorderLimits = defaultLimits): Recorder => {
  const kept = createFifo<Kept>();
  const following = createFollowing();
  let bytes = 0;

  const drop = (): void => {
    bytes -= kept.shift()?.bytes ?? 0;
  };

  const keep = (recorded: Recorded): void => {
    const weight = roughBytes(recorded, limits.maxBytes);
    // One that is as heavy as all may be pushes out everything, itself too.
    kept.push({ recorded, bytes: weight });
    bytes += weight;
    const oldestMs = recorded.atMs - limits.maxAgeMs;
    for (let oldest = kept.peek(); oldest !== undefined; oldest = kept.peek()) {
      const isKept =
        kept.length <= limits.maxEntries && bytes < limits.maxBytes && oldest.recorded.atMs >= oldestMs;
      if (isKept) break;
      drop();
    }
  };

  return {
    call: (target, input, answer, durationMs) =>
      keep({ type: 'call', atMs: now(), label: following.labelOf(target), input, answer, durationMs }),
    wish(wish, answer) {
      following.noted(wish, answer);
      keep({ type: 'wish', atMs: now(), wish, answer });
    },
    restarted: following.clear,
    following: following.labels,
    since(atMs) {
      const found: Recorded[] = [];
      for (let left = kept.length; left > 0; left--) {
        const entry = kept.shift();
        if (entry === undefined) break;
        kept.push(entry);
        if (entry.recorded.atMs >= atMs) found.push(entry.recorded);
      }
      return found;
    },
  };
};
