import type { Position } from '../domain/event.ts';
import type { Failure, MessageCopy, SubscriptionSettings } from '../domain/subscription/subscription.ts';
import type { SubscriptionServer } from './bus/subscription/server.ts';
import type { Result } from './errors.ts';
import type { Context, Gap, Message } from './nexus-core.ts';

/** A durable subscription as clients see it. */
export type Subscription = SubscriptionSettings & {
  readonly name: string;
  readonly status: 'active' | 'paused';
  readonly createdAt: string;
  readonly createdBy: string;
  /** Node that serves it; null while none does. */
  readonly owner: string | null;
  /** Everything that matches at or before it is settled. */
  readonly position: Position;
  /** Matching messages that are not acknowledged yet; null while the node that serves it cannot be asked. */
  readonly lagEvents: number | null;
  /** Deliveries that are unsettled, those that wait for their next attempt included; null likewise. */
  readonly inFlight: number | null;
  /** What retention has taken last before it was delivered; null when nothing, or likewise. */
  readonly gap: Gap | null;
  readonly deadLetters: number;
};

/** A message as a consumer gets it; `replay` on what is delivered again by a replay. */
export type DeliveredMessage = Message & { readonly replay?: true };

export type Delivery = {
  /** Names message, attempt and consumer; settled once, and refused (`stale_delivery`) when another attempt was begun. */
  readonly delivery: string;
  /** 1 for the first. */
  readonly attempt: number;
  readonly message: DeliveredMessage;
};

/**
 * `ack`: done. `nak`: failed, to be delivered again after `delayMs` or the next backoff. `term`: failed for good, a dead
 * letter at once. `extend`: still at work, ackWaitMs counts from now.
 */
export type Settlement = 'ack' | 'nak' | 'term' | 'extend';

export type Settled = {
  readonly done: number;
  /** Deliveries that are no longer the consumer's: settled before, timed out, or taken over by another node. */
  readonly refused: readonly string[];
  /** True when the answer waited until what was settled can no longer be delivered again. */
  readonly durable: boolean;
};

export type DeadLetterView = {
  readonly messageId: string;
  readonly message: MessageCopy;
  readonly attempts: number;
  readonly errors: readonly Failure[];
  readonly redrives: number;
  /** It died in a replay. */
  readonly replay?: true;
  readonly deadLetteredAt: string;
  /** Of the dead message: goes on behind it in lists. */
  readonly position: string;
};

/** One consumer of a durable subscription. */
export type Consumption = {
  readonly subscription: string;
  readonly topic: string;
  readonly position: Position;
  /**
   * Batches of deliveries, as many as the consumer may hold unsettled; pull-based. Ends when `signal` aborts or the
   * iterator returns: what is unsettled is then delivered again at once, and each is a failed attempt unless the
   * signal's reason is `released`, or the hub is going away. Goes on across changes of the node that serves; ends when
   * the subscription is deleted.
   */
  readonly deliveries: AsyncIterable<readonly Delivery[]>;
};

export type DeadLetterQuery = {
  readonly limit?: number;
  readonly cursor?: string;
  /** A part of the last error's text. */
  readonly errorLike?: string;
  /** Those of one message id: one, or several where topics share the id. */
  readonly messageId?: string;
};

/** Durable subscriptions without any protocol. What changes one is a command (`execute`). */
export type SubscriptionApi = {
  subscription(name: string, context: Context): Promise<Result<Subscription>>;
  /** Those whose topics the subject may read. */
  subscriptions(
    context: Context,
  ): Promise<Result<{ readonly subscriptions: readonly Subscription[]; readonly position: Position }>>;
  /**
   * Answers as soon as one delivery is ready, with all that are ready up to `max`; with none after `waitMs`.
   *
   * @param data `{ max?: 1 … 1,000 (1), waitMs?: 0 … 60,000 (0) }`, unchecked.
   * @param signal the asker is gone: what it would have got stays.
   */
  pull(
    name: string,
    data: unknown,
    context: Context,
    signal?: AbortSignal,
  ): Promise<Result<{ readonly deliveries: readonly Delivery[] }>>;
  /** @param data `{ deliveries: [1 … 1,000 texts], delayMs?, reason?, durable? }`, unchecked. */
  settle(how: Settlement, name: string, data: unknown, context: Context): Promise<Result<Settled>>;
  /** Gives back deliveries that could not be handed over: delivered again at once, and no failed attempt. */
  giveBack(name: string, deliveries: readonly string[], context: Context): Promise<void>;
  /** Joins the group of consumers. `max`: unsettled deliveries that it may hold, 1 … 1,000; 100 unless given. */
  consume(
    name: string,
    options: { readonly max?: number; readonly signal: AbortSignal },
    context: Context,
  ): Promise<Result<Consumption>>;
  /** What serves it on this very node: for other nodes of the log alone, as it looks at no scope. */
  served(name: string): Promise<Result<SubscriptionServer>>;
  /** By the position of the dead message. `cursor` is one that a page has given, or a dead letter's position. */
  deadLetters(
    name: string,
    query: DeadLetterQuery,
    context: Context,
  ): Promise<Result<{ readonly deadLetters: readonly DeadLetterView[]; readonly cursor?: string }>>;
};
