import * as z from 'zod';
import type { Json } from '../../domain/event.ts';
import { isSubscriptionName, isTopicPattern } from '../../domain/names.ts';
import { deliveryOrders } from '../../domain/subscription/subscription.ts';

/** Input of what changes and uses durable subscriptions: the body of the REST route, plus the name in its path. */

const json = z.custom<Json>((value) => value !== undefined, 'is required');
const text = (max: number) => z.string().min(1).max(max);
const dayMs = 86_400_000;
const waitMs = z.number().int().min(0).max(dayMs);

export const subscriptionNameSchema = z
  .string()
  .refine(isSubscriptionName, 'must match [A-Za-z0-9._-]{1,128}')
  .meta({ pattern: '^[A-Za-z0-9._-]{1,128}$' });
export const topicPatternSchema = z
  .string()
  .refine(isTopicPattern, 'must be a topic, in which a segment may be * and the last one >')
  .meta({
    pattern: '^((([A-Za-z0-9_-]{1,64}|\\*)\\.){0,31}([A-Za-z0-9_-]{1,64}|\\*|>))$',
    description: 'A topic, in which a segment may be `*` (exactly one) and the last one `>` (one or more).',
  });

/** A place in the log: `start`, `now`, a position or a time; which of the last two is for the core to tell. */
const place = text(64).meta({ description: '`start`, `now`, a position or an RFC 3339 time.' });
const reason = text(512).optional();
const deliveries = z.array(text(128)).min(1).max(1_000);

const named = { name: subscriptionNameSchema };

/** Most pending deliveries, which each checkpoint names: src/bus/subscription/checkpoint.ts. */
export const maxInFlightLimit = 5_000;

const createSubscription = z.strictObject({
  ...named,
  topic: topicPatternSchema,
  from: place.default('now'),
  ackWaitMs: z.number().int().min(100).max(dayMs).default(30_000),
  maxDeliver: z.number().int().min(1).max(100).default(5),
  backoffMs: z.array(waitMs).min(1).max(100).default([1_000, 5_000, 30_000, 120_000]),
  maxInFlight: z.number().int().min(1).max(maxInFlightLimit).default(1_000),
  order: z.enum(deliveryOrders).default('none'),
});

/** Which stretch of history, and how fast: 0 is as fast as it is taken, 1 the pace at which it was published. */
const replayed = {
  from: place,
  to: place.default('now'),
  speed: z.number().min(0).max(1_000).default(0),
};

/** Which dead letters are meant: exactly one of the three. */
const selection = {
  messageIds: z.array(text(128)).min(1).max(1_000).optional(),
  errorLike: text(512).optional(),
  all: z.literal(true).optional(),
};
const oneSelection = (data: {
  readonly messageIds?: unknown;
  readonly errorLike?: unknown;
  readonly all?: unknown;
}): boolean =>
  [data.messageIds, data.errorLike, data.all].filter((value) => value !== undefined).length === 1;
const selectionRule = 'must have one of messageIds, errorLike and all: true';

export const subscriptionSchemas = {
  CreateSubscription: createSubscription,
  DeleteSubscription: z.strictObject({ ...named, reason }),
  PauseSubscription: z.strictObject({ ...named, reason }),
  ResumeSubscription: z.strictObject({ ...named, reason }),
  ResetSubscription: z.strictObject({ ...named, to: place }),
  RedriveDeadLetters: z
    .strictObject({ ...named, ...selection, payload: json.optional() })
    .refine(oneSelection, selectionRule),
  DiscardDeadLetters: z.strictObject({ ...named, ...selection }).refine(oneSelection, selectionRule),
  ReplayMessages: z.strictObject({ ...named, topic: topicPatternSchema.optional(), ...replayed }),
  StopReplays: z.strictObject({ ...named, replayId: text(128).optional() }),
} as const;

/** A replay to whoever asks for it, rather than to a subscription. */
export const replaySchema = z.strictObject({ topic: topicPatternSchema, ...replayed });

export const pullSchema = z.strictObject({
  max: z.number().int().min(1).max(1_000).default(1),
  waitMs: z.number().int().min(0).max(60_000).default(0),
});

export const settleSchema = z.strictObject({
  deliveries,
  /** For nak: instead of the backoff. */
  delayMs: waitMs.optional(),
  reason,
  /** Answer only when what was settled can no longer be delivered again. */
  durable: z.boolean().default(false),
});
