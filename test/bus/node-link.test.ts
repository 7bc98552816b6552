import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { WebSocket } from 'ws';
import { nodePath, nodeProtocol } from '../../src/bus/remote/protocol.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs, refusedWs } from '../support/ws-client.ts';

const bearer = (scope: string) => ({ authorization: `Bearer ${signToken('ann', scope)}` });

const connect = async (hub: Hub, headers: Readonly<Record<string, string>> = {}): Promise<WebSocket> => {
  const socket = new WebSocket(`${hub.url.replace('http', 'ws')}${nodePath}`, nodeProtocol, { headers });
  await once(socket, 'open');
  return socket;
};

const closeCode = async (socket: WebSocket): Promise<unknown> => (await once(socket, 'close'))[0];

test('with authentication only a token with the scope admin is a node', async (t) => {
  const hub = await openHub({ jwtSecret });
  t.teardown(() => hub.close());
  t.is((await refusedWs(hub.url, { path: nodePath, protocols: [nodeProtocol] })).status, 401);
  t.is(await closeCode(await connect(hub, bearer('events:read:> services:write log:read'))), 4403);
  const socket = await connect(hub, bearer('admin'));
  socket.send(JSON.stringify({ id: 1, op: 'live', name: 'nothing' }));
  const [answer]: unknown[] = await once(socket, 'message');
  t.like(JSON.parse(String(answer)), { id: 1, ok: false, problem: { code: 'not_owner' } });
  socket.terminate();
});

test('what is no frame of the protocol costs the connection, and nothing else', async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  const bad = [
    'no JSON',
    '[]',
    '{"id":1}',
    '{"id":1,"op":"join","name":"a b","max":1,"member":1}',
    '{"id":1,"op":"pull","name":"w","max":0,"waitMs":0}',
    '{"id":-1,"op":"live","name":"w"}',
    '{"id":1,"op":"settle","name":"w","how":"__proto__","deliveries":["d"],"durable":true}',
    '{"id":1,"op":"leave","member":1,"blameless":true,"more":1}',
    '{"__proto__":{"op":"live"}}',
    '{"id":1,"op":"beats","beats":[{"service":"../x"}]}',
    '{"id":1,"op":"beats","beats":[{"service":"x","load":2}]}',
    `{"id":1,"op":"beats","beats":[${Array.from({ length: 1_001 }, () => '{"service":"x"}').join()}]}`,
    '{"id":1,"op":"call","service":"x","method":"","data":1,"headers":{}}',
    '{"id":1,"op":"call","service":"x","method":"m","data":1,"headers":{"a":1}}',
    '{"id":1,"op":"call","service":"x","method":"m","headers":{}}',
  ];
  for (const frame of bad) {
    const socket = await connect(hub);
    socket.send(frame);
    t.is(await closeCode(socket), 1008, frame);
  }
  const binary = await connect(hub);
  binary.send(Buffer.from([0, 255, 1]));
  t.is(await closeCode(binary), 1008);
  t.deepEqual(hub.logged, []);
});

test('a node of a shared log with a key set alone says that nodes need a secret', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const folder = await mkdtemp(join(tmpdir(), 'nexus-keys-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const jwksFile = join(folder, 'keys.json');
  await writeFile(jwksFile, '{"keys":[]}');
  for (const secret of [null, jwtSecret]) {
    const hub = await openHub({ log: [server.url], jwksFile, jwtSecret: secret });
    const said = hub.logged.filter(({ msg }) => msg.startsWith('jwtSecret is not set'));
    t.is(said.length, secret === null ? 1 : 0);
    await hub.close();
  }
});

test('consumers that come to another node than the owner are served, by every protocol, with authentication', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const options = { log: [server.url], jwtSecret };
  const one = await openHub(options);
  t.teardown(() => one.close());
  const two = await openHub(options);
  t.teardown(() => two.close());
  const headers = bearer('events:read:jobs.> events:publish:jobs.>');
  const made = await request(one.url, 'PUT', '/subscriptions/w', { headers, body: { topic: 'jobs.>' } });
  t.is(made.status, 201, JSON.stringify(made.body));
  const { owner } = (await request(one.url, 'GET', '/subscriptions/w', { headers })).body;
  const [home, away] = owner === one.core.node ? [one, two] : [two, one];
  t.is(owner, home.core.node);

  const consumer = await openWs(away.url, { headers });
  t.teardown(() => consumer.socket.terminate());
  t.like(await consumer.ask({ type: 'subscribe', group: 'w', max: 1 }), { type: 'subscribed', group: 'w' });
  const publish = (payload: number) =>
    request(away.url, 'POST', '/events/jobs.mail', { headers, body: { payload } });
  await publish(1);
  const first = await consumer.waitForType('message');
  t.like(first, { payload: 1, attempt: 1 });

  // The one consumer has all that it may hold: the next message is a pull's.
  await publish(2);
  const body = { max: 5, waitMs: 20_000 };
  const pulled = await request(away.url, 'POST', '/subscriptions/w/pull', { headers, body });
  const [delivery] = pulled.body.deliveries as readonly { readonly delivery: string }[];
  t.like(delivery, { attempt: 1, message: { payload: 2 } });
  const ack = { deliveries: [delivery?.delivery], durable: true };
  const acked = await request(away.url, 'POST', '/subscriptions/w/ack', { headers, body: ack });
  t.like(acked.body, { done: 1, refused: [], durable: true });
  const late = await request(home.url, 'POST', '/subscriptions/w/ack', { headers, body: ack });
  t.like(late.body, { done: 0, refused: ack.deliveries });

  // Its socket is cut: what it held is delivered to the next at once, as a second attempt.
  consumer.socket.terminate();
  const again = await request(home.url, 'POST', '/subscriptions/w/pull', { headers, body });
  t.like(again.body.deliveries, [{ attempt: 2, message: { payload: 1 } }]);
  const view = await request(away.url, 'GET', '/subscriptions/w', { headers });
  t.like(view.body, { lagEvents: 1, inFlight: 1, owner: home.core.node });
  t.deepEqual([...one.logged, ...two.logged], []);
});
