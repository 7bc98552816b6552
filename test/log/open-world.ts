import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { asStreamId, type LogEvent, type NewEvent } from '../../domain/event.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { openEventStoreDbLog } from '../../src/log/eventstoredb.ts';
import { establishIdentity } from '../../src/log/identity.ts';
import { type OpenLogOptions, openLog } from '../../src/log/open.ts';
import { createLogger } from '../../src/logger.ts';
import { type EsdbServer, startEsdbServer } from '../support/esdb-server.ts';

export const fails = (error: unknown): never => {
  throw error;
};

export const stream = asStreamId('thing-1');

export const someEvent = (type = 'ThingHappened', data: unknown = {}): NewEvent => {
  const id = randomUUID();
  return {
    id,
    type,
    data,
    metadata: { actor: 'system', correlationId: id, causationId: null, node: 'test', schema: 1 },
  };
};

/** A folder that is removed with the test. */
export const folderFor = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-open-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

export const esdbFor = async (t: ExecutionContext): Promise<EsdbServer> => {
  const server = await startEsdbServer();
  t.teardown(() => server.stop());
  return server;
};

/** A port of this machine that nobody listens on. */
export const closedPort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
};

export const openFolder = (folder: string): Promise<EventLog> =>
  openEmbeddedLog({ directory: join(folder, 'log'), onFailure: fails });

/** Gives the log an identity, as an earlier start of a node did. */
export const identify = async (opening: Promise<EventLog>): Promise<string> => {
  const log = await opening;
  try {
    return await establishIdentity(log, 'earlier');
  } finally {
    await log.close();
  }
};

export const identifyFolder = (folder: string): Promise<string> => identify(openFolder(folder));
export const identifyEsdb = ({ url }: EsdbServer): Promise<string> => identify(openEventStoreDbLog({ url }));

/** What openLog says while it looks for a log, as lines of JSON, level debug and above. */
export const createLines = () => {
  const written: string[] = [];
  const news = new EventEmitter();
  const logger = createLogger('debug', {
    write: (line) => {
      written.push(line);
      news.emit('line');
    },
  });
  return {
    logger,
    all: (): readonly string[] => written,
    text: (): string => written.join(''),
    /** Resolves once so many lines fit. */
    saw: async (pattern: RegExp, count = 1): Promise<string> => {
      for (;;) {
        const fitting = written.filter((line) => pattern.test(line));
        if (fitting.length >= count) return fitting.at(-1) ?? '';
        await new Promise((resolve) => news.once('line', resolve));
      }
    },
  };
};

export type Lines = ReturnType<typeof createLines>;

/** Begins to open the log by the rule; what comes of it is closed with the test. */
export const begin = (
  t: ExecutionContext,
  urls: readonly string[],
  options: Partial<Omit<OpenLogOptions, 'urls' | 'signal'>> = {},
) => {
  const lines = createLines();
  const stopping = new AbortController();
  const opening = openLog({
    urls,
    memory: null,
    acceptLog: null,
    node: 'node-1',
    logger: lines.logger,
    onFailure: fails,
    signal: stopping.signal,
    ...options,
  });
  t.teardown(async () => {
    stopping.abort();
    await opening.then(({ log }) => log.close()).catch(() => undefined);
  });
  return { opening, lines, stop: () => stopping.abort() };
};

/** Resolves once the gate in front of a log that has an identity has opened. */
export const opened = async (log: EventLog): Promise<void> => {
  for await (const _ of log.watch({ after: log.start, signal: new AbortController().signal })) return;
};

/** The next event of the log's `thing-1`, seen by a watch from the start. */
export const watchThing = async (log: EventLog, signal: AbortSignal): Promise<LogEvent | undefined> => {
  for await (const batch of log.watch({ after: log.start, signal })) {
    const found = batch.find((event) => event.stream === stream);
    if (found !== undefined) return found;
  }
  return undefined;
};
