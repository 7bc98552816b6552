import * as z from 'zod';
import { component } from '../json-schema.ts';
import { cursor, position, texts, time } from './common.ts';

const keyFields = {
  id: z.string(),
  name: z.string(),
  subject: z.string().describe('Who acts when the key is used.'),
  scopes: texts,
  createdAt: time,
  createdBy: z.string(),
  expiresAt: time.nullable(),
};
export const apiKey = component('ApiKey', z.object(keyFields));
export const apiKeyMade = component(
  'ApiKeyMade',
  z.object({
    ...keyFields,
    key: z.string().describe('Shown this once.').optional(),
    keyShown: z.boolean().describe('False when the answer is repeated: the key was shown before.'),
    position,
  }),
);
export const apiKeyList = component('ApiKeyList', z.object({ apiKeys: z.array(apiKey), position, cursor }));
const revoked = { jti: z.string(), expiresAt: time.nullable() };
export const revokedToken = component('RevokedToken', z.object({ ...revoked, position }));
export const revokedTokens = component(
  'RevokedTokenList',
  z.object({
    revokedTokens: z.array(z.object({ ...revoked, revokedAt: time, revokedBy: z.string() })),
    position,
    cursor,
  }),
);
