import * as z from 'zod';
import { replySchema, requestSchema } from '../../../bus/requests/schemas.ts';
import { commandSchemas, topicSchema } from '../../../command/catalog.ts';
import {
  heartbeatSchema,
  serveSchema,
  serviceIdSchema,
  serviceNameSchema,
} from '../../../command/service-schemas.ts';
import { stateKeySchema } from '../../../command/state-schemas.ts';
import {
  replaySchema,
  subscriptionNameSchema,
  topicPatternSchema,
} from '../../../command/subscription-schemas.ts';
import { command } from '../command.ts';
import type { HubFrameName } from './hub-frames.ts';

/** A frame that a client sends. A test holds its schema to what ws/frame.ts understands. */
export type ClientFrame = {
  readonly about: string;
  readonly schema: z.ZodType;
  /** What comes back for it, beside `error`. */
  readonly replies: readonly HubFrameName[];
  /** Each one is sent by a test. */
  readonly examples: readonly Readonly<Record<string, unknown>>[];
};

const traceId = z
  .string()
  .regex(/^[A-Za-z0-9._:@/+=-]{1,128}$/)
  .optional();
const id = z
  .union([z.string().max(128), z.number()])
  .describe('The client’s own; comes back in the answer.')
  .optional();
const traced = {
  causationId: traceId.describe('The message because of which this is done.'),
  correlationId: traceId,
};
const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/)
  .optional();
const after = z
  .string()
  .min(1)
  .max(64)
  .describe('A position, exclusive, or `start`; only what is new unless given.')
  .optional();
const localName = z.string().min(1).max(128);
const subscription = localName
  .describe('The name under which items come; the hub makes one unless it is given.')
  .optional();
const following = { id, after, subscription };
const settling = {
  id,
  delivery: localName.optional(),
  deliveries: z.array(localName).min(1).max(1_000).optional(),
  reason: z.string().min(1).max(512).optional(),
  durable: z.boolean().optional(),
};
const call = z.number().int().min(1);

/** Either the one delivery or a list of them. */
const settle = (
  type: 'ack' | 'nak' | 'term' | 'extend',
  about: string,
  example: Readonly<Record<string, unknown>>,
  more: z.ZodRawShape = {},
): ClientFrame => ({
  about: `${about} Either \`delivery\` or \`deliveries\`. Without an \`id\` only a fault is answered.`,
  schema: z.looseObject({ type: z.literal(type), ...settling, ...more }),
  replies: ['done'],
  examples: [{ type, delivery: 'as its message has named it', id: type, ...example }],
});

const publish: ClientFrame = {
  about: 'Publish a message.',
  schema: z.strictObject({
    type: z.literal('publish'),
    id,
    ...commandSchemas.PublishMessage.shape,
    ...traced,
    idempotencyKey,
  }),
  replies: ['published'],
  examples: [
    { type: 'publish', topic: 'orders.created', payload: { order: 17 }, id: 1 },
    {
      type: 'publish',
      topic: 'orders.created',
      payload: { order: 18 },
      priority: 'HIGH',
      key: 'customer-7',
      headers: { source: 'shop' },
      idempotencyKey: 'order-18',
      id: 'p-2',
    },
  ],
};

const execute: ClientFrame = {
  about: 'Run any command, as `POST /commands` does.',
  schema: z.looseObject({ type: z.literal('command'), id, command, ...traced, idempotencyKey }),
  replies: ['result'],
  examples: [
    {
      type: 'command',
      command: { type: 'SetState', data: { key: 'app_config', value: { theme: 'dark' } } },
      id: 2,
    },
    {
      type: 'command',
      command: { type: 'CreateSubscription', data: { name: 'billing', topic: 'orders.*', from: 'start' } },
      id: 3,
    },
    {
      type: 'command',
      command: {
        type: 'RegisterService',
        data: { id: 'adder-1', name: 'adder', version: '1.0.0', reach: 'socket', ttlSec: 30 },
      },
      id: 4,
    },
  ],
};

const request: ClientFrame = {
  about: 'Ask over the bus; the reply is pushed when it comes.',
  schema: z.strictObject({
    type: z.literal('request'),
    id,
    topic: topicSchema,
    ...requestSchema.shape,
    ...traced,
  }),
  replies: ['reply'],
  examples: [{ type: 'request', topic: 'sums.add', payload: [1, 2], timeoutMs: 5000, id: 'q-1' }],
};

const reply: ClientFrame = {
  about: 'Reply to a request, once: either `payload` or `error`.',
  schema: z.strictObject({ type: z.literal('reply'), id, ...replySchema.shape }),
  replies: ['published'],
  examples: [
    { type: 'reply', replyTo: 'as the request’s header nexus-reply-to says', payload: 3, id: 'r-1' },
  ],
};

/** What the command socket of ZeroMQ takes, too. */
export const mutationFrames = { publish, command: execute, request, reply } as const;

/** In an order in which each finds what it needs. */
export const clientFrames: Readonly<Record<string, ClientFrame>> = {
  ping: {
    about: 'Ask whether the hub is there.',
    schema: z.looseObject({ type: z.literal('ping'), id }),
    replies: ['pong'],
    examples: [{ type: 'ping', id: 0 }],
  },
  auth: {
    about: 'Renew the token; the subject stays the same.',
    schema: z.looseObject({ type: z.literal('auth'), id, token: z.string() }),
    replies: ['authenticated'],
    examples: [{ type: 'auth', token: 'a new token', id: 'auth' }],
  },
  subscribe: {
    about:
      'Follow the messages of a topic or a pattern (`topic`), or consume a durable subscription (`group`) with at most `max` unsettled deliveries.',
    schema: z.looseObject({
      type: z.literal('subscribe'),
      ...following,
      topic: topicPatternSchema.optional(),
      group: subscriptionNameSchema.optional(),
      max: z.number().int().min(1).max(1_000).optional(),
    }),
    replies: ['subscribed'],
    examples: [
      { type: 'subscribe', topic: 'sums.*', subscription: 'sums', id: 'sub-1' },
      { type: 'subscribe', topic: 'orders.>', after: 'start', subscription: 'orders', id: 'sub-2' },
    ],
  },
  watch: {
    about: 'Follow a state key, or all that begin with a prefix.',
    schema: z.looseObject({
      type: z.literal('watch'),
      ...following,
      key: stateKeySchema.optional(),
      prefix: z.string().max(512).optional(),
    }),
    replies: ['watching'],
    examples: [
      { type: 'watch', key: 'app_config', id: 'watch-1' },
      { type: 'watch', prefix: 'app', after: 'start', id: 'watch-2' },
    ],
  },
  tail: {
    about: 'Follow the events of a stream, of a category, or all.',
    schema: z.looseObject({
      type: z.literal('tail'),
      ...following,
      stream: z.string().min(1).max(600).optional(),
      category: z.string().min(1).max(64).optional(),
      all: z.literal(true).optional(),
    }),
    replies: ['tailing'],
    examples: [
      { type: 'tail', stream: 'state-app_config', id: 'tail-1' },
      { type: 'tail', category: 'service', id: 'tail-2' },
      { type: 'tail', all: true, id: 'tail-3' },
    ],
  },
  watchServices: {
    about: 'Follow the registry: all services, or those of a name.',
    schema: z.looseObject({
      type: z.literal('watchServices'),
      ...following,
      name: serviceNameSchema.optional(),
    }),
    replies: ['watching'],
    examples: [{ type: 'watchServices', name: 'adder', id: 'services-1' }],
  },
  ...mutationFrames,
  heartbeat: {
    about: 'Say that a service lives. Without an `id` only a fault is answered.',
    schema: z.strictObject({
      type: z.literal('heartbeat'),
      id,
      service: serviceIdSchema,
      ...heartbeatSchema.shape,
    }),
    replies: ['heard'],
    examples: [{ type: 'heartbeat', service: 'adder-1', load: 0.25, id: 'beat-1' }],
  },
  serve: {
    about: 'Take calls of a service that has no address on this socket.',
    schema: z.strictObject({ type: z.literal('serve'), id, ...serveSchema.shape }),
    replies: ['serving'],
    examples: [{ type: 'serve', service: 'adder-1', max: 8, id: 'serve-1' }],
  },
  callResult: {
    about: 'Answer a call.',
    schema: z.looseObject({ type: z.literal('callResult'), id, call, result: z.unknown().optional() }),
    replies: [],
    examples: [{ type: 'callResult', call: 1, result: 3 }],
  },
  callFailed: {
    about: 'Make a call fail.',
    schema: z.looseObject({
      type: z.literal('callFailed'),
      id,
      call,
      error: z.looseObject({
        message: z.string().min(1).max(4_096),
        code: z.string().min(1).max(128).optional(),
        data: z.unknown().optional(),
      }),
    }),
    replies: [],
    examples: [{ type: 'callFailed', call: 2, error: { message: 'too large', code: 'overflow' } }],
  },
  stopServing: {
    about: 'Take no more calls of a service.',
    schema: z.looseObject({ type: z.literal('stopServing'), id, service: localName }),
    replies: ['servingEnded'],
    examples: [{ type: 'stopServing', service: 'adder-1', id: 'stop-1' }],
  },
  extend: settle('extend', 'Still at work: ask for more time.', {}),
  ack: settle('ack', 'Done.', { durable: true }),
  nak: settle(
    'nak',
    'Failed: deliver it again after `delayMs`, or after the backoff.',
    { delayMs: 60000, reason: 'the printer is out' },
    { delayMs: z.number().int().min(0).max(86_400_000).optional() },
  ),
  term: settle('term', 'Failed for good: a dead letter at once.', { reason: 'no such customer' }),
  replay: {
    about:
      'History once more, for this socket; with `dryRun` what the client sends is taken down and not done.',
    schema: z.strictObject({
      type: z.literal('replay'),
      id,
      subscription,
      ...replaySchema.shape,
      dryRun: z.boolean().optional(),
      actor: z
        .string()
        .min(1)
        .max(256)
        .describe('Of a dry run: whose former effects it is compared with.')
        .optional(),
    }),
    replies: ['replaying'],
    examples: [
      {
        type: 'replay',
        topic: 'orders.*',
        from: 'start',
        dryRun: true,
        subscription: 'again',
        id: 'replay-1',
      },
    ],
  },
  finish: {
    about: 'End a dry run, and ask what it would have changed.',
    schema: z.looseObject({ type: z.literal('finish'), id, subscription: localName }),
    replies: ['dryRunReport'],
    examples: [{ type: 'finish', subscription: 'again', id: 'finish-1' }],
  },
  unsubscribe: {
    about: 'End a subscription.',
    schema: z.looseObject({ type: z.literal('unsubscribe'), id, subscription: localName }),
    replies: ['unsubscribed'],
    examples: [{ type: 'unsubscribe', subscription: 'orders', id: 'un-1' }],
  },
};
