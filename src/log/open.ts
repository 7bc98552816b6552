import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../logger.ts';
import { openEmbeddedLog } from './embedded.ts';
import { type EventLog, LogError, type LogKind } from './event-log.ts';
import { openEventStoreDbLog } from './eventstoredb.ts';
import { createGatedLog } from './gated.ts';
import { establishIdentity, readIdentity } from './identity.ts';
import { openRedisLog } from './redis.ts';

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
  readonly signal: AbortSignal;
};

export type OpenedLog = { readonly log: EventLog; readonly logId: string };

type Candidate = {
  readonly name: string;
  open(): Promise<EventLog>;
  exists(): boolean;
  close(): Promise<void>;
};

const firstRetryMs = 200;
const maxRetryMs = 2_000;

/** A URL without what could be secret in it. */
const nameOf = (url: string): string => {
  if (url.startsWith('file:') || !URL.canParse(url)) return url.split('@').at(-1) ?? url;
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
};

const candidateOf = (url: string, options: OpenLogOptions): Candidate => {
  const { logger, onFailure } = options;
  const name = nameOf(url);
  const kept = (open: () => Promise<EventLog>, exists = () => true): Candidate => {
    let opening: Promise<EventLog> | undefined;
    return {
      name,
      exists,
      open: () => {
        opening ??= open().catch((error: unknown) => {
          opening = undefined;
          throw error;
        });
        return opening;
      },
      close: async () => {
        await (await opening)?.close();
        opening = undefined;
      },
    };
  };
  if (url.startsWith('file:')) {
    const directory = join(url.slice('file:'.length), 'log');
    return kept(
      () => openEmbeddedLog({ directory, onFailure }),
      () => existsSync(directory),
    );
  }
  if (url.startsWith('redis')) return kept(() => openRedisLog({ url, logger }));
  return kept(() => openEventStoreDbLog({ url, logger }));
};

type Probed = {
  readonly candidate: Candidate;
  readonly log: EventLog | undefined;
  readonly logId: string | undefined;
};

/** Undefined when it cannot be reached. A folder that does not exist is reachable, and stays unmade until it is chosen. */
const probe = async (candidate: Candidate, logger: Logger): Promise<Probed | undefined> => {
  if (!candidate.exists()) return { candidate, log: undefined, logId: undefined };
  try {
    const log = await candidate.open();
    return { candidate, log, logId: await readIdentity(log) };
  } catch (error) {
    // A corrupt or locked log is not one to fall back from: the operator must know.
    if (!(error instanceof LogError) || error.code !== 'log_unavailable') throw error;
    logger.debug({ log: candidate.name, reason: error.message }, 'the event log cannot be reached');
    return undefined;
  }
};

/** The one that this node may use among those that were reached, or undefined. */
const choose = (probed: readonly Probed[], wanted: string | null): Probed | undefined =>
  wanted === null
    ? (probed.find(({ logId }) => logId !== undefined) ?? probed[0])
    : probed.find(({ logId }) => logId === wanted);

/** Why none was chosen: one sentence, logged again only when it changes. */
const whyNone = (
  candidates: readonly Candidate[],
  probed: readonly Probed[],
  wanted: string | null,
): string => {
  const reasons = candidates.map((candidate) => {
    const found = probed.find((one) => one.candidate === candidate);
    if (found === undefined) return `${candidate.name} cannot be reached`;
    if (found.logId === undefined) return `${candidate.name} is empty`;
    return `${candidate.name} has the history ${found.logId} (start with --accept-log ${found.logId} to take it)`;
  });
  const remembered = wanted === null ? '' : `this node remembers the log ${wanted}; `;
  return `waiting for the event log: ${remembered}${reasons.join('; ')}`;
};

/**
 * Opens the event log by the rule of the fallback: without a memory the first reachable log that has an identity, else
 * the first reachable one (waiting until one is); with a memory only the log of that identity, for which the result waits
 * behind a gate (`log_unavailable`) while reads go on.
 */
export const openLog = async (options: OpenLogOptions): Promise<OpenedLog> => {
  const { logger, memory, node, signal } = options;
  const candidates = options.urls.map((url) => candidateOf(url, options));
  const wanted = options.acceptLog ?? memory?.logId ?? null;

  let told = '';
  const look = async (): Promise<OpenedLog | undefined> => {
    const probed: Probed[] = [];
    for (const candidate of candidates) {
      const result = await probe(candidate, logger);
      if (result !== undefined) probed.push(result);
    }
    const chosen = choose(probed, wanted);
    if (chosen === undefined) {
      const why = whyNone(candidates, probed, wanted);
      if (why !== told) logger.warn({ remembered: wanted }, why);
      told = why;
      return undefined;
    }
    const log = chosen.log ?? (await chosen.candidate.open());
    const logId = chosen.logId ?? (await establishIdentity(log, node));
    for (const other of candidates) {
      if (other !== chosen.candidate) await other.close();
    }
    logger.info({ log: chosen.candidate.name, logId }, 'event log chosen');
    return { log, logId };
  };

  const wait = async (): Promise<OpenedLog> => {
    for (let pauseMs = firstRetryMs; ; pauseMs = Math.min(pauseMs * 2, maxRetryMs)) {
      await delay(pauseMs, undefined, { signal });
      const found = await look();
      if (found !== undefined) return found;
    }
  };

  const first = await look();
  if (first !== undefined) return first;
  if (memory === null || wanted === null) return wait();
  const gated = createGatedLog(
    memory.kind,
    wait().then(({ log }) => log),
  );
  return { log: gated, logId: wanted };
};
