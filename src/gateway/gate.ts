import type { Middleware } from 'koa';
import { type Problem, ProblemError, problem, type Result } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Tracing } from '../tracing/tracing.ts';
import type { Access } from './auth/access.ts';
import { createAuthenticate, isProbe, isPublic } from './auth/authenticate.ts';
import { correlationIdOf, nobody, type RequestContext, type RequestState, requestIdOf } from './context.ts';
import type { Cors } from './cors.ts';
import type { RateLimit } from './limits/rate-limit.ts';
import { spendingOf } from './limits/spending.ts';
import { problemOf, respondProblem } from './problem.ts';
import { beginRequest, type RequestEnd } from './request-end.ts';
import type { HeaderFields } from './security-headers.ts';

export type GateOptions = {
  readonly access: Access;
  readonly cors: Cors;
  readonly rateLimit: RateLimit;
  readonly budgetOf: BudgetOf;
  readonly clientAddress: (request: RequestContext['req']) => string;
  readonly logger: Logger;
  /** What every answer carries. */
  readonly standing: HeaderFields;
  /** True once the server takes no new connections: each answer then ends its own. */
  readonly isDraining: () => boolean;
  readonly ended: RequestEnd;
  readonly tracing: Tracing | undefined;
};

/** Characters of a request's URL; the rest of the header's 16 KiB is for the fields. */
export const maxUrlLength = 8_192;

/** The budget of the requests of a client that was let in: of its subject, without authentication of its address. */
export type BudgetOf = (request: RequestContext['req'], subject: string) => string;

export const createBudgetOf = (access: Access, clientAddress: GateOptions['clientAddress']): BudgetOf =>
  access.mode === 'jwt' ? (_, subject) => `s ${subject}` : (request) => `a ${clientAddress(request)}`;

/**
 * The middlewares in front of every route, in this order: ids and security headers, the URL's form, who asks, how
 * much is left of the budget; and around all of them the one place where a fault becomes an answer.
 */
export const createGate = (options: GateOptions): readonly Middleware<RequestState>[] => {
  const { access, cors, rateLimit, budgetOf, clientAddress, logger, standing, isDraining, ended, tracing } =
    options;
  const authenticate = createAuthenticate(access, (ctx) =>
    rateLimit.blockedSec(`a ${clientAddress(ctx.req)}`),
  );

  const faults: Middleware<RequestState> = async (ctx, next) => {
    const startedMs = performance.now();
    const { req, res, state } = ctx;
    state.requestId = requestIdOf(req.headers['x-request-id']);
    state.correlationId = correlationIdOf(req.headers['x-correlation-id'], state.requestId);
    state.subject = nobody;
    state.budget = false;
    if (tracing !== undefined) state.activity = beginRequest(tracing, req);
    state.spending = 'reads';
    res.setHeader('X-Request-Id', state.requestId);
    res.setHeader('Cache-Control', 'no-store');
    for (let at = 0; at < standing.length; at += 2) res.setHeader(standing[at] ?? '', standing[at + 1] ?? '');
    let fault: Problem | undefined;
    try {
      await next();
    } catch (error) {
      fault = problemOf(error, logger);
      // Too late to say anything: what was begun is cut, so that it is not taken for whole.
      if (res.headersSent) res.destroy();
      else respondProblem(ctx, fault);
    }
    if (isDraining() && !res.headersSent) res.setHeader('Connection', 'close');
    ended(ctx, startedMs, fault);
  };

  const requestsOf = ({ req, state }: RequestContext): string => budgetOf(req, state.subject.id);

  const admission: Middleware<RequestState> = async (ctx, next) => {
    const { req, res, state } = ctx;
    const wrong = req.headers.host === undefined ? noHost : urlFault(req.url ?? '');
    if (wrong !== undefined) throw new ProblemError(wrong);
    cors.mark(req, res);
    // Whoever has no token yet is held to protected mode's rules only where there are none at all.
    const preflight = cors.isPreflight(req);
    if (preflight || isPublic(req, ctx.path)) {
      if (access.mode === 'off') demand(access.admit(req));
      if (!preflight) {
        if (!isProbe(ctx.path)) state.budget = `a ${clientAddress(req)}`;
        return next();
      }
      cors.answerPreflight(req, res);
      ctx.status = 204;
      return;
    }
    const answer = authenticate(ctx);
    const admitted = answer instanceof Promise ? await answer : answer;
    if (!admitted.ok) {
      if (access.mode === 'jwt' && admitted.problem.code === 'unauthorized') {
        state.budget = `a ${clientAddress(req)}`;
        await rateLimit.spend(ctx, 'refusals');
      }
      throw new ProblemError(admitted.problem);
    }
    state.subject = admitted.value;
    state.budget = requestsOf(ctx);
    const service = req.method === 'POST' ? heartbeatOf(ctx.path) : undefined;
    if (service !== undefined) {
      state.spending = 'heartbeats';
      state.budget = `${state.budget} ${service}`;
    } else state.spending = spendingOf(ctx.method, ctx.path);
    return next();
  };

  /** A heartbeat that is none, of a service that nobody knows for one, counts as any other request. */
  const strayHeartbeats: Middleware<RequestState> = async (ctx, next) => {
    if (ctx.state.spending !== 'heartbeats') return next();
    try {
      return await next();
    } catch (error) {
      ctx.state.budget = requestsOf(ctx);
      await rateLimit.spend(ctx, 'writes');
      throw error;
    }
  };

  return [faults, admission, rateLimit.middleware, strayHeartbeats];
};

const demand = (admitted: Result<unknown>): void => {
  if (!admitted.ok) throw new ProblemError(admitted.problem);
};

const noHost = problem('bad_request', 'The Host header is missing');

/** What is wrong with a request target before anything parses it. */
const urlFault = (url: string): Problem | undefined => {
  if (url.length > maxUrlLength) {
    return problem('uri_too_long', `The URL has ${url.length} characters; ${maxUrlLength} are allowed`);
  }
  if (url.charCodeAt(0) !== 47) return problem('bad_request', 'The request target must begin with a slash');
  if (url.includes('#')) return problem('bad_request', 'The request target must have no fragment');
  if (url.includes('%')) {
    try {
      decodeURIComponent(url);
    } catch {
      return problem('bad_request', 'The percent-encoding of the URL is broken, or not of UTF-8');
    }
  }
  return undefined;
};

const heartbeatPrefix = '/services/';
const heartbeatSuffix = '/heartbeat';

/** The service that a heartbeat is for; undefined for every other path. */
const heartbeatOf = (path: string): string | undefined => {
  if (!path.endsWith(heartbeatSuffix) || !path.startsWith(heartbeatPrefix)) return undefined;
  const segment = path.slice(heartbeatPrefix.length, -heartbeatSuffix.length);
  return segment.includes('/') ? undefined : decodeURIComponent(segment);
};
