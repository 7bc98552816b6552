import test, { type ExecutionContext } from 'ava';
import { redisForTest } from '../support/redis-server.ts';
import { request, until } from '../support/rest.ts';
import type { Frame, WsClient } from '../support/ws-client.ts';
import {
  consumerOf,
  createGroup,
  deliveriesOf,
  type Node,
  nodeIdOf,
  ownerOf,
  publishedOf,
  settledAll,
  startNode,
  viewOf,
} from './bus-rounds.ts';

const group = 'orders';
const topic = 'orders.eu';
/** An attempt that is counted by mistake would be a dead letter at the second one. */
const settings = { topic, ackWaitMs: 600_000, maxDeliver: 2, backoffMs: [0], maxInFlight: 1_000 };
const held = 30;

/** Asks for each of `frames` and answers the ids of the messages of which it was told that they are done. */
const acknowledged = async (
  client: WsClient,
  frames: readonly Frame[],
  durable: boolean,
): Promise<readonly string[]> => {
  const answers = await Promise.all(
    frames.map(async ({ delivery, messageId }) => {
      const answer = await client.ask({ type: 'ack', delivery, durable }).catch(() => undefined);
      return answer?.type === 'done' ? [String(messageId)] : [];
    }),
  );
  return answers.flat();
};

/** Ends the hub of `served` while the consumers hold deliveries, settle, and ask for more; answers what is done. */
const drained = async (
  t: ExecutionContext,
  served: Node,
  consumers: readonly WsClient[],
): Promise<ReadonlySet<string>> => {
  const done: string[] = [];
  const late: Promise<readonly string[]>[] = [];
  const waits = { max: 10, waitMs: 60_000 };
  for (const client of consumers) {
    const frames = await deliveriesOf(client, held);
    done.push(...(await acknowledged(client, frames.slice(0, 5), true)));
    done.push(...(await acknowledged(client, frames.slice(5, 10), false)));
    late.push(
      acknowledged(client, frames.slice(10, 13), true),
      acknowledged(client, frames.slice(13, 16), false),
    );
  }
  t.is(done.length, consumers.length * 10);
  const pulling = request(served.hub.url, 'POST', `/subscriptions/${group}/pull`, { body: waits });
  // What it is given it has not seen when its answer is cut off: that is asked for below.
  const pulled = pulling.then(
    ({ body }) => (body.deliveries ?? []) as readonly Frame[],
    () => [],
  );
  await until(
    () => viewOf(served.hub.url, group),
    ({ inFlight, lagEvents }) => inFlight === lagEvents,
  );
  t.is(await served.hub.kill('SIGTERM'), 0, 'which it is only within 10 s');
  await pulled;
  for (const answered of await Promise.all(late)) done.push(...answered);
  t.notRegex(served.hub.stderr(), /"level":"(error|fatal)"/);
  return new Set(done);
};

/** That everything but what is done comes, once and as a first attempt. */
const comesAgain = async (
  t: ExecutionContext,
  url: string,
  published: readonly string[],
  done: ReadonlySet<string>,
): Promise<void> => {
  const left = published.filter((id) => !done.has(id));
  const client = await consumerOf(t, url, group, 1_000);
  const seen = new Map<string, unknown>();
  // What was acknowledged in the same moment may be done, though nobody was told so.
  for (;;) {
    const { lagEvents } = await viewOf(url, group);
    while (seen.size < Number(lagEvents)) {
      const { messageId, attempt, delivery } = await client.waitForType('message');
      t.false(seen.has(String(messageId)), 'none comes twice');
      seen.set(String(messageId), attempt);
      t.is(typeof delivery, 'string');
    }
    if (lagEvents === seen.size) break;
  }
  t.true(seen.size > 0);
  t.deepEqual(
    [...seen.keys()].filter((id) => !left.includes(id)),
    [],
    'what is done does not come again',
  );
  t.deepEqual([...new Set(seen.values())], [1], 'no attempt has failed');
  await client.close();
};

test('a hub that drains › ends in time; what was done stays so, the rest comes again as if for the first time', async (t) => {
  t.timeout(120_000);
  const node = await startNode(t, 'hub', 'file:data');
  await createGroup(node.hub.url, group, settings);
  const consumers = await Promise.all([1, 2].map(() => consumerOf(t, node.hub.url, group, held)));
  const published = await publishedOf(node.hub.url, topic, 90);
  const done = await drained(t, node, consumers);
  await node.start();
  await comesAgain(t, node.hub.url, published, done);
  t.like(await viewOf(node.hub.url, group), { deadLetters: 0 });
});

test('a node that drains › another goes on at once, with what consumers of both held, as if for the first time', async (t) => {
  t.timeout(120_000);
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const nodes = await Promise.all(['a', 'b'].map((name) => startNode(t, name, redis.url)));
  await createGroup(nodes[0]?.hub.url ?? '', group, settings);
  const { served, other } = await ownerOf(nodes, group);
  const otherId = await nodeIdOf(other.hub.url);
  const there = await consumerOf(t, served.hub.url, group, held);
  const here = await consumerOf(t, other.hub.url, group, held);
  const published = await publishedOf(other.hub.url, topic, 90);
  const done = await drained(t, served, [there, here]);
  here.send({ type: 'unsubscribe', subscription: 's1' });
  await here.waitForType('unsubscribed');
  await until(
    () => viewOf(other.hub.url, group),
    ({ owner, lagEvents }) => owner === otherId && lagEvents !== null,
  );
  t.notRegex(other.hub.stderr(), /a node is gone/, 'nobody had to wait for its lease');
  await comesAgain(t, other.hub.url, published, done);
  const last = await consumerOf(t, other.hub.url, group, 1_000);
  for (const { delivery } of await deliveriesOf(last, Number((await viewOf(other.hub.url, group)).lagEvents)))
    t.like(await last.ask({ type: 'ack', delivery }), { type: 'done' });
  t.like(await settledAll(other.hub.url, group), { deadLetters: 0 });
});
