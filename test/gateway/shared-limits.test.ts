import test from 'ava';
import { createReach, SharedWindows } from '../../src/gateway/limits/shared-windows.ts';
import type { Counted, Counters } from '../../src/log/counters.ts';
import { openCounters } from '../../src/log/open.ts';
import { createLogger } from '../../src/logger.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { call } from './client.ts';

const statusesOf = async (hub: Hub, count: number): Promise<readonly number[]> => {
  const answers = await Promise.all(Array.from({ length: count }, () => call(hub.url, 'GET', '/topics')));
  return answers.map(({ status }) => status);
};
const served = (statuses: readonly number[]): number => statuses.filter((status) => status === 200).length;
const told = (hub: Hub): number => hub.logged.filter(({ msg }) => msg.includes('shared budgets')).length;

test('on a Redis log › the nodes share a budget, and each counts by itself while Redis is away', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const options = { log: [redis.url], rateLimitMax: 20, rateLimitWindowSec: 3_600 };
  const [first, second] = [await openHub(options), await openHub(options)];
  t.teardown(() => Promise.all([first.close(), second.close()]));
  const both = (await Promise.all([statusesOf(first, 15), statusesOf(second, 15)])).flat();
  t.is(served(both), 20);
  t.is(both.filter((status) => status === 429).length, 10);
  t.is((await call(first.url, 'GET', '/topics')).headers['ratelimit-remaining'], '0');

  await redis.kill();
  // That this window has nothing left is known, so nobody is asked; of the invokes nothing is known.
  t.is(served(await statusesOf(second, 5)), 0);
  for (const hub of [first, second]) {
    const calls = await Promise.all(
      Array.from({ length: 30 }, () =>
        call(hub.url, 'POST', '/services/none/invoke', { json: { method: 'm' } }),
      ),
    );
    t.is(calls.filter(({ status }) => status === 404).length, 20, 'limited, not open');
    t.is(told(hub), 1, 'it says so once');
  }
});

test('openCounters › counts together in one Redis, begins a new window at the end of one, and waits 50 ms at most', async (t) => {
  const redis = await redisForTest(t, { appendonly: 'no' });
  if (redis === undefined) return;
  t.is(await openCounters([redis.url], 'embedded'), undefined);
  const open = async (replyMs?: number): Promise<Counters> => {
    const counters = await openCounters(['file:elsewhere', redis.url], 'redis', replyMs);
    if (counters === undefined) throw new Error('no counters');
    t.teardown(() => counters.close());
    return counters;
  };
  const [first, second] = [await open(10_000), await open(10_000)];
  t.is((await first.add('k', 5, 60_000)).count, 5);
  const { count, leftMs } = await second.add('k', 2, 60_000);
  t.is(count, 7);
  t.true(leftMs > 0 && leftMs <= 60_000);
  await first.add('short', 9, 1);
  await until(() => first.add('short', 1, 1).then((counted) => counted.count === 1));
  const hasty = await open();
  redis.pause();
  await t.throwsAsync(hasty.add('k', 1, 60_000));
  redis.resume();
});

/** Counters in this process that tell how often they were asked, and fail when told to. */
const countersHere = () => {
  const counts = new Map<string, number>();
  const here = {
    asked: 0,
    failing: false,
    add: async (key: string, by: number): Promise<Counted> => {
      here.asked++;
      if (here.failing) throw new Error('away');
      const count = (counts.get(key) ?? 0) + by;
      counts.set(key, count);
      return { count, leftMs: 3_600_000 };
    },
  };
  return here;
};

test('SharedWindows › takes a hundredth at once, shares it among those who wait, and gives out no more than there is', async (t) => {
  const counters = countersHere();
  const nodes = [new SharedWindows(10, counters), new SharedWindows(10, counters)] as const;
  const take = async (node: SharedWindows): Promise<boolean> =>
    node.takeNow('k', 1_000) !== undefined || (await node.ratelimiter('k', 0, 1_000, 1_000))[0] > 0;
  const taken = await Promise.all(
    Array.from({ length: 3_000 }, (_, index) => take(index % 2 === 0 ? nodes[0] : nodes[1])),
  );
  t.is(taken.filter(Boolean).length, 1_000);
  // A hundred parts of ten, and once for each node to learn that there are no more.
  t.true(counters.asked >= 100 && counters.asked <= 102, String(counters.asked));
});

test('createReach › after a failure asks once in a second, not once for each request', async (t) => {
  const counters = { ...countersHere(), close: () => {} };
  const reach = createReach(counters, createLogger('silent'));
  counters.failing = true;
  counters.add = async () => {
    counters.asked++;
    throw new Error('away');
  };
  for (let index = 0; index < 50; index++) await t.throwsAsync(reach.add('k', 1, 1_000));
  t.true(counters.asked <= 3, String(counters.asked));
});
