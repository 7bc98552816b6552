import { setTimeout as delay } from 'node:timers/promises';
import type { EsdbClient } from './client.ts';
import { closedError, faultOf, isPassing, logErrorOf } from './fault.ts';

/** Milliseconds, but for the last two. */
export type Limits = {
  /** One try of an append waits so long for its answer. */
  readonly tryMs: number;
  /** All tries of one call together; then it is `log_unavailable`. */
  readonly callMs: number;
  /** Longest silence of the server within a read, and before a subscription is confirmed. */
  readonly silenceMs: number;
  /** Pause before the second try; doubled for each further one. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** How long `close` waits for appends in flight. */
  readonly closeMs: number;
  /** Encoded bytes that are sent and not answered; more wait for their turn. */
  readonly inFlightBytes: number;
  /** Appends that wait for their turn; more are refused as `log_unavailable`. */
  readonly waitingAppends: number;
};

export const defaultLimits: Limits = {
  tryMs: 4_000,
  callMs: 10_000,
  silenceMs: 5_000,
  retryMs: 50,
  maxRetryMs: 1_000,
  closeMs: 5_000,
  inFlightBytes: 16 * 1_048_576,
  waitingAppends: 10_000,
};

export type Logger = { warn(facts: object, message: string): void };

/** What every operation of one log shares. */
export type Session = {
  readonly client: EsdbClient;
  readonly limits: Limits;
  readonly logger: Logger;
  /** Aborted when the log has closed. */
  readonly closed: AbortSignal;
  readonly health: Health;
};

export type Health = {
  readonly reachable: boolean;
  works(): void;
  fails(error: unknown): void;
};

/** Whether the last call that told anything about the server had an answer. Says each change once. */
export const createHealth = (logger: Logger): Health => {
  let reachable = true;
  return {
    get reachable() {
      return reachable;
    },
    works: () => {
      if (!reachable) logger.warn({}, 'EventStoreDB can be reached again');
      reachable = true;
    },
    fails: (error) => {
      if (reachable) logger.warn({ reason: faultOf(error).message }, 'EventStoreDB cannot be reached');
      reachable = false;
    },
  };
};

/**
 * Waits before another try.
 *
 * @throws {LogError} `log_closed` when the log closes meanwhile.
 */
export const pause = async ({ closed }: Session, ms: number): Promise<void> => {
  try {
    await delay(ms, undefined, { signal: closed });
  } catch {
    throw closedError();
  }
};

/** Tries of a call that a lost connection may cost: the channel that just broke, and the one that replaced it. */
const lostTries = 3;

/**
 * Runs a call that changes nothing, or nothing twice, again until it works: a few times when the server cannot be
 * reached, until `callMs` are over when it says that it is not ready.
 *
 * @throws {LogError} `doing` stands in its message.
 */
export const withRetries = async <T>(session: Session, doing: string, call: () => Promise<T>): Promise<T> => {
  const { limits, health, closed } = session;
  const giveUpAt = performance.now() + limits.callMs;
  let lost = 0;
  for (let pauseMs = limits.retryMs; ; pauseMs = Math.min(pauseMs * 2, limits.maxRetryMs)) {
    if (closed.aborted) throw closedError();
    try {
      const value = await call();
      health.works();
      return value;
    } catch (error) {
      if (closed.aborted) throw closedError();
      const fault = faultOf(error);
      if (fault.kind === 'unavailable') lost++;
      if (!isPassing(fault) || lost >= lostTries || performance.now() + pauseMs > giveUpAt) {
        if (isPassing(fault)) health.fails(fault);
        throw logErrorOf(fault, doing);
      }
    }
    await pause(session, pauseMs);
  }
};
