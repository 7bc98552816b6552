import test, { type ExecutionContext } from 'ava';
import { openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { type Answer, request } from '../support/rest.ts';
import { consumerOf, nodeIdOf, publishedOf, settledAll, viewOf } from './bus-rounds.ts';

const shortMs = 200;
const longMs = 600_000;
const hows = ['ack', 'nak', 'term', 'extend'] as const;
let made = 0;

const call = (url: string, method: string, path: string, body: object): Promise<Answer> =>
  request(url, method, `/subscriptions/${path}`, { body });

/**
 * A consumer at `slow` is silent for longer than it may, and the message goes to another one, at `other`. What the first
 * settles then is refused, however it is told, and costs the second nothing.
 */
const refusesLate = async (t: ExecutionContext, slow: string, other: string): Promise<void> => {
  const group = `late-${++made}`;
  const topic = `late.${group}`;
  const waits = async (ackWaitMs: number): Promise<void> => {
    const { status } = await call(other, 'PUT', group, { topic, ackWaitMs, maxDeliver: 100, backoffMs: [0] });
    t.true(status === 200 || status === 201);
  };
  await waits(longMs);
  const silent = await consumerOf(t, slow, group, 1);
  await publishedOf(other, topic, 1);
  const { delivery: first, attempt } = await silent.waitForType('message');
  t.is(attempt, 1);

  let second = '';
  for (let holds = false; !holds; ) {
    const pulling = call(other, 'POST', `${group}/pull`, { max: 1, waitMs: 60_000 });
    await waits(shortMs);
    const { body } = await pulling;
    await waits(longMs);
    const [pulled] = body.deliveries as readonly { readonly delivery: string; readonly attempt: number }[];
    if (pulled === undefined) continue;
    t.true(pulled.attempt > 1);
    second = pulled.delivery;
    const extended = await call(other, 'POST', `${group}/extend`, { deliveries: [second] });
    holds = extended.body.done === 1;
    // It has timed out before it was extended, and went back to the first.
    if (!holds) silent.send({ type: 'nak', delivery: (await silent.waitForType('message')).delivery });
  }

  for (const how of hows) {
    const told = await silent.ask({ type: how, delivery: first });
    t.like(told, { type: 'error', code: 'stale_delivery', deliveries: [first] }, how);
    const body = { deliveries: [first], ...(how === 'extend' ? {} : { durable: true }) };
    const { status, body: answer } = await call(slow, 'POST', `${group}/${how}`, body);
    t.is(status, 200);
    t.like(answer, { done: 0, refused: [first] }, how);
  }
  t.like(await viewOf(other, group), { inFlight: 1, lagEvents: 1, deadLetters: 0 });
  const { body: done } = await call(other, 'POST', `${group}/ack`, { deliveries: [second], durable: true });
  t.like(done, { done: 1, refused: [] }, 'the second still holds it');
  const { body: twice } = await call(other, 'POST', `${group}/ack`, { deliveries: [second] });
  t.like(twice, { done: 0, refused: [second] });
  t.like(await settledAll(slow, group), { deadLetters: 0 });
  await silent.close();
};

test('an acknowledgement behind the delivery to another › is refused on WebSocket and REST', async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  await refusesLate(t, hub.url, hub.url);
});

test('an acknowledgement behind the delivery to another › is refused on whichever of two nodes', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const hubs = await Promise.all([1, 2].map(() => openHub({ log: [redis.url] })));
  for (const hub of hubs) t.teardown(() => hub.close());
  const [a = '', b = ''] = hubs.map(({ url }) => url);
  t.not(await nodeIdOf(a), await nodeIdOf(b));
  await refusesLate(t, a, b);
  await refusesLate(t, b, a);
  await refusesLate(t, a, a);
  await refusesLate(t, b, b);
});
