import test from 'ava';
import { redisForTest } from '../support/redis-server.ts';
import { request } from '../support/rest.ts';
import { createGroup, ownerOf, startNode } from './bus-rounds.ts';

type Pulled = {
  readonly delivery: string;
  readonly message: { readonly payload: number; readonly replay?: true };
};

const messages = 600;
const name = 'again';
const topic = 'again.a';

test('kill -9 of the node that carries out a replay › another goes on with it, and nothing is lost', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const nodes = await Promise.all(['a', 'b'].map((node) => startNode(t, node, redis.url)));
  const [first] = nodes;
  if (first === undefined) return t.fail();
  for (let sent = 0; sent < messages; sent += 50) {
    const batch = Array.from({ length: 50 }, (_, index) =>
      request(first.hub.url, 'POST', `/events/${topic}`, { body: { payload: sent + index } }),
    );
    for (const { status } of await Promise.all(batch)) t.is(status, 201);
  }
  await createGroup(first.hub.url, name, { topic, backoffMs: [0], ackWaitMs: 600_000 });
  const { served, other } = await ownerOf(nodes, name);
  // Asked for at the one node, carried out by the other, consumed at either.
  const asked = await request(other.hub.url, 'POST', `/subscriptions/${name}/replay`, {
    body: { from: 'start' },
  });
  t.is(asked.status, 200);

  const seen = new Set<number>();
  let deliveries = 0;
  const serve = async (url: string): Promise<void> => {
    const pulled = await request(url, 'POST', `/subscriptions/${name}/pull`, {
      body: { max: 50, waitMs: 1_000 },
    });
    // Between two owners there is none.
    if (pulled.status === 503) return;
    const got = pulled.body.deliveries as readonly Pulled[];
    if (got.length === 0) return;
    await request(url, 'POST', `/subscriptions/${name}/ack`, {
      body: { deliveries: got.map(({ delivery }) => delivery) },
    });
    deliveries += got.length;
    for (const { message } of got) {
      t.true(message.replay);
      seen.add(message.payload);
    }
  };
  while (seen.size < messages / 2) await serve(seen.size % 100 < 50 ? served.hub.url : other.hub.url);
  await served.hub.kill('SIGKILL');
  for (let open = true; open; ) {
    await serve(other.hub.url);
    const { body } = await request(other.hub.url, 'GET', `/subscriptions/${name}/replays`);
    open = (body.replays as readonly unknown[]).length > 0;
  }
  t.is(seen.size, messages);
  t.true(deliveries < 2 * messages);
  t.log(`${messages} messages, ${deliveries} deliveries`);
});
