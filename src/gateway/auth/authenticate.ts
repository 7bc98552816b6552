import type { IncomingMessage } from 'node:http';
import type { Context as KoaContext } from 'koa';
import koaJwt from 'koa-jwt';
import { fault, problem, type Result } from '../../errors.ts';
import type { RequestContext } from '../context.ts';
import { asksForGraphiql } from '../pages/graphiql.ts';
import { pageFiles, shellPaths } from '../pages/table.ts';
import { type Access, type Admitted, bearerToken, type Verified } from './access.ts';
import { isApiKeyText } from './api-keys.ts';
import { readHeader, refuse } from './token-form.ts';
import { type Hs256, reasonOf, type Tokens } from './tokens.ts';

const probes: ReadonlySet<string> = new Set(['/health/live', '/health/ready']);

/**
 * Paths that ask for no token, for GET and HEAD: the probes, and pages that hold no data, with their files. Exact: a
 * pattern would let in what nobody thought of.
 */
const publicPaths: ReadonlySet<string> = new Set([...probes, ...shellPaths, ...Object.keys(pageFiles)]);

/** What whoever watches over the hub asks for; never counted against a budget. */
export const isProbe = (path: string): boolean => probes.has(path);

export const isPublic = (request: IncomingMessage, path: string): boolean =>
  (publicPaths.has(path) && (request.method === 'GET' || request.method === 'HEAD')) ||
  asksForGraphiql(request);

/** Lets a request in, or says why not. Waits only for a token that was not verified before. */
export type Authenticate = (ctx: RequestContext) => Verified<Admitted>;

/**
 * @param blockedSec Seconds until the client's address has a budget again, or 0: so long no token is verified for it,
 *   because that is the one costly thing that a stranger can ask for.
 */
export const createAuthenticate = (
  access: Access,
  blockedSec: (ctx: RequestContext) => number,
): Authenticate => {
  if (access.mode === 'off') return (ctx) => access.admit(ctx.req);
  const { tokens, apiKeys } = access;
  const verifyHs256 = tokens.hs256 === undefined ? undefined : createVerify(tokens, tokens.hs256);
  return (ctx) => {
    const token = bearerToken(ctx.req);
    if (!token.ok) return token;
    const subject = tokens.known(token.value) ?? apiKeys.known(token.value);
    if (subject !== undefined) return { ok: true, value: subject };
    const retryAfterSec = blockedSec(ctx);
    if (retryAfterSec > 0) {
      return fault(problem('rate_limited', 'Too many bad tokens from this address', { retryAfterSec }));
    }
    if (isApiKeyText(token.value)) return apiKeys.verify(token.value);
    if (verifyHs256 === undefined) return tokens.verify(token.value);
    const header = readHeader(token.value);
    if (!header.ok) return header;
    return header.value.algorithm === 'HS256' ? verifyHs256(ctx, token.value) : tokens.verify(token.value);
  };
};

/** koa-jwt behind the cache of verified tokens: it is asked once for each token, and for its signature. */
const createVerify = (tokens: Tokens, { secret, nowSec, ...options }: Hs256) => {
  const koaOptions: koaJwt.Options & { readonly clockTimestamp: number } = {
    ...options,
    secret,
    key: 'claims',
    // Before its own resolvers, which would look at a cookie first.
    getToken: (ctx: KoaContext) => {
      const token = bearerToken(ctx.req);
      return token.ok ? token.value : null;
    },
    get clockTimestamp() {
      return nowSec();
    },
  };
  const middleware = koaJwt(koaOptions);
  return async (ctx: RequestContext, token: string): Promise<Result<Admitted>> => {
    try {
      await middleware(ctx, verified);
    } catch (error) {
      return refuse(
        reasonOf(error instanceof Error && 'originalError' in error ? error.originalError : error),
      );
    }
    return tokens.take(token);
  };
};

/** Nothing stands behind koa-jwt here: its answer is what is asked for. */
const verified = async (): Promise<void> => {};
