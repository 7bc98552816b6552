import type { IncomingMessage } from 'node:http';
import type { Subject } from '../../../domain/access.ts';
import { isAuthenticated } from '../../config/authenticated.ts';
import type { Config } from '../../config.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { Credentials } from '../../nexus-credentials.ts';
import { type ApiKeys, createApiKeys, isApiKeyText } from './api-keys.ts';
import { type CredentialWatch, createCredentialWatch } from './credential-watch.ts';
import type { KeySets } from './key-sets.ts';
import { isLoopbackOrigin, protectedModeFault } from './protected-mode.ts';
import { createTokens, type Tokens } from './tokens.ts';

/** Who a request is from. */
export type Admitted = Subject & {
  /** Ms since 1970, the leeway included; there when a token or a key said so. */
  readonly expiresAt?: number;
  /** What can be revoked, by its name (domain/credentials.ts): an API key, or a token that has a `jti`. */
  readonly credential?: string;
};

/** A subject whose token was verified. */
export type TokenSubject = Admitted & { readonly expiresAt: number };

/** What a token says, at once or when its key was waited for. */
export type Verified<Value> = Result<Value> | Promise<Result<Value>>;

type EachAccess = CredentialWatch & {
  /** Lets a request in when nothing has to be verified for it; undefined otherwise, whether it may come in or not. */
  admitNow(request: IncomingMessage): Admitted | undefined;
  /** False for a page of a foreign site: neither same origin, nor of this machine, nor in corsOrigins. */
  originAllowed(request: IncomingMessage): boolean;
};

/** Protected mode: who may come in is told by where a request comes from. */
export type OpenAccess = EachAccess & {
  readonly mode: 'off';
  admit(request: IncomingMessage): Result<Admitted>;
  /** There are no tokens to verify: each one is `unauthorized`. */
  verifyToken(token: string): Result<Admitted>;
  readonly tokens: undefined;
};

export type TokenAccess = EachAccess & {
  readonly mode: 'jwt';
  /**
   * Lets a request in by its bearer token, or its API key: else `unauthorized`, `keys_unavailable` or, while nobody knows
   * what was revoked, `not_ready`.
   *
   * @param options.token The token where it came by another way than the Authorization header (a subprotocol).
   */
  admit(request: IncomingMessage, options?: { readonly token?: string }): Verified<Admitted>;
  /** The same for a token or key that came by another way. */
  verifyToken(token: string): Verified<Admitted>;
  readonly tokens: Tokens;
  readonly apiKeys: ApiKeys;
};

export type Access = OpenAccess | TokenAccess;

/** The one subject of protected mode: whoever is on this machine may do everything. */
export const localSubject: Subject = { id: 'local', scopes: ['admin'] };

export type AccessOptions = {
  /** Of jwksUrl and jwksFile. */
  readonly keys?: KeySets | undefined;
  /** Without it there are no API keys, and no token is revoked. */
  readonly credentials?: Credentials;
  /** Ms since 1970; the system's unless given. */
  readonly clock?: () => number;
};

/** @throws {RangeError} when jwtSecret is too short. */
export const createAccess = (
  config: Pick<Config, 'jwtSecret' | 'jwksUrl' | 'jwksFile' | 'jwtIssuer' | 'jwtAudience' | 'corsOrigins'>,
  { keys, credentials = noCredentials, clock = Date.now }: AccessOptions = {},
): Access => {
  const corsOrigins = new Set(config.corsOrigins);
  const originAllowed = (request: IncomingMessage): boolean => {
    const { origin, host } = request.headers;
    if (origin === undefined || corsOrigins.has(origin) || isLoopbackOrigin(origin)) return true;
    return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
  };

  if (!isAuthenticated(config)) {
    return {
      mode: 'off',
      admit: (request) => {
        const refused = protectedModeFault(request, corsOrigins);
        return refused === undefined ? ok(localSubject) : fault(refused);
      },
      admitNow: (request) =>
        protectedModeFault(request, corsOrigins) === undefined ? localSubject : undefined,
      verifyToken: () => fault(problem('unauthorized', 'This hub runs without authentication')),
      originAllowed,
      ...watchesNothing,
      tokens: undefined,
    };
  }

  const tokens = createTokens(config, keys, credentials, clock);
  const apiKeys = createApiKeys(credentials, clock);
  const verify = (token: string): Verified<Admitted> =>
    isApiKeyText(token) ? apiKeys.verify(token) : tokens.verify(token);
  const { watch, whileGood, close } = createCredentialWatch({
    credentials,
    forget: (names) => {
      tokens.forget(names);
      apiKeys.forget(names);
    },
  });
  return {
    mode: 'jwt',
    admit: (request, options) => {
      if (options?.token !== undefined) return verify(options.token);
      const token = bearerToken(request);
      return token.ok ? verify(token.value) : token;
    },
    admitNow: (request) => {
      const token = bearerToken(request);
      return token.ok ? (tokens.known(token.value) ?? apiKeys.known(token.value)) : undefined;
    },
    verifyToken: verify,
    originAllowed,
    watch,
    whileGood,
    close,
    tokens,
    apiKeys,
  };
};

const noCredentials: Credentials = {
  apiKey: () => ok(undefined),
  isGood: () => ok(true),
  onChanged: () => () => {},
};

/** In protected mode nothing that was let in expires, or can be revoked. */
const watchesNothing: CredentialWatch = {
  watch: () => () => {},
  whileGood: (_asker, work) => work(),
  close: () => {},
};

const tokenAbsent: Problem = problem('unauthorized', 'A bearer token is needed in the Authorization header', {
  token: 'absent',
});

/** The token of the Authorization header: the only place where one is looked for (RFC 6750, section 2.1). */
export const bearerToken = (request: IncomingMessage): Result<string> => {
  const { authorization } = request.headers;
  if (authorization === undefined) return fault(tokenAbsent);
  if (hasTwoOf(request.rawHeaders)) {
    return fault(problem('unauthorized', 'The request has more than one Authorization header'));
  }
  if (authorization.length > 7 && authorization.slice(0, 7).toLowerCase() === 'bearer ') {
    return ok(authorization.slice(7).trim());
  }
  return fault(problem('unauthorized', 'The Authorization header must be: Bearer TOKEN'));
};

const nameLength = 'authorization'.length;

/** Node keeps the first Authorization header and drops the others, of which a proxy may have looked at any. */
const hasTwoOf = (rawHeaders: readonly string[]): boolean => {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === nameLength && name.toLowerCase() === 'authorization') count++;
  }
  return count > 1;
};
