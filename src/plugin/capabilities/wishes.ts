import * as z from 'zod';
import { isTopicPattern } from '../../../domain/names.ts';
import { commandSchemas } from '../../command/catalog.ts';
import { serviceNameSchema } from '../../command/service-schemas.ts';
import { anyJson, stateKeySchema } from '../../command/state-schemas.ts';

/**
 * What a guest asks of the hub: one row per operation, with the schema of its data. The guest's own number `n` names a
 * subscription or watch of one life of it: the hub calls `message:n` and `change:n` for it.
 */

const whole = (min: number, max: number) => z.number().int().min(min).max(max);
const text = (max: number) => z.string().min(1).max(max);

const n = whole(1, Number.MAX_SAFE_INTEGER);
const topicPattern = z
  .string()
  .refine(isTopicPattern, 'must be a topic, in which a segment may be * and the last one >');
const expectedVersion = whole(0, Number.MAX_SAFE_INTEGER).optional();

/** The longest that a plugin waits for what is outside the hub, as long as one call of it may take at most. */
export const maxWaitMs = 30_000;
const timeoutMs = whole(1, maxWaitMs).optional();

export const wishSchemas = {
  /** As the command `PublishMessage`; answers `{ messageId, position }`. */
  publish: commandSchemas.PublishMessage,
  /** Answers `{ position }` once the subscription stands. */
  subscribe: z
    .strictObject({
      n,
      pattern: topicPattern,
      durable: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,32}$/, 'must match [A-Za-z0-9_-]{1,32}')
        .optional(),
      from: z.enum(['start', 'now']).optional(),
      maxDeliver: whole(1, 100).optional(),
      backoffMs: z.array(whole(0, 86_400_000)).min(1).max(100).optional(),
      maxInFlight: whole(1, 256).default(16),
    })
    .check(({ value, issues }) => {
      if (value.durable !== undefined) return;
      for (const field of ['from', 'maxDeliver', 'backoffMs'] as const) {
        if (value[field] === undefined) continue;
        const message = 'is for durable subscriptions alone';
        issues.push({ code: 'custom', path: [field], message, input: value[field] });
      }
    }),
  /** Answers null once no further message comes; what is being handled may end. */
  unsubscribe: z.strictObject({ n }),
  /** Answers a `PluginStateEntry` or null. */
  'state.get': z.strictObject({ key: stateKeySchema }),
  /** Answers `{ version, position }`. */
  'state.set': z.strictObject({
    key: stateKeySchema,
    value: anyJson,
    expectedVersion,
    ttlSec: whole(1, 31_536_000).optional(),
  }),
  /** Answers null. */
  'state.delete': z.strictObject({ key: stateKeySchema, expectedVersion }),
  /** Answers a list of `PluginStateEntry`, by key. */
  'state.list': z.strictObject({
    prefix: z.string().max(512),
    limit: whole(1, 1_000).optional(),
    after: stateKeySchema.optional(),
  }),
  /** A key, or a prefix and `*`. Answers `{ position }` once the watch stands. */
  'state.watch': z.strictObject({ n, selector: text(513) }),
  /** As `unsubscribe`. */
  'state.unwatch': z.strictObject({ n }),
  /** Answers a list of services as clients see them. */
  'services.list': z.strictObject({ name: serviceNameSchema.optional(), capability: text(64).optional() }),
  /** Answers `{ result, instance, attempts }`. */
  'services.invoke': z.strictObject({
    service: text(64),
    method: text(519),
    data: anyJson.optional(),
    timeoutMs,
    key: text(256).optional(),
  }),
  /** Answers a `FetchAnswer`. */
  fetch: z.strictObject({
    url: text(8_192),
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
    headers: z.record(text(128), z.string().max(8_192)).default({}),
    body: z.string().optional(),
    timeoutMs,
  }),
} as const;

export type WishOperation = keyof typeof wishSchemas;
export type WishData<Operation extends WishOperation> = z.output<(typeof wishSchemas)[Operation]>;

export const wishOperations = Object.keys(wishSchemas) as readonly WishOperation[];
export const isWishOperation = (name: string): name is WishOperation => Object.hasOwn(wishSchemas, name);
