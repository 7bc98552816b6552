import * as z from 'zod';
import { commandSchemas } from '../../../command/catalog.ts';
import { pullSchema, settleSchema, subscriptionNameSchema } from '../../../command/subscription-schemas.ts';
import { done } from '../answers/common.ts';
import {
  deadLetters,
  deliveries,
  replayOrdered,
  replays,
  settled,
  subscription,
  subscriptionList,
} from '../answers/messages.ts';
import { answer, type Description, nothing, type Parameter, type Section } from '../describe.ts';
import { cursor, limit } from './parameters.ts';

const name: Parameter = { schema: subscriptionNameSchema, about: 'Its name.', example: 'billing' };
const owned = ['not_found', 'not_owner'] as const;

const settling = (id: string, summary: string, example: Readonly<Record<string, unknown>>): Description => ({
  id,
  summary,
  notes: 'A delivery that is no longer the consumer’s is told in `refused`.',
  path: { name },
  bodies: [
    {
      schema: settleSchema,
      examples: { deliveries: { deliveries: ['as a pull has named it'], ...example } },
    },
  ],
  answers: { 200: answer('How many were settled.', settled) },
  codes: owned,
});

const change = (id: string, summary: string, example: Readonly<Record<string, unknown>>): Description => ({
  id,
  summary,
  path: { name },
  bodies: [{ ...(id === 'resetSubscription' ? {} : { required: false }), examples: { plain: example } }],
  answers: { 200: answer('The subscription as it is now.', subscription) },
  codes: ['not_found'],
});

export const subscriptions: Section = {
  name: 'Subscriptions',
  about:
    'Durable subscriptions: each message to one consumer until it is acknowledged; dead letters; replay.',
  operations: {
    'PUT /subscriptions/{name}': {
      id: 'createSubscription',
      summary: 'Make a durable subscription, or change it',
      path: { name },
      bodies: [
        {
          examples: {
            plain: { topic: 'orders.*', from: 'start' },
            whole: {
              topic: 'orders.*',
              from: 'start',
              ackWaitMs: 30000,
              maxDeliver: 3,
              backoffMs: [1000, 5000],
              maxInFlight: 100,
              order: 'key',
            },
          },
        },
      ],
      answers: {
        201: answer('Made.', subscription),
        200: answer('It was there, and has these settings now.', subscription),
      },
    },
    'GET /subscriptions': {
      id: 'listSubscriptions',
      summary: 'List durable subscriptions',
      answers: { 200: answer('Those that the token may read.', subscriptionList) },
    },
    'GET /subscriptions/{name}': {
      id: 'readSubscription',
      summary: 'Read a durable subscription',
      path: { name },
      answers: { 200: answer('Its settings, and how far it is.', subscription) },
      codes: ['not_found'],
    },
    'POST /subscriptions/{name}/pull': {
      id: 'pull',
      summary: 'Take messages',
      notes: 'Answers as soon as one is ready, with all that are up to `max`; with none after `waitMs`.',
      path: { name },
      idempotencyKey: false,
      bodies: [{ schema: pullSchema, required: false, examples: { some: { max: 10, waitMs: 5000 } } }],
      answers: {
        200: {
          about: 'Deliveries; as CloudEvents with the extensions `nexusdelivery` and `nexusattempt`.',
          content: {
            'application/json': deliveries,
            'application/cloudevents-batch+json': z.array(z.looseObject({})),
          },
        },
      },
      codes: [...owned, 'not_supported'],
    },
    'POST /subscriptions/{name}/extend': settling('extend', 'Ask for more time', {}),
    'POST /subscriptions/{name}/ack': settling('ack', 'Acknowledge: it is done', { durable: true }),
    'POST /subscriptions/{name}/nak': settling('nak', 'Give back: it failed, and is tried again', {
      delayMs: 1000,
      reason: 'the printer is out',
    }),
    'POST /subscriptions/{name}/term': settling('term', 'Give up: it is a dead letter at once', {
      reason: 'no such customer',
    }),
    'GET /subscriptions/{name}/dead-letters': {
      id: 'listDeadLetters',
      summary: 'List dead letters',
      path: { name },
      query: {
        limit,
        cursor,
        errorLike: {
          schema: z.string().max(512),
          about: 'A part of the last error’s text.',
          example: 'customer',
        },
        messageId: { schema: z.string().max(128), about: 'Those of one message id.', example: 'order-18' },
      },
      answers: { 200: answer('By the position of the dead message.', deadLetters) },
      codes: ['not_found'],
    },
    'POST /subscriptions/{name}/dead-letters/redrive': {
      id: 'redriveDeadLetters',
      summary: 'Deliver dead letters again',
      notes: 'To this subscription alone; with `payload` in place of the message’s own.',
      path: { name },
      bodies: [{ examples: { alike: { errorLike: 'customer' }, all: { all: true } } }],
      answers: { 200: answer('How many.', done) },
      codes: ['not_found'],
    },
    'POST /subscriptions/{name}/dead-letters/discard': {
      id: 'discardDeadLetters',
      summary: 'Throw dead letters away',
      path: { name },
      bodies: [{ examples: { all: { all: true } } }],
      answers: { 200: answer('How many.', done) },
      codes: ['not_found'],
    },
    'POST /subscriptions/{name}/pause': change('pauseSubscription', 'Stop deliveries for a while', {
      reason: 'the database moves',
    }),
    'POST /subscriptions/{name}/replay': {
      id: 'replay',
      summary: 'Deliver history again',
      path: { name },
      bodies: [{ examples: { tenfold: { from: 'start', to: 'now', speed: 10 } } }],
      answers: { 200: answer('The stretch, as positions.', replayOrdered) },
      codes: ['not_found', 'rate_limited'],
    },
    'GET /subscriptions/{name}/replays': {
      id: 'listReplays',
      summary: 'List the replays that are not over',
      path: { name },
      answers: { 200: answer('In the order in which they are carried out.', replays) },
      codes: ['not_found'],
    },
    'DELETE /subscriptions/{name}/replays/{replayId}': {
      id: 'stopReplay',
      summary: 'Stop a replay',
      path: {
        name,
        replayId: {
          schema: commandSchemas.StopReplays.shape.replayId.unwrap(),
          about: 'As the replay’s answer has named it.',
          example: 'as the replay’s answer has named it',
        },
      },
      answers: { 200: answer('How many were stopped.', done) },
      codes: ['not_found'],
    },
    'DELETE /subscriptions/{name}/replays': {
      id: 'stopReplays',
      summary: 'Stop all replays',
      path: { name },
      answers: { 200: answer('How many were stopped.', done) },
      codes: ['not_found'],
    },
    'POST /subscriptions/{name}/resume': change('resumeSubscription', 'Go on with deliveries', {}),
    'POST /subscriptions/{name}/reset': change('resetSubscription', 'Begin elsewhere', { to: 'now' }),
    'DELETE /subscriptions/{name}': {
      id: 'deleteSubscription',
      summary: 'Delete a durable subscription',
      path: { name },
      bodies: [{ required: false, examples: { reason: { reason: 'billing has moved' } } }],
      answers: { 204: nothing },
      codes: ['not_found'],
    },
  },
};
