import { Redis } from 'ioredis';
import { LogError } from '../event-log.ts';
import type { Limits } from './limits.ts';

/** A connection that has passed its handshake; `generation` names it among those that came before and come after. */
export type Ready = { readonly redis: Redis; readonly generation: number };

/** One connection to the server that comes back by itself. Nothing is resent: what was in flight is rejected. */
export type Link = {
  readonly up: boolean;
  /** Why it is down, for a message; empty while it never was. */
  readonly reason: string;
  current(): Ready | undefined;
  /**
   * Waits until the link is up, `waitMs` at most, and not at all once it has been down for the grace time.
   * @throws {LogError} `log_unavailable`, `log_closed`.
   */
  ready(waitMs: number): Promise<Ready>;
  /** Resolves when the link is up, has failed for the first time, or was closed. Never rejects. */
  readonly settled: Promise<void>;
  /** True once a call that finds the link down need not wait any more. */
  readonly lostForGood: boolean;
  /** Drops the connection `generation`, if it still is the one; the next comes after a pause. */
  reset(generation: number, reason: string): void;
  close(): void;
};

export type LinkOptions = {
  readonly url: string;
  /** Host and port without credentials. */
  readonly server: string;
  readonly name: string;
  readonly limits: Limits;
  /** How long the server may block a command of this link; 0 for a link without blocking commands. */
  readonly blockMs: number;
  /** Runs on each new connection before it is used; a rejection drops the connection and is the reason. */
  readonly handshake: (redis: Redis) => Promise<void>;
  readonly onUp?: () => void;
  readonly onDown?: (reason: string) => void;
};

/** Id and address of a connection as the server knows it, or undefined when it does not say. */
const identify = async (redis: Redis): Promise<{ id: string; address: string } | undefined> => {
  try {
    const info = String(await redis.client('INFO'));
    const id = /(?:^| )id=(\d+)/.exec(info)?.[1];
    const address = /(?:^| )addr=(\S+)/.exec(info)?.[1];
    return id === undefined || address === undefined ? undefined : { id, address };
  } catch {
    return undefined;
  }
};

export const openLink = (options: LinkOptions): Link => {
  const { limits, server, blockMs } = options;
  const waiters = new Set<() => void>();
  const firstOutcome = Promise.withResolvers<void>();
  let generation = 0;
  let up = false;
  let met = false;
  let closed = false;
  let failures = 0;
  let reason = '';
  /** What the connection itself said went wrong, such as a refused password: commands only say that it is gone. */
  let said = '';
  let downSince = performance.now();
  let previous: { id: string; address: string } | undefined;
  let revival: NodeJS.Timeout | undefined;

  const pauseMs = () => Math.min(limits.retryMs.first * 2 ** Math.min(failures++, 10), limits.retryMs.most);

  const redis = new Redis(options.url, {
    lazyConnect: true,
    disableClientInfo: true,
    // The handshake asks for what it needs: a server that is loading its data fails it and is asked again. It also gives
    // the name, since ioredis 5.11 takes a connection that dies while it is being named for a ready one, for ever.
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // Without this a command whose connection was lost stays pending for ever.
    maxRetriesPerRequest: 0,
    connectTimeout: limits.connectMs,
    commandTimeout: limits.replyMs + blockMs,
    socketTimeout: limits.replyMs + blockMs + 100,
    keepAlive: 10_000,
    noDelay: true,
    retryStrategy: pauseMs,
  });

  const wake = () => {
    for (const waiter of [...waiters]) waiter();
  };
  const unavailable = (): LogError =>
    closed
      ? new LogError('log_closed', 'the log was closed')
      : new LogError(
          'log_unavailable',
          `the Redis at ${server} cannot be used: ${reason || 'no connection yet'}`,
          {
            server,
          },
        );
  const lostForGood = () => !up && performance.now() - downSince > limits.graceMs;

  const down = (why: string) => {
    if (why !== '') reason = why;
    if (up) {
      up = false;
      downSince = performance.now();
      options.onDown?.(reason);
    } else if (!met) {
      // Nothing was lost a moment ago: a call need not wait for a server that was never reached.
      downSince = Number.NEGATIVE_INFINITY;
    }
  };

  // `end()` waits for the other side, which may be stopped: only destroying frees what is in flight now.
  const drop = (why: string) => {
    down(why);
    reason = why;
    redis.stream?.destroy();
  };

  const greet = async (mine: number): Promise<void> => {
    try {
      const self = await identify(redis);
      // What the server has not yet read from the connection that was given up must not run behind its second try.
      if (previous !== undefined) {
        await redis.client('KILL', 'ID', previous.id, 'ADDR', previous.address).catch(() => undefined);
      }
      previous = self;
      await redis.client('SETNAME', options.name);
      await options.handshake(redis);
    } catch (error) {
      if (mine !== generation) return;
      drop(said !== '' ? said : error instanceof Error ? error.message : String(error));
      firstOutcome.resolve();
      return;
    }
    if (mine !== generation || closed || redis.status !== 'ready') return;
    up = true;
    met = true;
    failures = 0;
    firstOutcome.resolve();
    wake();
    options.onUp?.();
  };

  redis.on('error', (error: Error) => {
    said = error.message;
    reason = said;
  });
  redis.on('connect', () => {
    said = '';
  });
  redis.on('ready', () => {
    generation++;
    void greet(generation);
  });
  redis.on('close', () => {
    generation++;
    // ioredis 5.11 leaves the timer of the lost socket running, which would then destroy the next one.
    clearTimeout(Reflect.get(redis, 'socketTimeoutTimer'));
    Reflect.set(redis, 'socketTimeoutTimer', undefined);
    down('');
    firstOutcome.resolve();
  });
  // ioredis gives up by itself when no socket could be made at all.
  redis.on('end', () => {
    if (closed) return;
    revival = setTimeout(connect, pauseMs());
  });
  const connect = () => {
    redis.connect().catch(() => undefined);
  };
  connect();

  const current = (): Ready | undefined => (up ? { redis, generation } : undefined);

  return {
    get up() {
      return up;
    },
    get reason() {
      return reason;
    },
    get lostForGood() {
      return lostForGood();
    },
    settled: firstOutcome.promise,
    current,
    ready: async (waitMs) => {
      const now = current();
      if (now !== undefined) return now;
      const untilMs = Math.min(waitMs, limits.graceMs - (performance.now() - downSince));
      if (closed || untilMs <= 0) throw unavailable();
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, untilMs);
      waiters.add(resolve);
      try {
        await promise;
      } finally {
        clearTimeout(timer);
        waiters.delete(resolve);
      }
      const later = current();
      if (later === undefined) throw unavailable();
      return later;
    },
    reset: (which, why) => {
      if (which === generation && up) drop(why);
    },
    close: () => {
      if (closed) return;
      closed = true;
      generation++;
      up = false;
      clearTimeout(revival);
      redis.disconnect();
      redis.stream?.destroy();
      firstOutcome.resolve();
      wake();
    },
  };
};
