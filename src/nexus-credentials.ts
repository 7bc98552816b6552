import type { ApiKeyRecord } from '../domain/credentials.ts';
import type { Result } from './errors.ts';
import type { Context, Page } from './nexus-core.ts';

/** An API key as operators see it; `subject` is who acts when it is used. */
export type ApiKey = Omit<ApiKeyRecord, 'hash'> & { readonly id: string };

/** A token that is not good any more, whatever its `exp` says. */
export type RevokedToken = {
  readonly jti: string;
  readonly revokedAt: string;
  readonly revokedBy: string;
  /** When the entry goes: the token has expired by then. */
  readonly expiresAt: string | null;
};

export type PageOptions = {
  /** 100 unless given, 1 … 1,000. */
  readonly limit?: number;
  /** What a page gave: go on behind it. */
  readonly cursor?: string;
};

/** What the hosts of protocols ask before they let anybody in: it checks no scopes, and is never shown to clients. */
export type Credentials = {
  /** The key with this id, whose expiry is the caller's to check; undefined for none. `not_ready` while nobody knows. */
  apiKey(id: string): Result<ApiKeyRecord | undefined>;
  /**
   * False for what is revoked, by its name (domain/credentials.ts), and for an API key that there is not. `not_ready` while
   * nobody knows.
   */
  isGood(name: string): Result<boolean>;
  /**
   * Calls `listener` with the names of credentials (domain/credentials.ts) of which something was written, once that can
   * be read, and with undefined when it may be any. It must not throw. Returns how to stop it.
   */
  onChanged(listener: (names: ReadonlySet<string> | undefined) => void): () => void;
};

/** API keys and revoked tokens, as a part of `NexusCore`; they are made and revoked by commands. */
export type CredentialApi = {
  readonly credentials: Credentials;
  apiKey(id: string, context: Context): Promise<Result<ApiKey>>;
  apiKeys(
    options: PageOptions,
    context: Context,
  ): Promise<Result<Page<'apiKeys', ApiKey> & { readonly cursor?: string }>>;
  revokedTokens(
    options: PageOptions,
    context: Context,
  ): Promise<Result<Page<'revokedTokens', RevokedToken> & { readonly cursor?: string }>>;
};
