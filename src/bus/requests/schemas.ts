import * as z from 'zod';
import { commandSchemas } from '../../command/catalog.ts';
import { maxAddressLength } from './address.ts';

export const defaultTimeoutMs = 30_000;
export const maxTimeoutMs = 300_000;

/** What the hub says of a request and its reply stands in headers of these names. */
export const hubHeaders = {
  /** On a request: where its reply goes. */
  replyTo: 'nexus-reply-to',
  /** On both: the request's messageId. */
  requestId: 'nexus-request-id',
  /** On a reply: `ok`, or `error` when its payload says what went wrong. */
  outcome: 'nexus-reply',
} as const;
const hubPrefix = 'nexus-';

const { payload, priority, key, headers } = commandSchemas.PublishMessage.shape;

const ownHeaders = headers.refine(
  (given) => !Object.keys(given ?? {}).some((name) => name.startsWith(hubPrefix)),
  `must hold no name that begins with ${hubPrefix}`,
);

/** The body of `POST /requests/{topic}`. */
export const requestSchema = z.strictObject({
  payload,
  priority,
  key,
  headers: ownHeaders,
  timeoutMs: z.number().int().min(1).max(maxTimeoutMs).default(defaultTimeoutMs),
});

const failure = z.strictObject({
  code: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must match [A-Za-z0-9._-]{1,64}')
    .optional(),
  message: z.string().min(1).max(2_048),
});

/** The body of `POST /replies`. */
export const replySchema = z
  .strictObject({
    replyTo: z.string().min(1).max(maxAddressLength),
    payload: payload.optional(),
    error: failure.optional(),
    headers: ownHeaders,
  })
  .refine((reply) => (reply.payload === undefined) !== (reply.error === undefined), {
    error: 'needs either payload or error',
  });
