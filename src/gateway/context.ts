import type { IncomingHttpHeaders } from 'node:http';
import type { ParameterizedContext } from 'koa';
import { parsePosition } from '../../domain/event.ts';
import { invalidAt, ProblemError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { Context } from '../nexus-core.ts';
import type { Activity } from '../tracing/tracing.ts';
import type { Admitted } from './auth/access.ts';
import type { Spending } from './limits/spending.ts';

/** What the gate (gate.ts) found out about a request, for whatever answers it. */
export type RequestState = {
  requestId: string;
  correlationId: string;
  subject: Admitted;
  /** Whose budget the request is counted against; false for nobody's (limits/rate-limit.ts). */
  budget: string | false;
  spending: Spending;
  /** The span of the request, with tracing on. */
  activity?: Activity;
  /** Where koa-jwt leaves the payload of a token that it verified. */
  claims?: unknown;
};

/** Whoever was not let in, or needs no token. */
export const nobody: Admitted = { id: 'nobody', scopes: [] };

export type RequestContext = ParameterizedContext<RequestState>;

const id = /^[A-Za-z0-9._:@/+=-]{1,128}$/;
// W3C Trace Context, level 1: version, trace id, parent id, flags.
const traceparentForm = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** What a body or a frame may name as a cause or a correlation: header fields that are none of it are passed over. */
export const isTraceId = (given: unknown): given is string => typeof given === 'string' && id.test(given);
export const traceRule = 'must be 1 to 128 characters of [A-Za-z0-9._:@/+=-]';

/** The client's own id where it has a sane one (1 to 128 visible characters), else a new one. */
export const requestIdOf = (given: string | string[] | undefined): string =>
  typeof given === 'string' && id.test(given) ? given : newId();

/** `X-Correlation-Id` where it is sane, else the request's id. */
export const correlationIdOf = (given: string | string[] | undefined, requestId: string): string =>
  typeof given === 'string' && id.test(given) ? given : requestId;

/**
 * What the hub is told of a request: who asks, and what its answer is traced by.
 *
 * @throws {ProblemError} `invalid` when X-Nexus-Min-Position is no position, or X-Nexus-Consistency not `strong`.
 */
export const contextOf = (ctx: RequestContext): Context => contextFrom(ctx.req.headers, ctx.state);

/** The same for a request that no Koa context was made for: an upgrade. */
export const contextFrom = (
  headers: IncomingHttpHeaders,
  state: Pick<RequestState, 'subject' | 'correlationId' | 'activity'>,
): Context => {
  const traceparent = state.activity?.traceparent ?? headers.traceparent;
  const causation = headers['x-causation-id'];
  const minPosition = headers['x-nexus-min-position'];
  const consistency = headers['x-nexus-consistency'];
  if ((traceparent ?? causation ?? minPosition ?? consistency) === undefined) {
    return { subject: state.subject, correlationId: state.correlationId };
  }
  return {
    subject: state.subject,
    correlationId: state.correlationId,
    ...(typeof causation === 'string' && id.test(causation) ? { causationId: causation } : {}),
    ...(typeof traceparent === 'string' && traceparentForm.test(traceparent) ? { traceparent } : {}),
    ...(minPosition === undefined ? {} : { minPosition: minPositionOf(minPosition) }),
    ...(consistency === undefined ? {} : { consistency: consistencyOf(consistency) }),
  };
};

const consistencyOf = (given: string | string[]): 'strong' => {
  if (given === 'strong') return given;
  throw new ProblemError(invalidAt('/X-Nexus-Consistency', 'must be strong'));
};

const minPositionOf = (given: string | string[]) => {
  const position = typeof given === 'string' ? parsePosition(given) : undefined;
  if (position !== undefined) return position;
  throw new ProblemError(invalidAt('/X-Nexus-Min-Position', 'must be a position'));
};
