import type { Json } from '../../../domain/event.ts';
import type { CallAnswer, CallTarget, Wish, WishAnswer } from '../sandbox/sandbox.ts';

/** One call of a running plugin, or one wish of its, as it went. */
export type Recorded =
  | {
      readonly type: 'call';
      readonly atMs: number;
      /** `message:N` and `change:N` with what was subscribed to or watched in place of N. */
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
