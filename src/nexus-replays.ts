import type { Position } from '../domain/event.ts';
import type { Result } from './errors.ts';
import type { Context } from './nexus-core.ts';
import type { DeliveredMessage } from './nexus-subscriptions.ts';

/** A replay to a durable subscription that is not over. */
export type ReplayView = {
  readonly replayId: string;
  readonly topic: string;
  /** Exclusive. */
  readonly from: Position;
  /** Inclusive. */
  readonly to: Position;
  /** 0: as fast as it is taken; 1: the original pace; 2: twice that. */
  readonly speed: number;
  readonly requestedAt: string;
  readonly requestedBy: string;
  /** One runs at a time; the others wait for it. */
  readonly status: 'waiting' | 'running';
  /** Everything of its range up to here was handed over, as of at most about a second ago. */
  readonly position: Position;
  /** Messages that were. */
  readonly messages: number;
};

export type ReplayStep =
  /** Messages in log order, marked `replay: true`, when they are due; none where only the position has moved. */
  | { readonly type: 'items'; readonly items: readonly DeliveredMessage[]; readonly position: Position }
  /** What stood between was truncated and cannot be had. */
  | { readonly type: 'gap'; readonly from: Position; readonly to: Position };

/** A stretch of history for one reader. */
export type Replay = Pick<ReplayView, 'topic' | 'from' | 'to' | 'speed'> & {
  /**
   * Pull-based: nothing is read ahead of a page of about 1 MiB, and whoever pulls late delays what follows. Ends behind `to`,
   * which the last step's position is, or when `signal` aborts. Iterable once.
   */
  readonly steps: AsyncIterable<ReplayStep>;
};

/** Replays without any protocol. One to a durable subscription is asked for and stopped by a command (`execute`). */
export type ReplayApi = {
  /** Those of a subscription that are not over, in the order in which they are carried out. */
  replays(
    name: string,
    context: Context,
  ): Promise<Result<{ readonly subscription: string; readonly replays: readonly ReplayView[] }>>;
  /**
   * History by pattern for the caller alone: nothing is recorded.
   *
   * @param data `{ topic, from, to? (now), speed? (0) }`, unchecked; both ends are `start`, `now`, a position or a time.
   */
  replay(data: unknown, signal: AbortSignal, context: Context): Promise<Result<Replay>>;
};
