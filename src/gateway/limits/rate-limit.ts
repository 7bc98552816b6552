import type { Context as KoaContext, Middleware, Next } from 'koa';
import ratelimit from 'koa-ratelimit';
import { BoundedMap } from '../../bounded-map.ts';
import type { Config } from '../../config.ts';
import { ProblemError, problem } from '../../errors.ts';
import type { RequestContext, RequestState } from '../context.ts';

/** What koa-ratelimit keeps of a client: `reset` in seconds since 1970. */
type Window = { readonly remaining: number; readonly reset: number; readonly total: number };

export type RateLimit = {
  /** Counts the request against `state.budget` and lets it pass, or throws `rate_limited`. */
  readonly middleware: Middleware<RequestState>;
  /** Seconds until `budget` has something left again; 0 when it has now. */
  blockedSec(budget: string): number;
};

export const heartbeatsPerSec = 10;
/** Clients that are remembered; the oldest window goes first. */
const maxClients = 50_000;

/**
 * The budgets of requests: `rateLimitMax` per window and subject, else per address; heartbeats have one of their own,
 * `heartbeatsPerSec` a second and service, so that neither starves the other.
 */
export const createRateLimit = (config: Pick<Config, 'rateLimitMax' | 'rateLimitWindowSec'>): RateLimit => {
  const general = createBudget('requests', config.rateLimitMax, config.rateLimitWindowSec * 1_000);
  const heartbeats = createBudget('heartbeats', heartbeatsPerSec, 1_000);
  return {
    middleware: (ctx, next) => (ctx.state.heartbeat ? heartbeats : general).middleware(ctx, next),
    blockedSec: general.blockedSec,
  };
};

const createBudget = (what: string, max: number, durationMs: number) => {
  const windows = new BoundedMap<string, Window>(maxClients);
  // The package counts time by a clock of its own, some milliseconds off the time of day.
  const secondsLeft = ({ reset }: Window): number =>
    Math.min(Math.max(Math.ceil(reset - Date.now() / 1_000), 0), Math.ceil(durationMs / 1_000));
  const windowOf = (budget: string | false): Window | undefined =>
    budget === false ? undefined : windows.get(`${what}:${budget}`);

  const announce = (ctx: RequestContext): void => {
    const window = windowOf(ctx.state.budget);
    if (window === undefined) return;
    ctx.res.setHeader('RateLimit-Limit', window.total);
    ctx.res.setHeader('RateLimit-Remaining', Math.max(window.remaining - 1, 0));
    ctx.res.setHeader('RateLimit-Reset', secondsLeft(window));
  };

  // The types of the package do not know its onLimited.
  const options: ratelimit.MiddlewareOptions & { onLimited(ctx: RequestContext): never } = {
    driver: 'memory',
    db: windows,
    namespace: what,
    max,
    duration: durationMs,
    // Its own header fields carry the time of day, where the contract wants seconds.
    disableHeader: true,
    id: budgetOf,
    onLimited: (ctx: RequestContext) => {
      announce(ctx);
      const window = windowOf(ctx.state.budget);
      const retryAfterSec = window === undefined ? 1 : Math.max(secondsLeft(window), 1);
      throw new ProblemError(
        problem('rate_limited', `More than ${max} ${what} in ${durationMs / 1_000} s`, { retryAfterSec }),
      );
    },
  };
  const limiter: Middleware<RequestState> = ratelimit(options);

  return {
    middleware: (ctx: Parameters<typeof limiter>[0], next: Next) =>
      limiter(ctx, () => {
        announce(ctx);
        return next();
      }),
    blockedSec: (budget: string): number => {
      const window = windowOf(budget);
      return window === undefined || window.remaining > 1 ? 0 : secondsLeft(window);
    },
  };
};

const budgetOf = (ctx: KoaContext): string | false => {
  const state: RequestState = ctx.state;
  return state.budget;
};
