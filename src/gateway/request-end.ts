import type { Problem } from '../errors.ts';
import type { NexusCore } from '../nexus-core.ts';
import type { Activity, Tracing } from '../tracing/tracing.ts';
import { nobody, type RequestContext } from './context.ts';
import type { RequestLog } from './request-log.ts';
import { noRoute, routeOf } from './route-of.ts';

export type RequestEndOptions = {
  readonly core: Pick<NexusCore, 'meters' | 'denied'>;
  readonly log: RequestLog;
  readonly clientAddress: (request: RequestContext['req']) => string;
};

/**
 * Called once for each request, when its answer was handed over (a streamed body apart): what is told of it.
 *
 * @param startedMs of `performance.now()`.
 * @param fault the problem that it was answered with.
 */
export type RequestEnd = (ctx: RequestContext, startedMs: number, fault: Problem | undefined) => void;

/** The span of a request. Its path is no attribute, as that holds what clients call their data. */
export const beginRequest = (tracing: Tracing, request: RequestContext['req']): Activity => {
  const { traceparent, tracestate } = request.headers;
  const method = request.method ?? 'GET';
  return tracing.start(method, {
    kind: 'server',
    parent: typeof traceparent === 'string' ? traceparent : undefined,
    tracestate: typeof tracestate === 'string' ? tracestate : undefined,
    attributes: {
      'http.request.method': method,
      'url.scheme': 'encrypted' in request.socket ? 'https' : 'http',
      'network.protocol.version': request.httpVersion,
    },
  });
};

export const createRequestEnd = ({ core, clientAddress, log }: RequestEndOptions): RequestEnd => {
  const { http } = core.meters;
  return (ctx, startedMs, fault) => {
    const durationSec = (performance.now() - startedMs) / 1_000;
    const route = routeOf(ctx);
    const { statusCode } = ctx.res;
    http.finished(route, ctx.method, statusCode, durationSec);
    ctx.state.activity?.end(statusCode >= 500 ? (fault?.code ?? String(statusCode)) : undefined, {
      name: route === noRoute ? ctx.method : `${ctx.method} ${route}`,
      'http.response.status_code': statusCode,
      ...(route === noRoute ? {} : { 'http.route': route }),
    });
    if (fault === undefined && !log.tellsAll && statusCode < 500) return;
    const { subject, requestId, correlationId } = ctx.state;
    const who = subject === nobody ? { address: clientAddress(ctx.req) } : { subject: subject.id };
    const durationMs = Math.round(durationSec * 1_000);
    const facts = { requestId, correlationId, method: ctx.method, route, status: statusCode, durationMs };
    log.tell({ ...facts, ...who }, fault);
    if (fault === undefined) return;
    http.problems.add(fault.code);
    core.denied(fault, who);
  };
};
