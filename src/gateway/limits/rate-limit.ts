import type { Context as KoaContext, Middleware } from 'koa';
import ratelimit from 'koa-ratelimit';
import { BoundedMap } from '../../bounded-map.ts';
import type { Config } from '../../config.ts';
import { ProblemError, problem } from '../../errors.ts';
import type { Counters } from '../../log/counters.ts';
import type { Logger } from '../../logger.ts';
import type { RequestContext, RequestState } from '../context.ts';
import { CountersAway, createReach, SharedWindows, type Window } from './shared-windows.ts';
import type { Spending } from './spending.ts';

export type RateLimit = {
  /** Counts the request against its client's budget for what `state.spending` says, and lets it pass, or throws `rate_limited`. */
  readonly middleware: Middleware<RequestState>;
  /** Counts one of `spending`, whatever the request was counted for before. @throws {ProblemError} `rate_limited`. */
  spend(ctx: RequestContext, spending: Spending): Promise<void>;
  /**
   * Counts one read at once, against a window of this node's own that is open and has room; undefined, and nothing
   * counted, otherwise.
   */
  spendReadNow(client: string): Spent | undefined;
  /** Seconds until an address whose tokens were bad may try another; 0 when it may now. */
  blockedSec(client: string): number;
};

/** What an answer tells of a window. */
export type Spent = { readonly limit: number; readonly remaining: number; readonly resetSec: number };

export type RateLimitConfig = Pick<
  Config,
  'rateLimitMax' | 'rateLimitReadMax' | 'rateLimitWriteMax' | 'rateLimitInvokeMax' | 'rateLimitWindowSec'
>;

export type Sharing = { readonly counters: Counters; readonly logger: Logger };

export const heartbeatsPerSec = 10;
/** Windows that are remembered of each budget; the oldest goes first. */
const maxClients = 50_000;

/**
 * The budgets of requests per window and subject, else per address (docs/limits.md): reads, writes and invokes apart;
 * heartbeats have one of their own, `heartbeatsPerSec` a second and service, so that none starves the others.
 *
 * @param sharing Where the nodes count together; while it is away each counts by itself.
 */
export const createRateLimit = (config: RateLimitConfig, sharing?: Sharing): RateLimit => {
  const { rateLimitMax, rateLimitWindowSec } = config;
  const reads = config.rateLimitReadMax ?? rateLimitMax;
  const writes = config.rateLimitWriteMax ?? rateLimitMax;
  const invokes = config.rateLimitInvokeMax ?? rateLimitMax;
  const windowMs = rateLimitWindowSec * 1_000;
  const reach = sharing === undefined ? undefined : createReach(sharing.counters, sharing.logger);
  const budgets: Readonly<Record<Spending, Budget>> = {
    reads: createBudget('reads', reads, windowMs, reach),
    writes: createBudget('writes', writes, windowMs, reach),
    invokes: createBudget('invokes', invokes, windowMs, reach),
    heartbeats: createBudget('heartbeats', heartbeatsPerSec, 1_000),
    // Whoever stays within the three never meets it: it keeps unread documents from coming for nothing.
    documents: createBudget('documents', reads + writes + invokes, windowMs),
    refusals: createBudget('refusals', rateLimitMax, windowMs, reach),
  };
  return {
    middleware: async (ctx, next) => {
      await budgets[ctx.state.spending].spend(ctx);
      return next();
    },
    spend: (ctx, spending) => budgets[spending].spend(ctx),
    spendReadNow: budgets.reads.spendNow,
    blockedSec: budgets.refusals.blockedSec,
  };
};

type Budget = {
  spend(ctx: RequestContext): Promise<void>;
  spendNow(client: string): Spent | undefined;
  blockedSec(client: string): number;
};

const createBudget = (
  what: Spending,
  max: number,
  durationMs: number,
  reach?: Pick<Counters, 'add'>,
): Budget => {
  const windows = new BoundedMap<string, Window>(maxClients);
  const shared = reach === undefined ? undefined : new SharedWindows(maxClients, reach);
  const local = createLimiter('memory', what, max, durationMs, windows);
  const together = shared === undefined ? undefined : createLimiter('redis', what, max, durationMs, shared);

  const spendLocally = async (ctx: RequestContext): Promise<void> => {
    await local(ctx, nothing);
    announce(ctx, windows.get(`${what}:${ctx.state.budget}`), durationMs);
  };

  const spendNow = (client: string): Spent | undefined => {
    const key = `${what}:${client}`;
    if (shared !== undefined) {
      const taken = shared.takeNow(key, max);
      return (
        taken && { limit: max, remaining: taken.remaining - 1, resetSec: secondsLeft(taken, durationMs) }
      );
    }
    const window = windows.get(key);
    // The last one is the package's, which refuses what comes behind it.
    if (window === undefined || window.remaining < 2) return undefined;
    const resetSec = secondsLeft(window, durationMs);
    if (resetSec === 0) return undefined;
    window.remaining--;
    return { limit: window.total, remaining: window.remaining - 1, resetSec };
  };

  return {
    spend:
      shared === undefined || together === undefined
        ? spendLocally
        : async (ctx) => {
            try {
              await together(ctx, nothing);
            } catch (error) {
              if (error instanceof CountersAway) return spendLocally(ctx);
              throw error;
            }
            announce(ctx, shared.get(`${what}:${ctx.state.budget}`), durationMs);
          },
    spendNow: shared === undefined ? spendNow : () => undefined,
    blockedSec: (client) => {
      let blocked = 0;
      for (const window of [windows.get(`${what}:${client}`), shared?.get(`${what}:${client}`)]) {
        if (window !== undefined && window.remaining <= 1)
          blocked = Math.max(blocked, secondsLeft(window, durationMs));
      }
      return blocked;
    },
  };
};

const nothing = async (): Promise<void> => {};

const createLimiter = (
  driver: 'memory' | 'redis',
  what: Spending,
  max: number,
  durationMs: number,
  db: BoundedMap<string, Window>,
): Middleware<RequestState> => {
  // The types of the package do not know its onLimited.
  const options: ratelimit.MiddlewareOptions & { onLimited(ctx: RequestContext): never } = {
    driver,
    db,
    namespace: what,
    max,
    duration: durationMs,
    // Its own header fields carry the time of day, where the contract wants seconds.
    disableHeader: true,
    id: budgetOf,
    onLimited: (ctx: RequestContext) => {
      const window = db.get(`${what}:${ctx.state.budget}`);
      announce(ctx, window, durationMs);
      const retryAfterSec = window === undefined ? 1 : Math.max(secondsLeft(window, durationMs), 1);
      throw new ProblemError(
        problem('rate_limited', `More than ${max} ${what} in ${durationMs / 1_000} s`, { retryAfterSec }),
      );
    },
  };
  return ratelimit(options);
};

const announce = (ctx: RequestContext, window: Window | undefined, durationMs: number): void => {
  if (window === undefined) return;
  ctx.res.setHeader('RateLimit-Limit', window.total);
  ctx.res.setHeader('RateLimit-Remaining', Math.max(window.remaining - 1, 0));
  ctx.res.setHeader('RateLimit-Reset', secondsLeft(window, durationMs));
};

/** The package counts time by a clock of its own, some milliseconds off the time of day. */
const secondsLeft = ({ reset }: Window, durationMs: number): number =>
  Math.min(Math.max(Math.ceil(reset - Date.now() / 1_000), 0), Math.ceil(durationMs / 1_000));

const budgetOf = (ctx: KoaContext): string | false => {
  const state: RequestState = ctx.state;
  return state.budget;
};
