import type { IncomingMessage } from 'node:http';
import { steadyNow } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Problem } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { requestIdOf } from './context.ts';
import { statusOf } from './problem.ts';

/** What a line tells of a request: nothing that was in its path, its body or its token. */
export type RequestFacts = {
  readonly requestId: string;
  readonly correlationId?: string;
  readonly method: string;
  /** A template of the code's. */
  readonly route: string;
  readonly status: number;
  readonly durationMs?: number;
  readonly subject?: string;
  readonly address?: string;
};

export type RequestLog = {
  /** False while requests that went well are told nowhere: then their facts need not be gathered. */
  readonly tellsAll: boolean;
  tell(facts: RequestFacts, fault: Problem | undefined): void;
  /** The same for an upgrade that was answered with a problem. */
  upgradeRefused(request: IncomingMessage, fault: Problem, address: string): void;
};

/** Who is refused again and again is told so often, and no more: the log must not be what fills the disk. */
export const maxLinesPerSec = 50;

const isDenied = (status: number): boolean => status === 401 || status === 403 || status === 429;

/**
 * One line per request that failed or was refused: `warn` for 500, `info` for other failures of the hub or of a service and
 * for refusals (401, 403, 429), `debug` for all else, what went well included.
 *
 * @param nowMs steady.
 */
export const createRequestLog = (
  logLevel: Config['logLevel'],
  logger: Logger,
  nowMs: () => number = steadyNow,
): RequestLog => {
  const tellsAll = logLevel === 'debug' || logLevel === 'trace';
  let second = 0;
  let lines = 0;
  let leftOut = 0;

  const hasRoom = (): boolean => {
    const now = Math.floor(nowMs() / 1_000);
    if (now !== second) {
      if (leftOut > 0)
        logger.info({ requests: leftOut }, 'requests that were refused or failed are not told');
      [second, lines, leftOut] = [now, 0, 0];
    }
    if (lines >= maxLinesPerSec) {
      leftOut++;
      return false;
    }
    lines++;
    return true;
  };

  const tell = (facts: RequestFacts, fault: Problem | undefined): void => {
    const { status } = facts;
    const isWorthTelling = status >= 500 || isDenied(status);
    if (!isWorthTelling && !tellsAll) return;
    const told = fault === undefined ? facts : { ...facts, code: fault.code };
    if (!isWorthTelling) logger.debug(told, 'request');
    else if (hasRoom()) {
      if (status === 500) logger.warn(told, 'a request failed');
      else logger.info(told, isDenied(status) ? 'a request was refused' : 'a request failed');
    }
  };

  return {
    tellsAll,
    tell,
    upgradeRefused: (request, fault, address) =>
      tell(
        {
          requestId: requestIdOf(request.headers['x-request-id']),
          method: request.method ?? 'GET',
          route: 'upgrade',
          status: statusOf(fault),
          address,
        },
        fault,
      ),
  };
};
