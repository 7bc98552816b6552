import {
  apiKeysPrefix,
  credentialOfStateKey,
  isApiKeyId,
  keyCredential,
  parseApiKeyRecord,
  revokedTokensPrefix,
  stateKeyOfCredential,
} from '../../domain/credentials.ts';
import { isStateKey } from '../../domain/names.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { fault, invalid, ok, problem, type Result } from '../errors.ts';
import type { Context, Page } from '../nexus-core.ts';
import type { ApiKey, CredentialApi, Credentials, PageOptions, RevokedToken } from '../nexus-credentials.ts';
import { ReadModelDamaged } from '../projection/read-store.ts';
import type { Parts } from './parts.ts';
import { clampLimit, type Reads } from './reads.ts';

/** Keys that one page looks at, those of deleted entries included. */
const maxScanned = 20_000;

const notReady = fault(problem('not_ready', 'the read models are being rebuilt from the log'));

/** What was written of API keys and tokens, as it is folded (docs/adr/0038-credentials.md). */
export const createCredentials = ({ runner }: Pick<Parts, 'runner'>): Credentials => {
  const read = (key: string): Result<StateDocument | undefined> => {
    if (!runner.ready) return notReady;
    try {
      const document = runner.store.read<StateDocument>('state', key);
      return ok(document?.deleted === false ? document : undefined);
    } catch (error) {
      if (error instanceof ReadModelDamaged) return notReady;
      throw error;
    }
  };

  return {
    apiKey: (id) => {
      if (!isApiKeyId(id)) return ok(undefined);
      const found = read(apiKeysPrefix + id);
      return found.ok ? ok(found.value && parseApiKeyRecord(found.value.value)) : found;
    },
    isGood: (name) => {
      const key = stateKeyOfCredential(name);
      const found = key === undefined ? ok(undefined) : read(key);
      // A key is there while it is good, and a token while it is not.
      return found.ok ? ok((found.value === undefined) !== name.startsWith(keyCredential(''))) : found;
    },
    onChanged: (listener) => {
      let following = true;
      const unfollow = runner.onFolded((changes) => {
        let names: Set<string> | undefined;
        for (const { model, key } of changes) {
          const name = model === 'state' ? credentialOfStateKey(key) : undefined;
          if (name === undefined) continue;
          names ??= new Set();
          names.add(name);
        }
        if (names !== undefined) listener(names);
      });
      runner.onSwapped(() => {
        if (following) listener(undefined);
      });
      return () => {
        following = false;
        unfollow();
      };
    },
  };
};

const apiKeyOf = (id: string, { value }: StateDocument): ApiKey | undefined => {
  const record = parseApiKeyRecord(value);
  if (record === undefined) return undefined;
  const { hash: _hash, ...shown } = record;
  return { id, ...shown };
};

const revokedTokenOf = (jti: string, { updatedAt, updatedBy, expiresAt }: StateDocument): RevokedToken => ({
  jti,
  revokedAt: updatedAt,
  revokedBy: updatedBy,
  expiresAt: expiresAt ?? null,
});

/** Reading API keys and revoked tokens: operators alone. */
export const createCredentialQueries = (reads: Reads): Omit<CredentialApi, 'credentials'> => {
  const page = async <Item>(
    prefix: string,
    itemOf: (name: string, document: StateDocument) => Item | undefined,
    { limit, cursor }: PageOptions,
    context: Context,
  ): Promise<Result<Page<'items', Item> & { readonly cursor?: string }>> => {
    if (cursor !== undefined && !isStateKey(prefix + cursor))
      return invalid('/cursor', 'must be one that a page of this list has given');
    const at = await reads.begin(context, { scope: 'admin' });
    if (!at.ok) return at;
    const { store, position } = at.value;
    const most = clampLimit(limit);
    const range = cursor === undefined ? { prefix } : { prefix, after: prefix + cursor };
    const items: Item[] = [];
    let scanned = 0;
    let last: string | undefined;
    for (const [key, document] of store.range<StateDocument>('state', range)) {
      if (items.length === most || scanned === maxScanned)
        return ok({ items, position, ...(last === undefined ? {} : { cursor: last }) });
      scanned++;
      last = key.slice(prefix.length);
      const item = document.deleted ? undefined : itemOf(last, document);
      if (item !== undefined) items.push(item);
    }
    return ok({ items, position });
  };

  return {
    apiKey: async (id, context) => {
      if (!isApiKeyId(id)) return invalid('/id', 'must be the id of an API key: 24 hexadecimal digits');
      const at = await reads.begin(context, { scope: 'admin' });
      if (!at.ok) return at;
      const document = at.value.store.read<StateDocument>('state', apiKeysPrefix + id);
      const key = document === undefined || document.deleted ? undefined : apiKeyOf(id, document);
      return key === undefined ? fault(problem('not_found', `there is no API key ${id}`, { id })) : ok(key);
    },

    apiKeys: async (options, context) => {
      const found = await page(apiKeysPrefix, apiKeyOf, options, context);
      if (!found.ok) return found;
      const { items: apiKeys, ...rest } = found.value;
      return ok({ apiKeys, ...rest });
    },

    revokedTokens: async (options, context) => {
      const found = await page(revokedTokensPrefix, revokedTokenOf, options, context);
      if (!found.ok) return found;
      const { items: revokedTokens, ...rest } = found.value;
      return ok({ revokedTokens, ...rest });
    },
  };
};
