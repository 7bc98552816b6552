import * as z from 'zod';
import type { Json } from '../../domain/event.ts';
import { isStateKey } from '../../domain/names.ts';
import { isResolverName } from '../../domain/state/resolvers.ts';

/** Inputs of the commands on state keys. */

/** Any JSON value: the parser in front (src/gateway/json.ts) has bounded its depth and refused dangerous keys. */
export const anyJson = z.custom<Json>((value) => value !== undefined, 'is required');
export const stateKeySchema = z
  .string()
  .refine(isStateKey, 'must be 1 to 512 bytes of UTF-8 without control characters')
  .meta({ minLength: 1, maxLength: 512, description: '1 to 512 bytes of UTF-8 without control characters.' });
const version = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const maxTtlMs = 31_536_000_000;
const ttlMs = z.number().int().min(1).max(maxTtlMs);
const maxLockTtlMs = 86_400_000;
const lockTtlMs = z.number().int().min(1).max(maxLockTtlMs);
const maxLockWaitMs = 60_000;
const token = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
const pointer = z.string().max(4_096);

const patchOperation = z.discriminatedUnion('op', [
  z.object({ op: z.literal('add'), path: pointer, value: anyJson }),
  z.object({ op: z.literal('replace'), path: pointer, value: anyJson }),
  z.object({ op: z.literal('test'), path: pointer, value: anyJson }),
  z.object({ op: z.literal('remove'), path: pointer }),
  z.object({ op: z.literal('move'), from: pointer, path: pointer }),
  z.object({ op: z.literal('copy'), from: pointer, path: pointer }),
]);
const maxPatchOperations = 1_000;

/** `expectedVersion` 0: the key must not exist. */
const at = { key: stateKeySchema, expectedVersion: version.optional() };
/** Whether there is such a resolver the hub knows. */
const resolver = z
  .string()
  .refine(
    isResolverName,
    'must be the name of a resolver: a lower-case letter, then letters, digits and hyphens',
  )
  .optional();
const merging = { ...at, resolver };

export const stateSchemas = {
  /** Without `ttlMs` the key stays, whatever it had before. */
  SetState: z.strictObject({ ...merging, value: anyJson, ttlMs: ttlMs.optional() }),
  PatchState: z.discriminatedUnion('format', [
    z.strictObject({ ...merging, format: z.literal('merge-patch'), patch: anyJson }),
    z.strictObject({
      ...merging,
      format: z.literal('json-patch'),
      patch: z.array(patchOperation).max(maxPatchOperations),
    }),
  ]),
  IncrementState: z.strictObject({
    ...at,
    by: z.number().min(-Number.MAX_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER).default(1),
    ttlMs: ttlMs.optional(),
  }),
  DeleteState: z.strictObject(at),
  /** Without `holder` the subject holds it. */
  AcquireLock: z.strictObject({
    key: stateKeySchema,
    holder: z.string().min(1).max(256).optional(),
    ttlMs: lockTtlMs,
    waitMs: z.number().int().min(0).max(maxLockWaitMs).default(0),
  }),
  RenewLock: z.strictObject({ key: stateKeySchema, token, ttlMs: lockTtlMs }),
  /** `token` null, for an operator: whoever holds it. */
  ReleaseLock: z.strictObject({ key: stateKeySchema, token: token.nullable().default(null) }),
} as const;
