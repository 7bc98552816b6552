import type { IncomingMessage } from 'node:http';
import type { Subject } from '../../../domain/access.ts';
import type { Config } from '../../config.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import { isLoopbackOrigin, protectedModeFault } from './protected-mode.ts';
import { createTokens, type TokenSubject, type Tokens } from './tokens.ts';

/** Who a request is from. `expiresAt` (ms since 1970) is there when a token said so. */
export type Admitted = Subject & { readonly expiresAt?: number };

export type Access = {
  readonly mode: 'off' | 'jwt';
  /**
   * Lets a request in: in protected mode by where it comes from, else by its bearer token (`unauthorized`).
   *
   * @param options.token The token where it came by another way than the Authorization header (a subprotocol).
   */
  admit(request: IncomingMessage, options?: { readonly token?: string }): Result<Admitted>;
  /** Lets a request in when nothing has to be verified for it; undefined otherwise, whether it may come in or not. */
  admitNow(request: IncomingMessage): Admitted | undefined;
  /** Without authentication there are no tokens to verify: then each one is `unauthorized`. */
  verifyToken(token: string): Result<TokenSubject>;
  /** False for a page of a foreign site: neither same origin, nor of this machine, nor in corsOrigins. */
  originAllowed(request: IncomingMessage): boolean;
  /** Undefined when `mode` is `off`. */
  readonly tokens: Tokens | undefined;
};

/** The one subject of protected mode: whoever is on this machine may do everything. */
export const localSubject: Subject = { id: 'local', scopes: ['admin'] };

/**
 * @param clock ms since 1970; the system's unless given.
 * @throws {RangeError} when jwtSecret is too short.
 */
export const createAccess = (
  config: Pick<Config, 'jwtSecret' | 'jwtIssuer' | 'jwtAudience' | 'corsOrigins'>,
  clock: () => number = Date.now,
): Access => {
  const corsOrigins = new Set(config.corsOrigins);
  const originAllowed = (request: IncomingMessage): boolean => {
    const { origin, host } = request.headers;
    if (origin === undefined || corsOrigins.has(origin) || isLoopbackOrigin(origin)) return true;
    return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
  };

  if (config.jwtSecret === null) {
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

  const tokens = createTokens({ ...config, jwtSecret: config.jwtSecret }, clock);
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
  if (authorization.length > 7 && authorization.slice(0, 7).toLowerCase() === 'bearer ') {
    return ok(authorization.slice(7).trim());
  }
  return fault(problem('unauthorized', 'The Authorization header must be: Bearer TOKEN'));
};
