import * as z from 'zod';
import { priorities } from '../../../../domain/message/message.ts';
import { deliveryOrders } from '../../../../domain/subscription/subscription.ts';
import { component } from '../json-schema.ts';
import { count, cursor, gap, json, more, position, texts, time } from './common.ts';

export const headers = z.record(z.string(), z.string());

export const messageFields = {
  messageId: z.string(),
  topic: z.string(),
  payload: json,
  priority: z.enum(priorities),
  key: z.string().optional(),
  headers,
  publishedAt: time,
  publisher: z.string(),
  position,
};
export const message = component('Message', z.object(messageFields));

export const published = component(
  'Published',
  z.object({ messageId: z.string(), topic: z.string(), position }),
);
export const messagePage = component(
  'MessagePage',
  z.object({ events: z.array(message), position, more, gap: gap.optional() }),
);
export const topicList = component(
  'TopicList',
  z.object({
    topics: z.array(
      z.object({
        topic: z.string(),
        messages: count,
        firstAt: time,
        lastAt: time,
        revision: count,
        position,
      }),
    ),
    position,
  }),
);

export const replied = component(
  'Replied',
  z.object({
    requestId: z.string(),
    payload: json,
    headers,
    publisher: z.string().describe('Who replied.'),
    position,
    durationMs: z.number().min(0),
  }),
);
export const replyReceipt = component(
  'ReplyReceipt',
  z.object({ messageId: z.string(), requestId: z.string(), position }),
);

const unknown = 'null while the node that serves it cannot be asked';
export const subscription = component(
  'Subscription',
  z.object({
    name: z.string(),
    status: z.enum(['active', 'paused']),
    topic: z.string(),
    ackWaitMs: count,
    maxDeliver: count,
    backoffMs: z.array(count),
    maxInFlight: count,
    order: z.enum(deliveryOrders),
    createdAt: time,
    createdBy: z.string(),
    owner: z.string().nullable().describe('Node that serves it.'),
    position: position.describe('Everything that matches at or before it is settled.'),
    lagEvents: count.nullable().describe(`Matching messages that are not acknowledged; ${unknown}.`),
    inFlight: count.nullable().describe(`Deliveries that are unsettled; ${unknown}.`),
    gap: gap.nullable(),
    deadLetters: count,
  }),
);
export const subscriptionList = component(
  'SubscriptionList',
  z.object({ subscriptions: z.array(subscription), position }),
);
export const deliveredMessage = z.object({ ...messageFields, replay: z.literal(true).optional() });
export const deliveries = component(
  'Deliveries',
  z.object({
    deliveries: z.array(
      z.object({ delivery: z.string(), attempt: z.number().int().min(1), message: deliveredMessage }),
    ),
  }),
);
export const settled = component(
  'Settled',
  z.object({
    done: count,
    refused: texts.describe('Deliveries that are no longer the consumer’s.'),
    durable: z.boolean().describe('What was settled cannot be delivered again.'),
  }),
);
export const deadLetters = component(
  'DeadLetterPage',
  z.object({
    deadLetters: z.array(
      z.object({
        messageId: z.string(),
        message,
        attempts: count,
        errors: z.array(z.object({ at: time, reason: z.string() })),
        redrives: count,
        replay: z.literal(true).optional(),
        deadLetteredAt: time,
        position,
      }),
    ),
    cursor,
  }),
);
const stretch = { topic: z.string(), from: position, to: position, speed: z.number().min(0) };
export const replayOrdered = component(
  'ReplayOrdered',
  z.object({ replayId: z.string(), subscription: z.string(), ...stretch }),
);
export const replays = component(
  'ReplayList',
  z.object({
    subscription: z.string(),
    replays: z.array(
      z.object({
        replayId: z.string(),
        ...stretch,
        requestedAt: time,
        requestedBy: z.string(),
        status: z.enum(['waiting', 'running']),
        position,
        messages: count,
      }),
    ),
  }),
);

const limit = z.number().nullable();
const retentionFields = { topic: z.string(), maxAgeSec: limit, maxMessages: limit, maxBytes: limit };
export const retention = component('Retention', z.object(retentionFields));
export const retentionSet = component('RetentionSet', z.object({ ...retentionFields, position }));
export const retentions = component(
  'RetentionList',
  z.object({
    policies: z.array(retention),
    maintenance: z.object({
      lastRun: z
        .object({ at: time, durationMs: count, topics: count, keys: count, truncatedEvents: count })
        .nullable(),
      lastScavenge: z.object({ at: time, events: count, bytes: count }).nullable(),
      truncatedEvents: count,
      freedEvents: count,
      freedBytes: count,
      trouble: z.string().nullable(),
    }),
    position,
  }),
);
