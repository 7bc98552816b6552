import type { EventLog } from './event-log.ts';
import { LogError } from './event-log.ts';
import { createAppender } from './eventstoredb/append.ts';
import { openClient } from './eventstoredb/client.ts';
import { start } from './eventstoredb/codec.ts';
import { closedError } from './eventstoredb/fault.ts';
import { createFreshness } from './eventstoredb/freshness.ts';
import { createLookback } from './eventstoredb/lookback.ts';
import { createReader } from './eventstoredb/read.ts';
import {
  createHealth,
  defaultLimits,
  type Limits,
  type Logger,
  type Session,
} from './eventstoredb/session.ts';
import { createTruncator } from './eventstoredb/truncate.ts';
import { watchLog } from './eventstoredb/watch.ts';

export type EventStoreDbLogOptions = Partial<Limits> & {
  /** `esdb://…` or `esdb+discover://…`, with user and password in it; the user needs to read `$all`. */
  readonly url: string;
  readonly logger?: Logger;
};

/** How often a server that cannot be reached is asked again while nobody calls. */
const probeMs = 1_000;

/**
 * The event log in an EventStoreDB, 22.10 or later.
 *
 * Resolves also while the server cannot be reached: `reachable` is false then, calls fail as `log_unavailable` within
 * their limits, and everything goes on by itself once it is back. `readAll` and `watch` still show events that were
 * truncated until the server has scavenged; `scavenge` frees nothing, since the server does that on its own schedule.
 *
 * @throws {LogError} `invalid` when `url` is no connection string.
 */
export const openEventStoreDbLog = async (options: EventStoreDbLogOptions): Promise<EventLog> => {
  const { url, logger = { warn: () => undefined }, ...given } = options;
  const limits: Limits = { ...defaultLimits, ...given };
  const closed = new AbortController();
  const health = createHealth(logger);
  const session: Session = {
    client: connect(url, closed.signal),
    limits,
    logger,
    closed: closed.signal,
    health,
  };
  const append = createAppender(session, createFreshness(), createLookback(session));
  const reader = createReader(session);
  const truncator = createTruncator(session);

  const inFlight = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;
  /** Runs a call, unless the log is closed, and lets `close` wait for it. */
  const run = async <T>(call: () => Promise<T>): Promise<T> => {
    if (closing !== undefined) throw closedError();
    const running = call();
    const settled = running.then(
      () => undefined,
      () => undefined,
    );
    inFlight.add(settled);
    try {
      return await running;
    } finally {
      inFlight.delete(settled);
    }
  };

  let isProbing = false;
  const probe = async (): Promise<void> => {
    if (isProbing) return;
    isProbing = true;
    try {
      const from = { backwards: true, limit: 1 } as const;
      await session.client.readAll(from, limits.silenceMs).then(health.works, health.fails);
    } finally {
      isProbing = false;
    }
  };
  await probe();
  const probing = setInterval(() => {
    if (!health.reachable) void probe();
  }, probeMs);
  probing.unref();

  const finish = async (): Promise<void> => {
    clearInterval(probing);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limits.closeMs);
    });
    await Promise.race([Promise.all(inFlight), late]);
    clearTimeout(timer);
    closed.abort();
    session.client.close();
  };

  return {
    kind: 'eventstoredb',
    durability: {
      durable: true,
      note: 'EventStoreDB answers an append once a quorum of its nodes has flushed it to disk (unless they run with unsafe-disable-flush-to-disk)',
    },
    start,
    get reachable() {
      return health.reachable;
    },
    append: (stream, events, expected) => run(() => append(stream, events, expected)),
    readStream: (stream, range) => run(() => reader.readStream(stream, range)),
    readAll: (range) => run(() => reader.readAll(range)),
    position: () => run(reader.position),
    head: (stream) => run(() => truncator.head(stream)),
    truncate: (stream, before) => run(() => truncator.truncate(stream, before)),
    watch: (range) => watchLog(session, range),
    scavenge: () => run(async () => ({ events: 0, bytes: 0 })),
    close: () => {
      closing ??= finish();
      return closing;
    },
  };
};

const connect = (url: string, signal: AbortSignal) => {
  try {
    return openClient(url, signal);
  } catch (cause) {
    throw new LogError('invalid', 'the URL of EventStoreDB is no connection string', {}, cause);
  }
};
