import type { Counters } from '../counters.ts';
import { LogError } from '../event-log.ts';
import { defaultLimits } from './limits.ts';
import { openLink } from './link.ts';

/** A counter that has no end (nobody but an operator makes one) gets one. */
const source = `
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[2])
  redis.call('PEXPIRE', KEYS[1], left)
end
return { count, left }
`;

export type CountersOptions = {
  /** As of the log. */
  readonly url: string;
  /** Stands before every key. */
  readonly prefix?: string;
  /** For one answer. */
  readonly replyMs?: number;
};

/** Opens counters in the Redis of the log, on a connection of their own. Resolves also when it cannot be reached. */
export const openRedisCounters = async (options: CountersOptions): Promise<Counters> => {
  const { url, prefix = 'nexus:limit:', replyMs = 50 } = options;
  const server = new URL(url).host;
  const link = openLink({
    url,
    server,
    name: 'nexus-limits',
    limits: { ...defaultLimits, replyMs },
    blockMs: 0,
    handshake: async () => {},
  });
  await link.settled;
  const away = (why: string): LogError =>
    new LogError('log_unavailable', `the counters in the Redis at ${server} cannot be used: ${why}`, {
      server,
    });
  return {
    add: async (key, by, windowMs) => {
      const ready = link.current();
      if (ready === undefined) throw away(link.reason || 'no connection yet');
      const answer: unknown = await ready.redis.eval(source, 1, prefix + key, by, windowMs);
      if (!Array.isArray(answer)) throw away('the answer is no list');
      const [count, leftMs]: unknown[] = answer;
      if (typeof count !== 'number' || typeof leftMs !== 'number') throw away('the answer is no numbers');
      return { count, leftMs };
    },
    close: () => link.close(),
  };
};
