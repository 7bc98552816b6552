import * as z from 'zod';
import { isScope } from '../../domain/access.ts';
import { isApiKeyId, isRevocableJti } from '../../domain/credentials.ts';
import { keySubjectFault } from '../../domain/subject-name.ts';

/** Inputs of the commands on API keys and tokens. */

const maxScopes = 64;
const maxTtlSec = 315_360_000;
const maxTokenLength = 16_384;

const time = z.iso.datetime({ offset: true }).describe('RFC 3339 time');
const name = z
  .string()
  .min(1)
  .max(256)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must be text without control characters');
const subject = z.string().superRefine((text, context) => {
  const fault = keySubjectFault(text);
  if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
});

export const credentialSchemas = {
  /** Without `subject` the key has one of its own. */
  CreateApiKey: z
    .strictObject({
      name,
      scopes: z
        .array(z.string().refine(isScope, 'must be a scope, such as services:read or state:read:orders/*'))
        .min(1)
        .max(maxScopes),
      subject: subject.optional(),
      expiresAt: time.optional(),
      ttlSec: z.number().int().min(1).max(maxTtlSec).optional(),
    })
    .refine(
      ({ expiresAt, ttlSec }) => expiresAt === undefined || ttlSec === undefined,
      'must have expiresAt or ttlSec, not both',
    ),
  RevokeApiKey: z.strictObject({
    id: z.string().refine(isApiKeyId, 'must be the id of an API key: 24 hexadecimal digits'),
  }),
  /** `token`: the hub reads its `jti` and `exp`. Without `expiresAt` a revoked `jti` stands for 365 days. */
  RevokeToken: z
    .strictObject({
      jti: z
        .string()
        .refine(isRevocableJti, 'must be 1 to 256 characters, none of them a control character')
        .optional(),
      expiresAt: time.optional(),
      token: z.string().min(1).max(maxTokenLength).optional(),
    })
    .refine(({ jti, token }) => (jti === undefined) !== (token === undefined), 'must have jti or token')
    .refine(
      ({ token, expiresAt }) => token === undefined || expiresAt === undefined,
      'must have no expiresAt beside token, which says when it expires',
    ),
} as const;
