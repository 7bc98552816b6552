import type { Context } from 'koa';

import { type ErrorCode, errorTable, type Problem, ProblemError, problem } from '../errors.ts';
import { newId } from '../ids.ts';
import { LogError } from '../log/event-log.ts';
import type { Logger } from '../logger.ts';
import { ReadModelDamaged } from '../projection/read-store.ts';

/** RFC 9457. */
export const problemMediaType = 'application/problem+json';

/** Seconds after which trying again is worth while, for the faults that pass by themselves. */
const retryAfterSec: Partial<Record<ErrorCode, number>> = {
  log_unavailable: 1,
  keys_unavailable: 5,
  not_ready: 1,
  shutting_down: 5,
  busy: 1,
  overloaded: 1,
};

export const statusOf = (fault: Problem): number => errorTable[fault.code].status;

/** The members of the answer: the facts stand beside the fixed ones and never in their place. */
export const problemBody = (fault: Problem, status: number = statusOf(fault)): Record<string, unknown> => ({
  ...fault.facts,
  type: `urn:nexus:problem:${fault.code}`,
  title: errorTable[fault.code].title,
  status,
  detail: fault.detail,
  code: fault.code,
});

/** The header fields that a fault brings along, by lower-case name. */
export const problemHeaders = (fault: Problem): Record<string, string> => {
  const headers: Record<string, string> = {
    'content-type': problemMediaType,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  const known = fault.facts?.retryAfterSec;
  const retryAfter = typeof known === 'number' ? known : retryAfterSec[fault.code];
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  if (fault.code === 'unauthorized') headers['www-authenticate'] = challenge(fault);
  return headers;
};

/** RFC 6750, section 3: without a token in the request, no error is named. */
const challenge = (fault: Problem): string =>
  fault.facts?.token === 'absent' ? 'Bearer realm="nexus"' : 'Bearer realm="nexus", error="invalid_token"';

/** The part of a Koa context that an answer needs, whatever its state is. */
type Answerable = Pick<Context, 'status' | 'set' | 'body'>;

/** Answers with `fault`; `status` in place of the table's where HTTP wants another (412 for a header's precondition). */
export const respondProblem = (ctx: Answerable, fault: Problem, status: number = statusOf(fault)): void => {
  ctx.status = status;
  ctx.set(problemHeaders(fault));
  ctx.body = JSON.stringify(problemBody(fault, status));
};

/** A whole HTTP/1.1 answer that closes the connection: for what never became a request, and for refused upgrades. */
export const rawProblem = (fault: Problem, requestId: string = newId()): string => {
  const status = statusOf(fault);
  const body = JSON.stringify(problemBody(fault));
  const lines = [`HTTP/1.1 ${status} ${errorTable[fault.code].title}`];
  for (const [name, value] of Object.entries(problemHeaders(fault))) lines.push(`${name}: ${value}`);
  lines.push(`x-request-id: ${requestId}`, `content-length: ${Buffer.byteLength(body)}`);
  lines.push('connection: close', '', body);
  return lines.join('\r\n');
};

/**
 * The fault that a client is told when `error` was thrown. What nobody expected is `internal`: it is logged whole, and
 * nothing of it reaches the client.
 */
export const problemOf = (error: unknown, logger: Logger): Problem => {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof LogError) return logProblem(error, logger);
  if (error instanceof ReadModelDamaged) {
    logger.error({ err: error }, 'a read model is damaged');
    return problem('not_ready', 'A read model is damaged and has to be rebuilt; try again');
  }
  logger.error({ err: error }, 'unexpected error');
  return problem('internal', 'The hub failed to answer this request; the cause is in its log');
};

const logProblem = (error: LogError, logger: Logger): Problem => {
  switch (error.code) {
    case 'too_large':
      return problem('too_large', error.message, error.facts);
    case 'invalid':
      return problem('invalid', error.message, error.facts);
    case 'log_full':
      return problem('log_full', 'The event log or its disk is full; reads go on');
    case 'log_unavailable':
      return problem('log_unavailable', 'The event log cannot be reached; it is safe to try again');
    case 'log_closed':
      return problem('shutting_down', 'The hub is shutting down');
    case 'log_failed':
      logger.error({ err: error }, 'the event log failed');
      return problem('log_unavailable', 'The event log failed; this node stops acknowledging');
    case 'log_corrupt':
      logger.error({ err: error }, 'the event log is damaged');
      return problem(
        'internal',
        'A record of the event log is damaged; the position is in the log of the hub',
      );
  }
};
