import type { Problem } from '../errors.ts';
import type { NexusCore } from '../nexus-core.ts';
import { nobody, type RequestContext } from './context.ts';
import { routeOf } from './route-of.ts';

export type RequestEndOptions = {
  readonly core: Pick<NexusCore, 'meters' | 'denied'>;
  readonly clientAddress: (request: RequestContext['req']) => string;
};

/**
 * Called once for each request, when its answer was handed over (a streamed body apart): what is told of it.
 *
 * @param startedMs of `performance.now()`.
 * @param fault the problem that it was answered with.
 */
export type RequestEnd = (ctx: RequestContext, startedMs: number, fault: Problem | undefined) => void;

export const createRequestEnd = ({ core, clientAddress }: RequestEndOptions): RequestEnd => {
  const { http } = core.meters;
  return (ctx, startedMs, fault) => {
    const durationSec = (performance.now() - startedMs) / 1_000;
    http.finished(routeOf(ctx), ctx.method, ctx.res.statusCode, durationSec);
    if (fault === undefined) return;
    http.problems.add(fault.code);
    const { subject } = ctx.state;
    core.denied(fault, subject === nobody ? { address: clientAddress(ctx.req) } : { subject: subject.id });
  };
};
