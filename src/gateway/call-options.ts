import type { IncomingHttpHeaders } from 'node:http';
import { parseTime } from '../core/as-of.ts';
import { invalidAt, ProblemError } from '../errors.ts';
import { given } from '../given.ts';
import type { CallOptions } from '../nexus-core.ts';

const wholeMs = /^[0-9]{1,12}$/;

const only = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;

/**
 * What the caller says of its own time: the shorter of `X-Nexus-Timeout-Ms` and what is left until `X-Nexus-Deadline`
 * (RFC 3339). A service that calls another one through the hub passes on what it was given itself.
 *
 * @throws {ProblemError} `invalid`.
 */
export const leftMsOf = (headers: IncomingHttpHeaders, nowMs = Date.now()): number | undefined => {
  const timeout = only(headers['x-nexus-timeout-ms']);
  const deadline = only(headers['x-nexus-deadline']);
  if (timeout === undefined && deadline === undefined) return undefined;
  if (timeout !== undefined && !wholeMs.test(timeout))
    throw new ProblemError(invalidAt('/X-Nexus-Timeout-Ms', 'must be a number of milliseconds'));
  const untilMs = deadline === undefined ? undefined : parseTime(deadline);
  if (deadline !== undefined && untilMs === undefined)
    throw new ProblemError(invalidAt('/X-Nexus-Deadline', 'must be an RFC 3339 time'));
  return Math.min(
    timeout === undefined ? Number.POSITIVE_INFINITY : Number(timeout),
    untilMs === undefined ? Number.POSITIVE_INFINITY : untilMs - nowMs,
  );
};

/** @throws {ProblemError} `invalid`. */
export const callOptionsOf = (headers: IncomingHttpHeaders, signal: AbortSignal): CallOptions => ({
  signal,
  ...given({ leftMs: leftMsOf(headers), tracestate: only(headers.tracestate) }),
});
