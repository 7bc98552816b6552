import type { Json } from '../../../domain/event.ts';
import type { CallAnswer, CallTarget, Wish, WishAnswer } from '../sandbox/sandbox.ts';

/** One call of a running plugin, or one wish of its, as it went. */
export type Recorded =
  | {
      readonly type: 'call';
      readonly atMs: number;
      readonly target: CallTarget;
      readonly input: Json;
      readonly answer: CallAnswer;
      readonly durationMs: number;
    }
  | { readonly type: 'wish'; readonly atMs: number; readonly wish: Wish; readonly answer: WishAnswer };

/** What a plugin was called for and asked for lately: bounded in time, number and bytes, the oldest goes first. */
export type Recorder = {
  record(recorded: Recorded): void;
  /** In the order in which they were recorded. */
  since(atMs: number): readonly Recorded[];
};
