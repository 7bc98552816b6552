import type { Json, Position } from '../domain/event.ts';
import type { Difference } from './bus/replay/difference.ts';
import type { Result } from './errors.ts';
import type { CommandInput, Context } from './nexus-core.ts';
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

/** What would have been done; nothing was. */
export type Pretended = {
  readonly commandId: string;
  /** Of a message, made up unless the caller has named one. */
  readonly messageId?: string;
  /** Of a reply: the request that it is to. */
  readonly requestId?: string;
  /** As much of the real answer as its input tells. */
  readonly result: Json;
};

/** What a dry run stopped at: a report that has one of these tells of less than there is. */
export type Cut =
  /** Messages that may be replayed. */
  | 'messages'
  /** Effects that are taken down. */
  | 'captured'
  /** Former effects that are compared with. */
  | 'then'
  /** The search for them in the log. */
  | 'scan'
  /** Differences that are told. */
  | 'report';

export type DryRunReport = {
  /** Messages that were replayed. */
  readonly messages: number;
  /** Effects of the client in the dry run. */
  readonly captured: number;
  /** Effects that these messages had then, as far as the subject may read them. */
  readonly then: number;
  /** Those that it may not read. */
  readonly hidden?: number;
  /** By message, in the order in which they came; `cause` is null for what came before the first. */
  readonly differences: readonly (Difference & { readonly cause: string | null })[];
  readonly truncated?: readonly Cut[];
};

/**
 * A subscriber at work on history: what it asks for here is checked and authorised as the real thing, answered as if it were
 * done, and taken down, and nothing is written.
 *
 * What it does belongs to the message that its context names as `causationId`, else to the last that was pulled.
 */
export type DryRun = {
  readonly replay: Replay;
  execute(command: CommandInput, context: Context): Promise<Result<Pretended>>;
  request(topic: string, data: unknown, context: Context): Promise<Result<Pretended>>;
  reply(data: unknown, context: Context): Promise<Result<Pretended>>;
  /**
   * Ends the replay where it is, and compares what was taken down with what `actor` did because of the same messages, by
   * one look through the log from the stretch's beginning. May be called again when it throws.
   *
   * @throws {LogError} while the log cannot be read.
   */
  finish(signal: AbortSignal, context: Context): Promise<DryRunReport>;
  /** Without a report. */
  release(): void;
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
  /** @param actor Whose former effects it is compared with; the subject's own unless given. */
  dryRun(
    data: unknown,
    actor: string | undefined,
    signal: AbortSignal,
    context: Context,
  ): Promise<Result<DryRun>>;
};
