import type { HeaderField } from './describe.ts';
import type { JsonSchema } from './json-schema.ts';

type Field = { readonly description: string; readonly schema: JsonSchema };

const text = (description: string, schema: JsonSchema = {}): Field => ({
  description,
  schema: { type: 'string', ...schema },
});
const whole = (description: string): Field => ({ description, schema: { type: 'integer', minimum: 0 } });
const positionRef: JsonSchema = { $ref: '#/components/schemas/Position' };
const traceId = { minLength: 1, maxLength: 128, pattern: '^[A-Za-z0-9._:@/+=-]+$' };

/** What requests of every kind may say of themselves. */
export const traceFields = ['X-Request-Id', 'X-Correlation-Id', 'traceparent'] as const;
export const readFields = ['X-Nexus-Min-Position', 'X-Nexus-Consistency'] as const;
export const causeField = 'X-Causation-Id';
export const keyField = 'Idempotency-Key';

type RequestField =
  | HeaderField
  | (typeof traceFields)[number]
  | (typeof readFields)[number]
  | typeof causeField
  | typeof keyField;

export const requestFields: Readonly<Record<RequestField, Field>> = {
  'X-Request-Id': text(
    'Names the request in the answer and in the hub’s log; one is made unless given.',
    traceId,
  ),
  'X-Correlation-Id': text('Stands in the events that come of the request; its id unless given.', traceId),
  'X-Causation-Id': text(
    'The message or event because of which this is done: stands in the events.',
    traceId,
  ),
  traceparent: text('W3C Trace Context.'),
  'X-Nexus-Min-Position': {
    description: 'Read your writes: wait until the read models have reached this position (5 s at most).',
    schema: positionRef,
  },
  'X-Nexus-Consistency': text('`strong`: show at least what the log of several nodes has now.', {
    enum: ['strong'],
  }),
  'Idempotency-Key': text(
    'The same key with the same input within 24 h gives the first answer, with `Idempotent-Replayed: true`.',
    { pattern: '^[\\x21-\\x7e]{1,255}$' },
  ),
  'If-Match': text('The version that is to be replaced, as `"7"`; another one is 412.'),
  'If-None-Match': text(
    'Of a write: `*`, the key must not exist. Of a read: the version that the client has.',
  ),
  'Last-Event-ID': text('Of a live tail: the position that was seen last; counts more than `after`.'),
  'X-Nexus-Timeout-Ms': {
    description: 'The caller waits so long.',
    schema: { type: 'integer', minimum: 1, maximum: 300_000 },
  },
  'X-Nexus-Deadline': text('The caller waits until then (RFC 3339).', { format: 'date-time' }),
};

export const answerFields: Readonly<Record<string, Field>> = {
  'X-Request-Id': text('The id of the request.'),
  'X-Nexus-Position': {
    description: 'Where the effect stands in the log: a read that names it sees it.',
    schema: positionRef,
  },
  'Idempotent-Replayed': text('`true`: nothing was done again.', { enum: ['true'] }),
  'RateLimit-Limit': whole('Requests of the budget.'),
  'RateLimit-Remaining': whole('What is left of it.'),
  'RateLimit-Reset': whole('Seconds until it is whole again.'),
  'Retry-After': whole('Seconds after which it is worth trying again.'),
  'WWW-Authenticate': text('RFC 6750.'),
  ETag: text('The version, as `"7"`.'),
  Location: text('Path of what was made.'),
  Link: text('Of a batch of CloudEvents: the next page.'),
  'X-Nexus-Instance': text('Id of the instance that answered.'),
};
