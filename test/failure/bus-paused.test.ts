import test, { type ExecutionContext } from 'ava';
import { redisForTest } from '../support/redis-server.ts';
import { type Answer, request, until } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import type { Frame } from '../support/ws-client.ts';
import { fencingOf, wholeRedisLog } from './bus-fence.ts';
import {
  consumerOf,
  createGroup,
  deliveriesOf,
  type Node,
  ownerOf,
  publishedOf,
  settledAll,
  startNode,
  viewOf,
} from './bus-rounds.ts';

/** One stop in the suite; NEXUS_LONG=1 makes it 10. */
const rounds = isLong ? 10 : 1;
const group = 'orders';
const topic = 'orders.eu';
const settings = { topic, ackWaitMs: 600_000, maxDeliver: 3, maxInFlight: 1_000 };

const idsOf = (frames: readonly Frame[]): readonly string[] =>
  frames.map(({ messageId }) => String(messageId)).sort();

const pulled = async (url: string, max: number): Promise<readonly string[]> => {
  const { body } = await request(url, 'POST', `/subscriptions/${group}/pull`, {
    body: { max, waitMs: 60_000 },
  });
  return (body.deliveries as readonly { readonly delivery: string }[]).map(({ delivery }) => delivery);
};

const settle = (url: string, how: string, delivery: string, more = {}): Promise<Answer> =>
  request(url, 'POST', `/subscriptions/${group}/${how}`, { body: { deliveries: [delivery], ...more } });

/** Stops the node that serves for longer than its lease, while its consumers go on settling what it gave them. */
const stopped = async (t: ExecutionContext, served: Node, other: Node): Promise<void> => {
  const old = await consumerOf(t, served.hub.url, group, 12);
  const first = await publishedOf(served.hub.url, topic, 18);
  const held = await deliveriesOf(old, 12);
  const byPull = await pulled(served.hub.url, 6);
  t.is(byPull.length, 6);
  // Two are done when the owner stops, and in no checkpoint yet.
  const done = held.slice(0, 2);
  for (const { delivery } of done) t.like(await old.ask({ type: 'ack', delivery }), { type: 'done' });
  process.kill(served.hub.pid, 'SIGSTOP');

  const [d1, d2, d3, d4, d5, d6] = held.slice(2).map(({ delivery }) => String(delivery));
  const late = [
    { type: 'ack', delivery: d1 },
    { type: 'ack', delivery: d2, durable: true },
    { type: 'nak', delivery: d3, delayMs: 0 },
    { type: 'term', delivery: d4, reason: 'by a consumer of the former owner' },
    { type: 'extend', delivery: d5 },
    { type: 'term', delivery: d6, durable: true },
  ].map((frame) => old.ask(frame));
  const [p1 = '', p2 = '', p3 = '', p4 = '', p5 = ''] = byPull;
  const lateByRest = [
    settle(served.hub.url, 'ack', p1),
    settle(served.hub.url, 'ack', p2, { durable: true }),
    settle(served.hub.url, 'nak', p3, { delayMs: 0 }),
    settle(served.hub.url, 'term', p4, { reason: 'by a consumer of the former owner' }),
    settle(served.hub.url, 'extend', p5),
  ];

  const otherId = await until(
    () => viewOf(other.hub.url, group),
    (view) => view.lagEvents !== null,
  ).then(({ owner }) => owner);
  const next = await consumerOf(t, other.hub.url, group, 100);
  const again = await deliveriesOf(next, 16);
  const unsettled = first.filter((id) => !done.some(({ messageId }) => messageId === id));
  const forgotten = idsOf(again).filter((id) => !unsettled.includes(id));
  const more = await publishedOf(other.hub.url, topic, 10);
  const rest = await deliveriesOf(next, 10 + forgotten.length);
  t.deepEqual(idsOf([...again, ...rest]), [...unsettled, ...forgotten, ...more].sort(), 'none is lost');
  for (const { delivery } of [...again, ...rest])
    t.like(await next.ask({ type: 'ack', delivery, durable: true }), { type: 'done' });
  const before = await settledAll(other.hub.url, group);

  process.kill(served.hub.pid, 'SIGCONT');
  for (const answer of await Promise.all(late)) {
    t.is(answer.type, 'error', JSON.stringify(answer));
    t.true(answer.code === 'stale_delivery' || answer.code === 'not_owner', String(answer.code));
  }
  for (const { status, body } of await Promise.all(lateByRest)) {
    if (status === 200) t.like(body, { done: 0 });
    else t.like(body, { code: 'not_owner' });
  }

  next.send({ type: 'unsubscribe', subscription: 's1' });
  await next.waitForType('unsubscribed');
  const last = await publishedOf(served.hub.url, topic, 5);
  const through = await deliveriesOf(old, 5);
  t.deepEqual(idsOf(through), [...last].sort(), 'the former owner serves its clients through the new one');
  for (const { delivery } of through) {
    const answer = await old.ask({ type: 'ack', delivery, durable: true });
    t.is(answer.type, 'done', JSON.stringify(answer) + served.hub.stderr() + other.hub.stderr());
  }
  const after = await settledAll(served.hub.url, group);
  t.like(after, { owner: otherId, deadLetters: before.deadLetters });
  await old.close();
  await next.close();
};

test('a node that is stopped past its lease › nothing that its consumers settle is taken when it wakes, and it gives up', async (t) => {
  t.timeout(10 * 60_000);
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const nodes = await Promise.all(['a', 'b'].map((name) => startNode(t, name, redis.url)));
  await createGroup(nodes[0]?.hub.url ?? '', group, settings);
  for (let round = 0; round < rounds; round++) {
    const { served, other } = await ownerOf(nodes, group);
    await stopped(t, served, other);
  }
  const { faults, owners, checkpoints, letters } = fencingOf(await wholeRedisLog(redis.url), group);
  t.log(`${rounds} stops: ${owners.length} owners, ${checkpoints} checkpoints`);
  t.deepEqual(faults, []);
  t.is(letters, 0);
  for (const { hub } of nodes) t.notRegex(hub.stderr(), /"level":"(error|fatal)"/);
});
