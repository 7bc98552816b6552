import type { IncomingMessage } from 'node:http';
import type { Subject } from '../../../domain/access.ts';
import { isAuthenticated } from '../../config/authenticated.ts';
import type { Config } from '../../config.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import type { KeySets } from './key-sets.ts';
import { isLoopbackOrigin, protectedModeFault } from './protected-mode.ts';
import { createTokens, type Tokens } from './tokens.ts';

/** Who a request is from. */
export type Admitted = Subject & {
  /** Ms since 1970, the leeway included; there when a token said so. */
  readonly expiresAt?: number;
  /** What can be revoked: `jti:…` of a token that has one. */
  readonly credential?: string;
};

/** A subject whose token was verified. */
export type TokenSubject = Admitted & { readonly expiresAt: number };

/** What a token says, at once or when its key was waited for. */
export type Verified<Value> = Result<Value> | Promise<Result<Value>>;

type EachAccess = {
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
  verifyToken(token: string): Result<TokenSubject>;
  readonly tokens: undefined;
};

export type TokenAccess = EachAccess & {
  readonly mode: 'jwt';
  /**
   * Lets a request in by its bearer token: else `unauthorized`, or `keys_unavailable`.
   *
   * @param options.token The token where it came by another way than the Authorization header (a subprotocol).
   */
  admit(request: IncomingMessage, options?: { readonly token?: string }): Verified<Admitted>;
  verifyToken(token: string): Verified<TokenSubject>;
  readonly tokens: Tokens;
};

export type Access = OpenAccess | TokenAccess;

/** The one subject of protected mode: whoever is on this machine may do everything. */
export const localSubject: Subject = { id: 'local', scopes: ['admin'] };

export type AccessOptions = {
  /** Of jwksUrl and jwksFile. */
  readonly keys?: KeySets | undefined;
  /** Ms since 1970; the system's unless given. */
  readonly clock?: () => number;
};

/** @throws {RangeError} when jwtSecret is too short. */
export const createAccess = (
  config: Pick<Config, 'jwtSecret' | 'jwksUrl' | 'jwksFile' | 'jwtIssuer' | 'jwtAudience' | 'corsOrigins'>,
  { keys, clock = Date.now }: AccessOptions = {},
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
      tokens: undefined,
    };
  }

  const tokens = createTokens(config, keys, clock);
  return {
    mode: 'jwt',
    admit: (request, options) => {
      if (options?.token !== undefined) return tokens.verify(options.token);
      const token = bearerToken(request);
      return token.ok ? tokens.verify(token.value) : token;
    },
    admitNow: (request) => {
      const token = bearerToken(request);
      return token.ok ? tokens.known(token.value) : undefined;
    },
    verifyToken: tokens.verify,
    originAllowed,
    tokens,
  };
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
