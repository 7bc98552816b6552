import { commandSchemas } from '../../../command/catalog.ts';
import { apiKey, apiKeyList, apiKeyMade, revokedToken, revokedTokens } from '../answers/credentials.ts';
import { answer, nothing, type Parameter, type Section } from '../describe.ts';
import { cursor, limit } from './parameters.ts';

const id: Parameter = {
  schema: commandSchemas.RevokeApiKey.shape.id,
  about: 'Its id, as the answer to its making has named it.',
  example: '0123456789abcdef01234567',
};

export const credentials: Section = {
  name: 'Credentials',
  about: 'API keys, and tokens that are not good any more. For `admin`.',
  operations: {
    'POST /api-keys': {
      id: 'createApiKey',
      summary: 'Make an API key',
      notes:
        'The key is shown once, in this answer: the hub keeps a hash of it. It is sent as a bearer token.',
      bodies: [
        {
          examples: {
            plain: {
              name: 'the shop',
              scopes: ['events:publish:orders.*', 'state:read:shop/*'],
              ttlSec: 86400,
            },
          },
        },
      ],
      answers: { 201: answer('The key.', apiKeyMade) },
    },
    'GET /api-keys': {
      id: 'listApiKeys',
      summary: 'List API keys',
      query: { limit, cursor },
      answers: { 200: answer('Without the keys themselves.', apiKeyList) },
    },
    'GET /api-keys/{id}': {
      id: 'readApiKey',
      summary: 'Read what is known of an API key',
      path: { id },
      answers: { 200: answer('Without the key itself.', apiKey) },
      codes: ['not_found'],
    },
    'DELETE /api-keys/{id}': {
      id: 'revokeApiKey',
      summary: 'Revoke an API key',
      notes: 'Its sockets and tails are closed.',
      path: { id },
      answers: { 204: nothing },
      codes: ['not_found'],
    },
    'POST /revoked-tokens': {
      id: 'revokeToken',
      summary: 'Revoke a token by its jti',
      bodies: [{ examples: { jti: { jti: 'token-17', expiresAt: '2099-01-01T00:00:00Z' } } }],
      answers: {
        201: answer('It is not good any more.', revokedToken),
        200: answer('It was revoked before.', revokedToken),
      },
    },
    'GET /revoked-tokens': {
      id: 'listRevokedTokens',
      summary: 'List revoked tokens',
      query: { limit, cursor },
      answers: { 200: answer('Until they expire.', revokedTokens) },
    },
  },
};
