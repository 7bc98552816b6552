import type { ApiKey, RevokedToken } from '../../nexus-credentials.ts';
import { command, given, got, gotOrNull, limitOf, type Resolve } from './resolving.ts';

type PageArgs = { first: number; after: string };

const pageOf = ({ first, after }: Partial<PageArgs>) => ({
  ...limitOf('first', first),
  ...(after === undefined ? {} : { cursor: after }),
});

const apiKeys: Resolve<PageArgs, readonly ApiKey[]> = async (_, args, { core, context }) =>
  got(await core.apiKeys(pageOf(given(args)), context)).apiKeys;

const apiKey: Resolve<{ id: string }, ApiKey | null> = async (_, { id }, { core, context }) =>
  gotOrNull(await core.apiKey(id ?? '', context));

const revokedTokens: Resolve<PageArgs, readonly RevokedToken[]> = async (_, args, { core, context }) =>
  got(await core.revokedTokens(pageOf(given(args)), context)).revokedTokens;

export const credentialQueries = { apiKeys, apiKey, revokedTokens } as const;

type CreateArgs = { name: string; scopes: string[]; subject: string; expiresAt: string; ttlSec: number };
const createApiKey: Resolve<CreateArgs, object> = async (_, args, at) =>
  command('CreateApiKey', given(args), at);

const revokeApiKey: Resolve<{ id: string }, object> = async (_, args, at) =>
  command('RevokeApiKey', given(args), at);

type RevokeArgs = { jti: string; expiresAt: string; token: string };
const revokeToken: Resolve<RevokeArgs, object> = async (_, args, at) =>
  command('RevokeToken', given(args), at);

export const credentialMutations = { createApiKey, revokeApiKey, revokeToken } as const;
