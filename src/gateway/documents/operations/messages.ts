import * as z from 'zod';
import { replySchema, requestSchema } from '../../../bus/requests/schemas.ts';
import { topicSchema } from '../../../command/catalog.ts';
import { topicPatternSchema } from '../../../command/subscription-schemas.ts';
import { position } from '../answers/common.ts';
import {
  message,
  messagePage,
  published,
  replied,
  replyReceipt,
  retention,
  retentionSet,
  retentions,
  topicList,
} from '../answers/messages.ts';
import { answer, eventStreamType, jsonType, nothing, type Parameter, type Section } from '../describe.ts';
import { after, limit } from './parameters.ts';

const cloudEvent = z
  .looseObject({ specversion: z.literal('1.0'), id: z.string(), source: z.string(), type: z.string() })
  .describe('CloudEvents 1.0, JSON format (docs/cloudevents.md).');
const structured = 'application/cloudevents+json';
const batch = 'application/cloudevents-batch+json';
const topic: Parameter = { schema: topicSchema, about: 'The topic.', example: 'orders.created' };
const pattern: Parameter = {
  schema: topicPatternSchema,
  about: 'A pattern of topics: `*` one segment, `>` at the end one or more.',
  example: 'orders.*',
  field: 'topic',
};

export const messages: Section = {
  name: 'Events',
  about: 'The bus: messages, durable once they are answered, read from any place and followed live.',
  operations: {
    'POST /events/{topic}': {
      id: 'publishEvent',
      summary: 'Publish a message',
      notes:
        'A repeated `messageId` on a topic within 24 h is answered as the first one, and appends nothing. CloudEvents are taken in structured, binary and batched mode (docs/cloudevents.md).',
      path: { topic },
      bodies: [
        {
          examples: {
            plain: { payload: { order: 17 } },
            whole: {
              payload: { order: 18 },
              priority: 'HIGH',
              key: 'customer-7',
              headers: { source: 'shop' },
              ttlMs: 86400000,
              messageId: 'order-18',
            },
          },
        },
        {
          type: structured,
          schema: cloudEvent,
          examples: {
            cloudEvent: {
              specversion: '1.0',
              id: 'e-19',
              source: '/shop',
              type: 'order.created',
              datacontenttype: 'application/json',
              data: { order: 19 },
            },
          },
        },
      ],
      answers: {
        201: answer('Durable.', published),
        200: answer('It was published before.', published),
      },
      codes: ['forbidden'],
    },
    'GET /events': {
      id: 'listEvents',
      summary: 'Read messages in log order, or follow them',
      notes: `With \`Accept: ${eventStreamType}\` a live tail that resumes from \`Last-Event-ID\`.`,
      query: {
        topic: { ...pattern, about: `${pattern.about} All unless given.` },
        after,
        from: {
          schema: z.iso.datetime({ offset: true }),
          about: 'Published at this time or later.',
          example: '2026-01-01T00:00:00Z',
        },
        limit,
        format: { schema: z.literal('cloudevents'), about: 'Of a live tail: each item as a CloudEvent.' },
      },
      headers: ['Last-Event-ID'],
      answers: {
        200: {
          about: 'A page, a batch of CloudEvents, or a live tail: each message with its position as the id.',
          content: { [jsonType]: messagePage, [batch]: z.array(cloudEvent), [eventStreamType]: message },
          headers: ['Link'],
        },
      },
    },
    'GET /messages/{position}': {
      id: 'readMessage',
      summary: 'Read the message at a position',
      path: { position: { schema: position, about: 'Its position.', example: '0000000000000001' } },
      query: {
        mode: {
          schema: z.enum(['structured', 'binary']),
          about: 'As a CloudEvent in this mode.',
          example: 'structured',
        },
      },
      answers: {
        200: { about: 'The message.', content: { [jsonType]: message, [structured]: cloudEvent } },
      },
      codes: ['not_found'],
    },
    'GET /topics': {
      id: 'listTopics',
      summary: 'List the topics that have messages',
      answers: { 200: answer('Those that the token may read.', topicList) },
    },
    'POST /requests/{topic}': {
      id: 'request',
      summary: 'Ask over the bus, and wait for the reply',
      path: { topic: { ...topic, example: 'sums.add' } },
      idempotencyKey: false,
      bodies: [{ schema: requestSchema, examples: { sum: { payload: [1, 2], timeoutMs: 5000 } } }],
      answers: { 200: answer('The reply.', replied, 'X-Nexus-Position') },
      codes: ['no_reply', 'upstream_failed', 'not_supported', 'rate_limited', 'overloaded'],
    },
    'POST /replies': {
      id: 'reply',
      summary: 'Reply to a request',
      notes:
        '`replyTo` is what the request’s header `nexus-reply-to` says: whoever holds it may reply, once.',
      idempotencyKey: false,
      bodies: [{ schema: replySchema, examples: { sum: { replyTo: 'as the request says', payload: 3 } } }],
      answers: { 201: answer('Durable.', replyReceipt, 'X-Nexus-Position') },
      codes: ['not_found', 'already_replied'],
    },
    'PUT /retention/{pattern}': {
      id: 'setRetention',
      summary: 'Say what topics keep',
      path: { pattern },
      bodies: [{ examples: { week: { maxAgeSec: 604800, maxMessages: 100000 } } }],
      answers: {
        201: answer('The pattern has limits now.', retentionSet),
        200: answer('It has others now.', retentionSet),
      },
    },
    'GET /retention': {
      id: 'listRetention',
      summary: 'List what topics keep',
      answers: { 200: answer('The policies, and what this node has done for them.', retentions) },
    },
    'GET /retention/{pattern}': {
      id: 'readRetention',
      summary: 'Read the limits of exactly this pattern',
      path: { pattern },
      answers: { 200: answer('The limits.', retention) },
      codes: ['not_found'],
    },
    'DELETE /retention/{pattern}': {
      id: 'removeRetention',
      summary: 'Remove the limits of a pattern',
      path: { pattern },
      answers: { 204: nothing },
      codes: ['not_found'],
    },
  },
};
