import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { given } from '../given.ts';
import type { Logger } from '../logger.ts';
import type { Counters } from './counters.ts';
import { openEmbeddedLog } from './embedded.ts';
import { type EventLog, LogError, type LogKind } from './event-log.ts';
import { createGatedLog } from './gated.ts';
import { establishIdentity, readIdentity } from './identity.ts';
import { nameOfLog } from './log-name.ts';

/** What a node remembers of its log, so that two histories never mix by accident. */
export type LogMemory = { readonly logId: string; readonly kind: LogKind };

export type OpenLogOptions = {
  /** In the order in which they are tried. */
  readonly urls: readonly string[];
  readonly memory: LogMemory | null;
  /** Identity that may take the place of the remembered one. */
  readonly acceptLog: string | null;
  readonly node: string;
  readonly logger: Logger;
  /** An embedded log failed for good: the process must end. */
  readonly onFailure: (error: LogError) => void;
  /** After which a write of an embedded log counts as failed; its own default unless given. */
  readonly watchdogMs?: number | undefined;
  readonly signal: AbortSignal;
};

export type OpenedLog = {
  readonly log: EventLog;
  readonly logId: string;
  /** Resolves once the log was reached: at once, or when the gate in front of it opens. */
  readonly reached: Promise<void>;
};

type Candidate = {
  readonly name: string;
  /** False for a folder that stays unmade until it is chosen: reachable, and empty. */
  exists(): boolean;
  open(): Promise<EventLog>;
};

/** The log that was chosen, or why none was, in a sentence for the operator. */
type Look = { readonly chosen: OpenedLog } | { readonly chosen: undefined; readonly why: string };

const firstRetryMs = 200;
const maxRetryMs = 2_000;

const candidateOf = (url: string, { logger, onFailure, watchdogMs }: OpenLogOptions): Candidate => {
  const name = nameOfLog(url);
  if (url.startsWith('file:')) {
    const directory = join(url.slice('file:'.length), 'log');
    return {
      name,
      exists: () => existsSync(directory),
      open: () => openEmbeddedLog({ directory, onFailure, ...given({ watchdogMs }) }),
    };
  }
  // Their clients are loaded by those alone who use them: together they take a third of the time of a start.
  const open = async (): Promise<EventLog> => {
    if (!url.startsWith('redis'))
      return (await import('./eventstoredb.ts')).openEventStoreDbLog({ url, logger });
    return (await import('./redis.ts')).openRedisLog({ url, logger });
  };
  return { name, exists: () => true, open };
};

/**
 * Counters that the nodes of a log share: where the log is Redis, in the first Redis of `urls`. Undefined for other logs,
 * of which no two nodes count together.
 *
 * @param replyMs For one answer; 50 unless given.
 */
export const openCounters = async (
  urls: readonly string[],
  kind: LogKind,
  replyMs?: number,
): Promise<Counters | undefined> => {
  const url = kind === 'redis' ? urls.find((one) => one.startsWith('redis')) : undefined;
  if (url === undefined) return undefined;
  return (await import('./redis/counters.ts')).openRedisCounters({
    url,
    ...(replyMs === undefined ? {} : { replyMs }),
  });
};

const isAway = (error: unknown): error is LogError =>
  error instanceof LogError && error.code === 'log_unavailable';

/** `work`, or a rejection as soon as `signal` aborts; a log that comes too late is closed. */
const untilAborted = (work: Promise<Look>, signal: AbortSignal): Promise<Look> =>
  new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work
      .then((look) => {
        if (signal.aborted) return look.chosen?.log.close();
        return resolve(look);
      })
      .catch(reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });

/**
 * Opens the event log by the rule of the fallback (docs/adr/0012-choosing-a-log.md): without a memory the first reachable
 * log that has an identity, else the first reachable one, waiting until one is; with a memory only the log of that
 * identity. When that cannot be reached, the result is at once a gate (`log_unavailable`) behind which it is waited for,
 * so that reads are served.
 *
 * @throws {LogError} for a log that can be reached and not be used (`log_failed` when it is locked, `log_corrupt`): the
 *   operator must know, so it is never fallen back from.
 * @throws the reason of `signal`, when it aborts before a log was chosen.
 */
export const openLog = async (options: OpenLogOptions): Promise<OpenedLog> => {
  const { logger, memory, acceptLog, node } = options;
  const candidates = options.urls.map((url) => candidateOf(url, options));
  const wanted = acceptLog ?? memory?.logId ?? null;

  const choose = async (
    opened: Set<EventLog>,
    kind: LogKind | undefined,
    signal: AbortSignal,
  ): Promise<Look> => {
    const open = async (candidate: Candidate): Promise<EventLog> => {
      const log = await candidate.open();
      opened.add(log);
      return log;
    };
    const reasons: string[] = [];
    let firstEmpty: { readonly candidate: Candidate; readonly log: EventLog | undefined } | undefined;
    for (const candidate of candidates) {
      const { name } = candidate;
      signal.throwIfAborted();
      try {
        const log = candidate.exists() ? await open(candidate) : undefined;
        const logId = log === undefined ? undefined : await readIdentity(log);
        if (log === undefined || logId === undefined) {
          firstEmpty ??= { candidate, log };
          reasons.push(`${name} is empty`);
        } else if (wanted !== null && logId !== wanted) {
          reasons.push(`${name} has the history ${logId} (start with --accept-log ${logId} to take it)`);
        } else if (kind !== undefined && log.kind !== kind) {
          reasons.push(`${name} has it in another kind of log (restart this node to take it)`);
        } else {
          logger.info({ log: name, logId }, 'event log chosen');
          return { chosen: { log, logId, reached: Promise.resolve() } };
        }
      } catch (error) {
        if (!isAway(error)) throw error;
        reasons.push(`${name} cannot be reached (${error.message})`);
      }
    }
    if (wanted === null && firstEmpty !== undefined) {
      const { candidate } = firstEmpty;
      try {
        const log = firstEmpty.log ?? (await open(candidate));
        const logId = await establishIdentity(log, node);
        logger.info({ log: candidate.name, logId }, 'event log chosen, which was empty');
        return { chosen: { log, logId, reached: Promise.resolve() } };
      } catch (error) {
        if (!isAway(error)) throw error;
        reasons.push(`${candidate.name} was lost (${error.message})`);
      }
    }
    const remembered = wanted === null ? '' : `this node is of the log ${wanted}; `;
    return { chosen: undefined, why: `waiting for the event log: ${remembered}${reasons.join('; ')}` };
  };

  /** One look at the candidates in order. Whatever comes of it, nothing but the chosen log stays open. */
  const look = async (kind: LogKind | undefined, signal: AbortSignal): Promise<Look> => {
    const opened = new Set<EventLog>();
    let kept: EventLog | undefined;
    try {
      const result = await choose(opened, kind, signal);
      kept = result.chosen?.log;
      return result;
    } finally {
      const others = [...opened].filter((log) => log !== kept);
      for (const closed of await Promise.allSettled(others.map((log) => log.close()))) {
        if (closed.status === 'rejected') logger.warn({ error: closed.reason }, 'a log was not closed');
      }
    }
  };

  let told = '';
  const tell = (why: string): void => {
    if (why !== told) logger.warn({ wanted }, why);
    told = why;
  };

  const wait = async (signal: AbortSignal, kind?: LogKind): Promise<OpenedLog> => {
    for (let pauseMs = firstRetryMs; ; pauseMs = Math.min(pauseMs * 2, maxRetryMs)) {
      await delay(pauseMs, undefined, { signal });
      try {
        const found = await untilAborted(look(kind, signal), signal);
        if (found.chosen !== undefined) return found.chosen;
        tell(found.why);
      } catch (error) {
        // Reads are being served meanwhile: that is worth more than an early end.
        if (kind === undefined || signal.aborted) throw error;
        tell(`waiting for the event log: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };

  const first = await untilAborted(look(undefined, options.signal), options.signal);
  if (first.chosen !== undefined) return first.chosen;
  tell(first.why);
  if (memory === null || wanted !== memory.logId) return wait(options.signal);
  const gated = createGatedLog(memory.kind, async (closing) => {
    const { log } = await wait(AbortSignal.any([options.signal, closing]), memory.kind);
    return log;
  });
  return { log: gated, logId: memory.logId, reached: gated.opened };
};
