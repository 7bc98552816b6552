import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../../config.ts';
import { problem } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { requestIdOf } from '../context.ts';
import { problemBody, problemHeaders } from '../problem.ts';
import { isProxied } from '../proxy.ts';
import { countWork, tooMuch, type Work } from './work.ts';

export type Overload = {
  /** Answers `request` with `overloaded` when the hub has too much to do. True when it did. */
  refuses(request: IncomingMessage, response: ServerResponse): boolean;
  /** Runs `serve` and counts the request as work until it is over. */
  serve(request: IncomingMessage, serve: () => Promise<void>): void;
};

export type OverloadOptions = {
  readonly config: Pick<Config, 'maxInFlight' | 'maxLagMs'>;
  readonly logger: Logger;
  /** Called for each request that is refused. */
  readonly onRefused: () => void;
  readonly nowMs?: () => number;
  /** Runs once the event loop has worked off what had come when it last looked. */
  readonly afterTurn?: (run: () => void) => void;
};

/** How much more of both the vital requests may have. */
const vitalShare = 2;
/**
 * Of a turn, so many requests are served at least, or for so many times `maxLagMs`: fewer are no crowd, but a machine that
 * is busy elsewhere; or they are heavy.
 */
const minTurn = { requests: 64, lags: 4 };
const tellEveryMs = 10_000;
const vital: ReadonlySet<string> = new Set(['/health', '/health/live', '/health/ready', '/metrics']);

/**
 * Refuses what the hub could not answer in time, before it costs anything (docs/adr/0039-limits.md): when `maxInFlight`
 * requests are worked on, and when the event loop needs longer than `maxLagMs` for one turn, which is how long those wait
 * that came during it.
 */
export const createOverload = (options: OverloadOptions): Overload => {
  const { config, logger, onRefused, nowMs = () => performance.now(), afterTurn = setImmediate } = options;
  const { maxInFlight, maxLagMs } = config;
  const work: Work = { inFlight: 0 };
  const refuse = createRefusal();
  let turnBeganMs: number | undefined;
  let servedInTurn = 0;
  /** The last turn was long as well: what waits is a standing queue, and no hiccup. */
  let standing = false;
  /** Of a turn, for requests that are served; those that it reaches later are refused. */
  let allowanceMs = maxLagMs;
  let toldMs = Number.NEGATIVE_INFINITY;

  const endTurn = (): void => {
    if (turnBeganMs === undefined) return;
    const tookMs = nowMs() - turnBeganMs;
    turnBeganMs = undefined;
    servedInTurn = 0;
    standing = tookMs > maxLagMs / 2;
    // Refusals take time too: turns become as long as `maxLagMs` when the allowance makes up for it.
    allowanceMs = Math.min(maxLagMs, Math.max(1, (allowanceMs * maxLagMs) / Math.max(tookMs, 1)));
  };

  const isTooMuch = (elapsedMs: number, share: number): boolean =>
    work.inFlight >= maxInFlight * share ||
    (standing &&
      elapsedMs > allowanceMs * share &&
      (servedInTurn >= minTurn.requests || elapsedMs > maxLagMs * minTurn.lags));

  return {
    refuses: (request, response) => {
      const now = nowMs();
      if (turnBeganMs === undefined) {
        turnBeganMs = now;
        afterTurn(endTurn);
      }
      const elapsedMs = now - turnBeganMs;
      if (!isTooMuch(elapsedMs, 1) || (isVital(request) && !isTooMuch(elapsedMs, vitalShare))) {
        servedInTurn++;
        return false;
      }
      if (now - toldMs >= tellEveryMs) {
        toldMs = now;
        logger.warn(
          { inFlight: work.inFlight, turnMs: Math.round(elapsedMs) },
          'overloaded: requests are refused',
        );
      }
      refuse(request, response);
      onRefused();
      return true;
    },
    serve: (request, serve) => {
      if (waitsForOthers(request)) void serve();
      else countWork(work, maxInFlight * (isVital(request) ? vitalShare : 1), request, serve);
    },
  };
};

/** What tells whether the hub lives, and what keeps its services registered. */
const isVital = ({ url = '' }: IncomingMessage): boolean => {
  if (url.startsWith('/services/')) return url.endsWith('/heartbeat');
  if (!url.startsWith('/health') && !url.startsWith('/metrics')) return false;
  const end = url.indexOf('?');
  return vital.has(end < 0 ? url : url.slice(0, end));
};

/** Bodies of any length, and reads that ask to wait: most of their time the hub has nothing to do with them. */
const waitsForOthers = ({ url = '', headers }: IncomingMessage): boolean =>
  isProxied(url) ||
  url.startsWith('/snapshot') ||
  headers['x-nexus-min-position'] !== undefined ||
  headers['x-nexus-consistency'] !== undefined ||
  url.includes('asOf=');

/** The one answer, made beforehand. The connection stays: a new one would cost the hub more. */
const createRefusal = () => {
  const fault = problem('overloaded', tooMuch);
  const body = JSON.stringify(problemBody(fault));
  const headers = Object.entries(problemHeaders(fault)).flat();
  headers.push('content-length', String(Buffer.byteLength(body)));
  return (request: IncomingMessage, response: ServerResponse): void => {
    const requestId = requestIdOf(request.headers['x-request-id']);
    response.writeHead(503, [...headers, 'x-request-id', requestId]);
    response.end(body);
  };
};
