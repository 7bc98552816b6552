import * as z from 'zod';
import { errorTable } from '../../../errors.ts';
import { count, gap, json, position, time } from '../answers/common.ts';
import { eventFields, receipt } from '../answers/log.ts';
import { headers, messageFields } from '../answers/messages.ts';
import { service, serviceStatus } from '../answers/services.ts';
import { stateChange } from '../answers/state.ts';

/** A frame that the hub sends. */
export type HubFrame = { readonly about: string; readonly schema: z.ZodType };

const id = z.union([z.string(), z.number()]).optional();
const subscription = z.string();
const place = position.nullable();

const frame = (about: string, type: string, shape: z.ZodRawShape): HubFrame => ({
  about,
  schema: z.object({ type: z.literal(type), ...shape }),
});

const effects = z.array(z.looseObject({ type: z.string() }));

const table = {
  pong: frame('The hub is there.', 'pong', { id }),
  authenticated: frame('The new token holds.', 'authenticated', { id, expiresAt: time }),
  subscribed: frame('Messages come from here on.', 'subscribed', {
    id,
    subscription,
    topic: z.string(),
    group: z.string().optional(),
    position,
  }),
  watching: frame('Changes come from here on.', 'watching', {
    id,
    subscription,
    key: z.string().optional(),
    prefix: z.string().optional(),
    name: z.string().optional(),
    position,
  }),
  tailing: frame('Events come from here on.', 'tailing', {
    id,
    subscription,
    stream: z.string().optional(),
    category: z.string().optional(),
    all: z.literal(true).optional(),
    position,
  }),
  replaying: frame('The stretch of history that comes.', 'replaying', {
    id,
    subscription,
    topic: z.string(),
    from: position,
    to: position,
    speed: z.number(),
    dryRun: z.literal(true).optional(),
  }),
  unsubscribed: frame('Nothing of it comes any more.', 'unsubscribed', { id, subscription }),
  published: frame('Durable; in a dry run: not done.', 'published', {
    id,
    messageId: z.string().optional(),
    requestId: z.string().optional(),
    topic: z.string().optional(),
    position: place,
    dryRun: z.literal(true).optional(),
    idempotentReplayed: z.literal(true).optional(),
  }),
  result: frame('What a command has done, as `POST /commands` answers.', 'result', {
    id,
    commandId: z.string(),
    events: z.array(receipt),
    result: json,
    position: place,
    dryRun: z.literal(true).optional(),
    idempotentReplayed: z.literal(true).optional(),
  }),
  heard: frame('A heartbeat was heard.', 'result', {
    id,
    service: z.string(),
    ttlSec: z.number().nullable(),
    status: serviceStatus,
  }),
  reply: frame('The reply to a request.', 'reply', {
    id,
    requestId: z.string(),
    payload: json,
    headers,
    publisher: z.string(),
    position,
    durationMs: z.number(),
  }),
  done: frame('Settled.', 'done', { id }),
  serving: frame('Calls of the service come.', 'serving', { id, service: z.string(), max: count }),
  servingEnded: frame('No further call of it comes.', 'servingEnded', {
    id,
    service: z.string(),
    reason: z.string(),
  }),
  dryRunReport: frame('What a dry run would have changed.', 'dryRunReport', {
    id,
    subscription,
    messages: count,
    captured: count,
    // biome-ignore lint/suspicious/noThenProperty: the name on the wire
    then: count,
    hidden: count.optional(),
    differences: z.array(
      z.object({
        cause: z.string().nullable(),
        onlyThen: effects,
        onlyNow: effects,
        changed: z.array(z.looseObject({})),
      }),
    ),
    truncated: z.array(z.string()).optional(),
  }),
  message: frame('A message; of a group with `delivery` and `attempt`.', 'message', {
    subscription,
    ...messageFields,
    delivery: z.string().optional(),
    attempt: z.number().int().min(1).optional(),
    replay: z.literal(true).optional(),
  }),
  state: frame('A key has changed.', 'state', { subscription, ...stateChange.shape }),
  event: frame('An event of the log; its own type stands in `eventType`.', 'event', {
    subscription,
    eventType: z.string(),
    ...eventFields,
  }),
  service: frame('A service has changed.', 'service', {
    subscription,
    change: z.enum(['registered', 'updated', 'status', 'circuit', 'deregistered']),
    service,
    position,
  }),
  caughtUp: frame('What stood in the log when it began has come.', 'caughtUp', { subscription, position }),
  replayed: frame('A replay is over.', 'replayed', { subscription, position, messages: count }),
  gap: frame('Some was removed by retention and cannot be had.', 'gap', { subscription, ...gap.shape }),
  call: frame('The service is called.', 'call', {
    call: z.number().int().min(1).describe('Counts on this socket.'),
    service: z.string(),
    method: z.string(),
    data: json,
    timeoutMs: count,
    correlationId: z.string(),
    traceparent: z.string(),
    tracestate: z.string().optional(),
  }),
  callCancelled: frame('Nobody waits for the answer to this call.', 'callCancelled', {
    call: z.number().int().min(1),
  }),
  error: {
    about: 'A frame was refused; with `subscription` and no `id` that subscription has ended.',
    schema: z.looseObject({
      type: z.literal('error'),
      id,
      subscription: subscription.optional(),
      code: z.enum(Object.keys(errorTable)),
      message: z.string(),
    }),
  },
} as const satisfies Readonly<Record<string, HubFrame>>;

export type HubFrameName = keyof typeof table;
export const hubFrames: Readonly<Record<HubFrameName, HubFrame>> = table;

/** What comes without having been asked for by the frame before it. */
export const pushedFrames: readonly HubFrameName[] = [
  'message',
  'state',
  'event',
  'service',
  'caughtUp',
  'replayed',
  'gap',
  'call',
  'callCancelled',
  'servingEnded',
  'error',
];
