import * as z from 'zod';
import { isStatePattern } from '../../domain/names.ts';
import { topicPatternSchema } from './subscription-schemas.ts';

/** Inputs of the commands on policies: of retention by pattern of topics, of state by pattern of keys. */

const limit = (max: number) => z.number().int().min(1).max(max).nullable().default(null);
const count = limit(Number.MAX_SAFE_INTEGER);
const ageSec = limit(3_155_760_000);

const setRetention = z
  .strictObject({ topic: topicPatternSchema, maxAgeSec: ageSec, maxMessages: count, maxBytes: count })
  .refine(
    ({ maxAgeSec, maxMessages, maxBytes }) => (maxAgeSec ?? maxMessages ?? maxBytes) !== null,
    'must have maxAgeSec, maxMessages or maxBytes',
  );

export const statePatternSchema = z
  .string()
  .refine(isStatePattern, 'must be a key of 1 to 512 bytes, or a prefix of keys and * behind it')
  .meta({ minLength: 1, maxLength: 513 });
const name = z.string().min(1).max(256);
/** One scope, as a token could carry it. */
const scopeText = name.refine((text) => !text.includes(' '), 'must be one scope');

const setStatePolicy = z
  .strictObject({
    pattern: statePatternSchema,
    resolver: z.string().min(1).max(128).nullable().default(null),
    owner: z
      .union([z.strictObject({ subject: name }), z.strictObject({ scope: scopeText })])
      .nullable()
      .default(null),
    maxKeys: count,
    maxBytes: count,
    maxVersions: count,
    maxAgeSec: ageSec,
  })
  .refine(
    ({ pattern: _pattern, ...rules }) => Object.values(rules).some((rule) => rule !== null),
    'must have resolver, owner, maxKeys, maxBytes, maxVersions or maxAgeSec',
  );

export const policySchemas = {
  SetRetention: setRetention,
  RemoveRetention: z.strictObject({ topic: topicPatternSchema }),
  SetStatePolicy: setStatePolicy,
  RemoveStatePolicy: z.strictObject({ pattern: statePatternSchema }),
} as const;
