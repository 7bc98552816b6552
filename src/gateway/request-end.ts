import type { Problem } from '../errors.ts';
import type { Meters } from '../metrics/meters.ts';
import type { RequestContext } from './context.ts';
import { routeOf } from './route-of.ts';

/**
 * Called once for each request, when its answer was handed over (a streamed body apart): what is told of it.
 *
 * @param startedMs of `performance.now()`.
 * @param fault the problem that it was answered with.
 */
export type RequestEnd = (ctx: RequestContext, startedMs: number, fault: Problem | undefined) => void;

export const createRequestEnd =
  ({ http }: Pick<Meters, 'http'>): RequestEnd =>
  (ctx, startedMs, fault) => {
    const durationSec = (performance.now() - startedMs) / 1_000;
    http.finished(routeOf(ctx), ctx.method, ctx.res.statusCode, durationSec);
    if (fault !== undefined) http.problems.add(fault.code);
  };
