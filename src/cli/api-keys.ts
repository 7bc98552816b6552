import { given } from '../given.ts';
import { type Action, type Actions, CallFailed, textOf, UsageError } from './command.ts';
import { scopesIn, ttlSecIn } from './grant.ts';
import { listOf } from './pages.ts';

const pageLimit = 1_000;
const maxTtlSec = 3_650 * 86_400;

const create: Action = {
  usage: 'NAME --scope SCOPES [--sub NAME] [--ttl 90d]',
  summary:
    'makes an API key for SCOPES with spaces between them, and prints it, this once; without --ttl it does not expire',
  words: [1, 1],
  options: {
    scope: { type: 'string' },
    sub: { type: 'string' },
    ttl: { type: 'string' },
  },
  run: async (invocation) => {
    const made = await invocation.client.call('POST', '/api-keys', {
      json: {
        name: invocation.words[0],
        scopes: scopesIn(invocation),
        ...given({ subject: textOf(invocation, 'sub'), ttlSec: ttlSecIn(invocation, maxTtlSec) }),
      },
    });
    if (typeof made.key !== 'string') throw new CallFailed('the answer has no key');
    await invocation.output.line(invocation.json ? JSON.stringify(made) : made.key);
  },
};

const list: Action = {
  usage: '',
  summary: 'prints the API keys: id, name, subject, scopes, expiry',
  words: [0, 0],
  options: {},
  run: async ({ client, output, json }) => {
    for (let cursor: string | undefined; ; ) {
      const page = await client.call('GET', '/api-keys', { query: { limit: pageLimit, cursor } });
      for (const key of listOf(page, 'apiKeys')) {
        const scopes = Array.isArray(key.scopes) ? key.scopes.join(' ') : '';
        const words = [key.id, key.name, key.subject, scopes, key.expiresAt ?? 'never'];
        await output.line(json ? JSON.stringify(key) : words.map(String).join('\t'));
      }
      if (typeof page.cursor !== 'string') return;
      cursor = page.cursor;
    }
  },
};

const revoke: Action = {
  usage: 'ID',
  summary: 'revokes an API key, and ends what runs by it',
  words: [1, 1],
  options: {},
  run: async ({ words: [id = ''], client, output, json }) => {
    if (id === '') throw new UsageError('the id of a key is 24 hexadecimal digits');
    await client.call('DELETE', `/api-keys/${encodeURIComponent(id)}`);
    await output.line(json ? JSON.stringify({ id, revoked: true }) : 'revoked');
  },
};

export const apiKeyActions: Actions = { create, list, revoke };
