import type { Json } from './event.ts';
import { isJsonObject } from './json.ts';
import { isStateKey } from './names.ts';

/**
 * API keys and revoked tokens stand in the state, under keys that are reserved to the hub
 * (docs/adr/0038-credentials.md).
 */
export const apiKeysPrefix = 'nexus/api-keys/';
export const revokedTokensPrefix = 'nexus/revoked-tokens/';

/** What a subject was let in by: `key:` and the id of an API key, or `jti:` and that of a token. */
export const keyCredential = (id: string): string => `key:${id}`;
export const tokenCredential = (jti: string): string => `jti:${jti}`;

/** The credential that a state key tells of, or undefined. */
export const credentialOfStateKey = (key: string): string | undefined => {
  if (key.startsWith(revokedTokensPrefix)) return tokenCredential(key.slice(revokedTokensPrefix.length));
  return key.startsWith(apiKeysPrefix) ? keyCredential(key.slice(apiKeysPrefix.length)) : undefined;
};

/** The reverse; undefined for what names no credential. */
export const stateKeyOfCredential = (name: string): string | undefined => {
  const [kind, rest] = [name.slice(0, 4), name.slice(4)];
  if (kind === tokenCredential('')) return revokedTokensPrefix + rest;
  return kind === keyCredential('') ? apiKeysPrefix + rest : undefined;
};

/** How far the clocks of an issuer and of the hub may differ: so long a token is good behind its `exp`. */
export const tokenLeewaySec = 30;

const keyId = /^[0-9a-f]{24}$/;
const keyText = /^nxk_([0-9a-f]{24})_([A-Za-z0-9_-]{43})$/;
export const keyTextPrefix = 'nxk_';

export const isApiKeyId = (text: string): boolean => keyId.test(text);

/** What a client sends for its token. */
export const apiKeyText = (id: string, secret: string): string => `${keyTextPrefix}${id}_${secret}`;

export const parseApiKeyText = (
  text: string,
): { readonly id: string; readonly secret: string } | undefined => {
  const [, id, secret] = keyText.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
};

const maxJtiLength = 256;

/** True for the `jti` of a token that can be revoked. */
export const isRevocableJti = (jti: string): boolean =>
  jti !== '' && jti.length <= maxJtiLength && isStateKey(revokedTokensPrefix + jti);

export type ApiKeyRecord = {
  readonly name: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  /** SHA-256 of the secret, in hex. */
  readonly hash: string;
  readonly createdAt: string;
  readonly createdBy: string;
  /** RFC 3339 time; null for never. */
  readonly expiresAt: string | null;
};

const isText = (value: unknown): value is string => typeof value === 'string';

/** The record of an API key, or undefined for a value of another form: an operator may write the state key directly. */
export const parseApiKeyRecord = (value: Json): ApiKeyRecord | undefined => {
  if (!isJsonObject(value)) return undefined;
  const { name, subject, scopes, hash, createdAt, createdBy, expiresAt = null } = value;
  if (!isText(name) || !isText(subject) || !isText(hash) || !isText(createdAt) || !isText(createdBy))
    return undefined;
  if (!Array.isArray(scopes) || !scopes.every(isText)) return undefined;
  if (expiresAt !== null && !isText(expiresAt)) return undefined;
  return { name, subject, scopes, hash, createdAt, createdBy, expiresAt };
};
