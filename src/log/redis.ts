import type { Redis } from 'ioredis';
import { checkAppend, checkAppendAll, checkStream } from './encode.ts';
import { type Durability, type EventLog, LogError, type WatchOptions } from './event-log.ts';
import { createAppender } from './redis/appender.ts';
import { createCaller } from './redis/caller.ts';
import { readDurability, unreached } from './redis/durability.ts';
import { createHistory } from './redis/history.ts';
import { createKeys, positionOf, sequenceOf, startPosition } from './redis/keys.ts';
import { defaultLimits, type Limits } from './redis/limits.ts';
import { type Link, openLink } from './redis/link.ts';
import { createReader } from './redis/reader.ts';
import { createRetention } from './redis/retention.ts';
import { scripts } from './redis/scripts.ts';
import { follow } from './redis/watcher.ts';

export type RedisLogOptions = {
  /** `redis://` or `rediss://`, with user, password and number of the database where needed. Redis 6.2 or later. */
  readonly url: string;
  /** Stands before every key: logs with different prefixes share a server without touching each other. */
  readonly prefix?: string;
  readonly logger?: { warn(facts: object, message: string): void };
  readonly limits?: Partial<Limits>;
};

const serverOf = (url: string): string => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !['redis:', 'rediss:'].includes(parsed.protocol) || parsed.hostname === '') {
    throw new LogError('invalid', 'the URL of a Redis log is redis://HOST[:PORT][/DATABASE] or rediss://…');
  }
  return `${parsed.hostname}:${parsed.port || '6379'}`;
};

/**
 * Opens the event log in Redis Streams (docs/adr/0004-redis-log.md).
 *
 * Resolves also when the server cannot be reached: `reachable` is then false, calls reject with `log_unavailable` within
 * their limits, and the log goes on by itself when the server is there.
 *
 * @throws {LogError} `invalid` for a URL that is none.
 */
export const openRedisLog = async (options: RedisLogOptions): Promise<EventLog> => {
  const server = serverOf(options.url);
  const prefix = options.prefix ?? 'nexus:';
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const keys = createKeys(prefix);
  const history = createHistory(server);
  const closing = new AbortController();
  const watchers = new Set<Link>();
  let durability: Durability = unreached;
  let told = '';

  const warn = (reason: string) => {
    if (reason === told) return;
    told = reason;
    options.logger?.warn({ server, reason }, 'the event log in Redis cannot be reached');
  };

  const meet = async (redis: Redis): Promise<void> => {
    const known = history.known();
    const state = await redis.hmget(keys.meta, 'epoch', 'sequence');
    history.observe(known, state[0] ?? '', Number(state[1] ?? 0));
  };
  const teach = async (redis: Redis): Promise<void> => {
    await Promise.all(Object.values(scripts).map(({ source }) => redis.script('LOAD', source)));
  };

  const connect = (
    name: string,
    blockMs: number,
    handshake: (redis: Redis) => Promise<void>,
    onUp?: () => void,
  ) =>
    openLink({
      url: options.url,
      server,
      name: `nexus-${name}`,
      limits,
      blockMs,
      handshake,
      onUp: () => {
        told = '';
        onUp?.();
      },
      onDown: warn,
    });

  const writes = connect(
    'append',
    0,
    async (redis) => {
      await meet(redis);
      await teach(redis);
      durability = await readDurability(redis);
    },
    () => appender.resume(),
  );
  const reads = connect('read', 0, async (redis) => {
    await meet(redis);
    await teach(redis);
  });
  const appender = createAppender({ link: writes, history, keys, server, limits });
  const shared = { history, server, prefix, limits };
  const caller = createCaller({ link: reads, ...shared });
  const reader = createReader({ caller, history, keys, limits });
  const retention = createRetention(caller, keys, limits);

  const checkOpen = () => {
    if (closing.signal.aborted) throw new LogError('log_closed', 'the log was closed');
  };

  const watch = async function* ({ after, signal }: WatchOptions) {
    const sequence = sequenceOf(after);
    if (sequence === undefined) throw new LogError('invalid', 'after is no position of this log', { after });
    const either = AbortSignal.any([signal, closing.signal]);
    if (either.aborted) return;
    const link = connect('watch', limits.blockMs, meet);
    watchers.add(link);
    const end = () => link.close();
    either.addEventListener('abort', end, { once: true });
    try {
      yield* follow({
        link,
        history,
        keys,
        limits,
        server,
        after: sequence,
        signal: either,
        onTrouble: warn,
      });
    } finally {
      either.removeEventListener('abort', end);
      watchers.delete(link);
      link.close();
    }
  };

  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const settled = appender.close();
    closing.abort();
    await settled;
    for (const link of [writes, reads, ...watchers]) link.close();
  };

  await Promise.all([writes.settled, reads.settled]);
  return {
    kind: 'redis',
    get durability() {
      return durability;
    },
    start: startPosition,
    get reachable() {
      return writes.up && reads.up;
    },
    append: async (stream, events, expected) => {
      checkOpen();
      return appender.append(stream, checkAppend(stream, events, expected), expected);
    },
    appendAll: async (parts) => {
      checkOpen();
      return appender.appendAll(checkAppendAll(parts));
    },
    readStream: async (stream, read) => {
      checkOpen();
      checkStream(stream);
      return reader.readStream(stream, read);
    },
    readAll: async (read) => {
      checkOpen();
      return reader.readAll(read);
    },
    watch,
    head: async (stream) => {
      checkOpen();
      checkStream(stream);
      return reader.head(stream);
    },
    position: async () => {
      checkOpen();
      return positionOf(await reader.newest());
    },
    truncate: async (stream, before) => {
      checkOpen();
      checkStream(stream);
      await retention.truncate(stream, before);
    },
    scavenge: async (scavenge) => {
      checkOpen();
      return retention.scavenge(scavenge);
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
};
