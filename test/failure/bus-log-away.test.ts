import test, { type ExecutionContext } from 'ava';
import { redisForTest } from '../support/redis-server.ts';
import { request, until } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import { openFaultProxy } from '../support/tcp-proxy.ts';
import type { Frame } from '../support/ws-client.ts';
import { fencingOf, wholeRedisLog } from './bus-fence.ts';
import { findingsOf } from './bus-record.ts';
import {
  consumerOf,
  createGroup,
  deliveriesOf,
  drawn,
  figuresOf,
  nodeIdOf,
  ownerOf,
  progressOf,
  publishAll,
  publishedOf,
  settledAll,
  startNode,
  startWorker,
  viewOf,
} from './bus-rounds.ts';
import { random } from './hub-rounds.ts';

/** 1,500 messages in the suite and the log killed twice; NEXUS_LONG=1 makes it 50,000 and 20 times. */
const count = isLong ? 50_000 : 1_500;
const kills = isLong ? 20 : 2;
const keys = 100;
const seed = Number(process.env.NEXUS_TEST_SEED ?? 5);
const group = 'orders';
const topic = 'orders.eu';
const settings = { topic, order: 'key', ackWaitMs: 600_000, maxDeliver: 100, maxInFlight: 1_000 };

const codeOf = (answer: { readonly code?: unknown }): string => String(answer.code);

test.serial(
  'the owner is cut off from the log › another takes over, the one that is cut off refuses, and heals with the log',
  async (t) => {
    t.timeout(120_000);
    const redis = await redisForTest(t);
    if (redis === undefined) return;
    const proxies = await Promise.all(
      [1, 2].map(async (seedOf) => {
        const proxy = await openFaultProxy({ target: redis, seed: seedOf });
        t.teardown(() => proxy.close());
        return proxy;
      }),
    );
    const nodes = await Promise.all(
      proxies.map(({ port }, index) => startNode(t, `n${index}`, `redis://127.0.0.1:${port}`)),
    );
    await createGroup(nodes[0]?.hub.url ?? '', group, settings);
    const { served, other } = await ownerOf(nodes, group);
    const proxy = proxies[nodes.indexOf(served)];
    const otherId = await nodeIdOf(other.hub.url);
    const old = await consumerOf(t, served.hub.url, group, 4);
    const before = await publishedOf(served.hub.url, topic, 6);
    const held = await deliveriesOf(old, 4);
    const [d1, d2, d3, d4] = held.map(({ delivery }) => String(delivery));
    t.like(await old.ask({ type: 'ack', delivery: d1, durable: true }), { type: 'done' });
    const [fifth] = await deliveriesOf(old, 1);

    proxy?.pause();
    // Taken while its lease lasts: a dead letter that cannot be recorded until another serves, and must not be then.
    const dying = await old.ask({ type: 'term', delivery: d4, reason: 'by a consumer of the former owner' });
    await until(
      () => viewOf(other.hub.url, group),
      (view) => view.owner === otherId && view.lagEvents !== null,
    );
    for (const frame of [
      { type: 'ack', delivery: d2 },
      { type: 'nak', delivery: d3 },
      { type: 'term', delivery: fifth?.delivery },
    ]) {
      const answer = await old.ask(frame);
      t.is(codeOf(answer), 'not_owner', JSON.stringify(answer));
    }
    const refused = await request(served.hub.url, 'POST', `/subscriptions/${group}/pull`, {
      body: { max: 1 },
    });
    t.is(refused.status, 503);
    t.is(refused.body.code, 'not_owner');
    t.regex(refused.headers.get('retry-after') ?? '', /^[1-9]\d*$/);

    const next = await consumerOf(t, other.hub.url, group, 100);
    const again = await deliveriesOf(next, 5);
    t.deepEqual(
      again.map(({ messageId }) => String(messageId)).sort(),
      before.filter((id) => id !== held[0]?.messageId).sort(),
      'everything but what was durably acknowledged',
    );
    for (const { delivery } of again)
      t.like(await next.ask({ type: 'ack', delivery, durable: true }), { type: 'done' });
    await next.close();

    proxy?.resume();
    const last = await publishedOf(other.hub.url, topic, 3);
    const through: Frame[] = [];
    while (through.length < 3) {
      // What the cut-off one has given it before, in place of the dead letter, is not looked at.
      through.push(await old.waitForMessage(({ messageId }) => last.includes(String(messageId))));
    }
    t.deepEqual(
      through.map(({ messageId }) => String(messageId)),
      last,
      'its clients are served through the other',
    );
    const late = await old.ask({ type: 'ack', delivery: d2 });
    t.is(codeOf(late), 'stale_delivery');
    for (const { delivery } of through)
      t.like(await old.ask({ type: 'ack', delivery, durable: true }), { type: 'done' });
    t.like(await settledAll(served.hub.url, group), { owner: otherId, deadLetters: 0 });
    const { faults, owners, letters } = fencingOf(await wholeRedisLog(redis.url), group);
    t.log(`term of the owner that was cut off: ${String(dying.type)}`);
    t.deepEqual(faults, []);
    t.is(letters, 0);
    t.true(owners.length >= 2, owners.join(' '));
    for (const { hub } of nodes) t.notRegex(hub.stderr(), /"level":"(error|fatal)"/);
  },
);

/** The one node stays the owner, whose deliveries are as good when the log is back as they were before. */
const losesItsLog = async (t: ExecutionContext): Promise<void> => {
  t.timeout(30 * 60_000);
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const draw = random(seed);
  const node = await startNode(t, 'hub', redis.url);
  await createGroup(node.hub.url, group, settings);
  const options = { group, max: 64, hubs: [node.file], workMs: 4, durableEvery: 20 };
  const workers = await Promise.all([1, 2].map(() => startWorker(t, options)));
  const startedMs = performance.now();
  const publishing = publishAll([node.file], { topic, from: 0, count, keys, window: 64 });
  const reached = progressOf(workers, count);
  for (const share of drawn(kills, () => draw() * 0.8)) {
    await reached(share);
    await redis.kill();
    // Until the hub knows, so that it has been without its log; now and then for longer than its lease.
    await until(
      () => request(node.hub.url, 'GET', '/health'),
      ({ body }) => body.status === 'degraded',
    );
    if (draw() < 0.5) {
      await until(
        () =>
          request(node.hub.url, 'POST', `/subscriptions/${group}/ack`, { body: { deliveries: ['none'] } }),
        ({ body }) => body.code === 'not_owner',
      );
    }
    await redis.start();
  }
  const view = await settledAll(node.hub.url, group, await publishing.done);
  const seconds = (performance.now() - startedMs) / 1_000;
  for (const worker of workers) await worker.kill();

  const lives = (await Promise.all(workers.map((worker) => worker.lives()))).flat();
  const found = findingsOf({ lives, handovers: [], published: publishing.published });
  const { faults, owners } = fencingOf(await wholeRedisLog(redis.url), group);
  t.log(figuresOf(found, { seed, count, keys, workers: workers.length, seconds }));
  t.log(`killed the log ${kills} times`);
  t.deepEqual([...found.faults.slice(0, 5), ...faults], []);
  t.is(found.again, 0, 'nobody lost a delivery');
  t.is(owners.length, 1, owners.join(' '));
  t.is(view.deadLetters, 0);
  t.is(await node.hub.kill('SIGTERM'), 0);
  t.notRegex(node.hub.stderr(), /"level":"(error|fatal)"/);
};

test.serial(
  'the log is killed and comes back › one hub goes on by itself with what it had delivered, and nothing comes twice',
  losesItsLog,
);
