import { randomUUID } from 'node:crypto';
import test from 'ava';
import { openRedisLog } from '../../src/log/redis.ts';
import { openRedisServer, type RedisServer, redisInstalled } from '../support/redis-server.ts';
import { skipped } from '../support/skip.ts';
import { contractSuite } from './contract.ts';

let server: RedisServer | undefined;

test.before(async () => {
  if (redisInstalled) server = await openRedisServer();
});

test.after.always(async () => {
  await server?.close();
});

contractSuite(
  'redis',
  async (t) => {
    if (server === undefined) {
      skipped(t, t.title, 'redis-server is not installed');
      return undefined;
    }
    const options = { url: server.url, prefix: `test-${randomUUID()}:` };
    const log = await openRedisLog(options);
    let newest = log;
    return {
      log,
      reopen: async () => {
        await newest.close();
        newest = await openRedisLog(options);
        return newest;
      },
      close: async () => {
        await log.close();
        await newest.close();
      },
    };
  },
  { fresh: true, hidesTruncatedFromAll: true, scavenges: true, appendsToSeveral: true },
);
