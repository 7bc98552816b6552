import { given } from '../given.ts';
import { type Action, type Actions, textOf, UsageError } from './command.ts';

const revoke: Action = {
  usage: 'TOKEN | --jti JTI [--expires-at TIME]',
  summary: 'revokes a token that has a jti until it expires, and ends what runs by it',
  words: [0, 1],
  options: { jti: { type: 'string' }, 'expires-at': { type: 'string' } },
  run: async (invocation) => {
    const [token] = invocation.words;
    const jti = textOf(invocation, 'jti');
    if ((token === undefined) === (jti === undefined))
      throw new UsageError('either the token, or its jti is revoked');
    const json = given({ token, jti, expiresAt: textOf(invocation, 'expires-at') });
    const done = await invocation.client.call('POST', '/revoked-tokens', { json });
    const { output } = invocation;
    await output.line(
      invocation.json
        ? JSON.stringify(done)
        : `${String(done.jti)} is revoked until ${String(done.expiresAt)}`,
    );
  },
};

export const revokeTokenActions: Actions = { '': revoke };
