import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import jwt from 'jsonwebtoken';
import { WebSocket, WebSocketServer } from 'ws';
import { call, openEvents } from '../gateway/client.ts';
import { listen } from '../registry/support.ts';
import { askGraphql, eventsOf } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { request } from '../support/rest.ts';
import { openFaultProxy } from '../support/tcp-proxy.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs, refusedWs } from '../support/ws-client.ts';

const hub = await openHub({ jwtSecret, allowedTargets: ['127.0.0.0/8'] });
const service = await listen((incoming, response) => {
  // An answer that goes on.
  if (incoming.url !== '/') return;
  response.writeHead(200);
  response.write('begun');
});
const sockets = new WebSocketServer({ server: service.server });
const as = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const root = as(signToken('root', 'admin'));
await request(hub.url, 'POST', '/services', {
  headers: root,
  body: { id: 'echo', name: 'echo', version: '1.0.0', host: '127.0.0.1', port: service.port },
});
await request(hub.url, 'PUT', '/subscriptions/quiet', { headers: root, body: { topic: 'quiet' } });
await request(hub.url, 'POST', '/locks/held', { headers: root, body: { ttlMs: 600_000 } });
test.after.always(async () => {
  await hub.close();
  sockets.close();
  await service.close();
});

const allScopes = ['services:invoke:*', 'events:publish:*', 'events:read:*', 'state:read:*', 'state:write:*'];
let made = 0;

type Credential = { readonly token: string; readonly revoke: (at?: Hub) => Promise<number> };

/** The two kinds of credentials that can be revoked, each made anew. */
const kinds = {
  'an API key': async (at: Hub = hub): Promise<Credential> => {
    const body = { name: 'a', scopes: allScopes, ttlSec: 3_600 };
    const created = (await request(at.url, 'POST', '/api-keys', { headers: root, body })).body;
    return {
      token: String(created.key),
      revoke: async (where = at) =>
        (await request(where.url, 'DELETE', `/api-keys/${created.id}`, { headers: root })).status,
    };
  },
  'a token': async (at: Hub = hub): Promise<Credential> => {
    const options = { subject: 'ada', expiresIn: 3_600, jwtid: `ends-${made++}` } as const;
    const token = jwt.sign({ scope: allScopes.join(' ') }, jwtSecret, options);
    return {
      token,
      revoke: async (where = at) =>
        (await request(where.url, 'POST', '/revoked-tokens', { headers: root, body: { token } })).status,
    };
  },
};

const isRefused = async (t: ExecutionContext, { url }: Hub, token: string): Promise<void> => {
  const headers = as(token);
  const read = await request(url, 'GET', '/state/a', { headers });
  t.is(read.status, 401);
  t.is(read.headers.get('www-authenticate'), 'Bearer realm="nexus", error="invalid_token"');
  t.is(
    (await request(url, 'POST', '/graphql', { headers, body: { query: '{ topics { topic } }' } })).status,
    401,
  );
  t.is((await refusedWs(url, { headers })).status, 401);
  t.is((await refusedWs(url, { protocols: ['nexus.v1', `bearer.${token}`] })).status, 401);
  t.is(
    (await refusedWs(url, { path: '/graphql', protocols: ['graphql-transport-ws'], headers })).status,
    401,
  );
  t.is((await refusedWs(url, { path: '/proxy/echo/', headers })).status, 401);
  const later = await openWs(url, { path: '/graphql', protocols: ['graphql-transport-ws'] });
  later.send({ type: 'connection_init', payload: { token } });
  t.is((await later.closed).code, 4401);
  const renewed = await openWs(url, { headers: root });
  t.is((await renewed.ask({ type: 'auth', token })).code, 'unauthorized');
  await renewed.close();
};

/** Each opens what stays open, and resolves with what says that it has ended. */
const connections: Readonly<
  Record<
    string,
    (t: ExecutionContext, at: Hub, headers: Record<string, string>) => Promise<() => Promise<unknown>>
  >
> = {
  'a WebSocket': async (t, { url }, headers) => {
    const client = await openWs(url, { headers });
    t.is((await client.ask({ type: 'subscribe', topic: 'quiet' })).type, 'subscribed');
    return async () => t.deepEqual(await client.closed, { code: 4401, reason: 'The token was revoked' });
  },
  'a WebSocket that has said nothing': async (t, { url }, headers) => {
    const client = await openWs(url, { headers });
    return async () => t.deepEqual(await client.closed, { code: 4401, reason: 'The token was revoked' });
  },
  'a socket of GraphQL': async (t, { url }, { authorization = '' }) => {
    const client = await openWs(url, { path: '/graphql', protocols: ['graphql-transport-ws'] });
    client.send({ type: 'connection_init', payload: { token: authorization.slice(7) } });
    await client.waitForType('connection_ack');
    return async () => t.is((await client.closed).code, 4401);
  },
  'a WebSocket through the proxy': async (t, { url }, headers) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/proxy/echo/`, { headers });
    await once(socket, 'open');
    const closed = once(socket, 'close');
    return async () => t.is((await closed)[0], 1006);
  },
  'an answer through the proxy': async (t, { url }, headers) => {
    const response = await fetch(`${url}/proxy/echo/`, { headers });
    t.is(response.status, 200);
    return async () => {
      await t.throwsAsync(response.text());
    };
  },
  'a live tail': async (t, { url }, headers) => {
    const tail = await openEvents(`${url}/events?topic=quiet`, headers);
    t.is((await tail.next())?.event, 'caughtUp');
    return async () => t.is(await tail.next(), undefined);
  },
  'an event stream of GraphQL': async (t, { url }, headers) => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
      body: JSON.stringify({ query: 'subscription { messages(topic: "quiet") { topic } }' }),
    });
    t.is(response.status, 200);
    return async () => {
      for await (const { event } of eventsOf(response)) t.is(event, 'complete');
    };
  },
  'a pull': async (t, { url }, headers) => {
    const body = { waitMs: 60_000 };
    const pulled = request(url, 'POST', '/subscriptions/quiet/pull', { headers, body });
    return async () => t.deepEqual((await pulled).body, { deliveries: [] });
  },
  'a wait for a lock': async (t, { url }, headers) => {
    const body = { ttlMs: 1_000, waitMs: 60_000 };
    const locked = request(url, 'POST', '/locks/held', { headers, body });
    return async () => t.is((await locked).body.code, 'unauthorized');
  },
  'a request over the bus': async (t, { url }, headers) => {
    const body = { payload: 1, timeoutMs: 60_000 };
    const asked = request(url, 'POST', '/requests/nobody', { headers, body });
    return async () => t.is((await asked).body.code, 'unauthorized');
  },
};

for (const [kind, make] of Object.entries(kinds)) {
  test(`${kind} that is revoked › ends all that runs by it, and lets nobody in again`, async (t) => {
    const [own, other] = [await make(), await make()];
    const headers = as(own.token);
    const opened: (() => Promise<unknown>)[] = [];
    for (const open of Object.values(connections)) opened.push(await open(t, hub, headers));
    const stays = await openWs(hub.url, { headers: as(other.token) });
    t.is((await askGraphql(hub, '{ state(key: "a") { key } }', undefined, headers)).data?.state, null);
    // What waits is known to wait once this is answered behind it.
    t.is((await request(hub.url, 'GET', '/state/a', { headers })).status, 404);
    t.true((await own.revoke()) < 300);
    await Promise.all(opened.map((ended) => ended()));
    await isRefused(t, hub, own.token);
    t.is((await stays.ask({ type: 'ping' })).type, 'pong', 'what others have open goes on');
    await stays.close();
    await other.revoke();
  });
}

test('an API key › lets its subject in on each way, and to no more than its scopes', async (t) => {
  const body = { name: 'narrow', scopes: ['state:read:mine/*', 'services:write', 'services:read'] };
  const made = (await request(hub.url, 'POST', '/api-keys', { headers: root, body })).body;
  const headers = as(String(made.key));
  await request(hub.url, 'PUT', '/state/mine/a', { headers: root, body: { value: 1 } });
  t.is((await request(hub.url, 'GET', '/state/mine/a', { headers })).body.value, 1);
  for (const [method, path, scope] of [
    ['GET', '/state/other', 'state:read:other'],
    ['PUT', '/state/mine/a', 'state:write:mine/a'],
    ['GET', '/log', 'log:read'],
    ['GET', '/api-keys', 'admin'],
    ['POST', '/api-keys', 'admin'],
    ['GET', '/revoked-tokens', 'admin'],
  ] as const) {
    const sent = method === 'PUT' ? { value: 1 } : { name: 'x', scopes: ['admin'] };
    const answer = await request(hub.url, method, path, {
      headers,
      ...(method === 'GET' ? {} : { body: sent }),
    });
    t.is(answer.status, 403, path);
    t.is(answer.body.scope, scope);
  }
  const client = await openWs(hub.url, { protocols: ['nexus.v1', `bearer.${made.key}`] });
  t.is((await client.ask({ type: 'watch', key: 'mine/a' })).type, 'watching');
  t.is((await client.ask({ type: 'watch', key: 'other' })).code, 'forbidden');
  const renewed = await client.ask({ type: 'auth', token: made.key });
  t.is(renewed.type, 'authenticated');
  t.is(renewed.expiresAt, undefined);
  t.is((await client.ask({ type: 'auth', token: signToken('ada', 'admin') })).code, 'forbidden');
  await client.close();
  const query = '{ mine: state(key: "mine/a") { value updatedBy } }';
  t.like((await askGraphql(hub, query, undefined, headers)).data, { mine: { value: 1 } });

  const instance = { id: 'keys-own', name: 'own', version: '1.0.0', host: '127.0.0.1', port: service.port };
  t.is((await request(hub.url, 'POST', '/services', { headers, body: instance })).status, 201);
  t.is((await request(hub.url, 'POST', '/services/keys-own/heartbeat', { headers, body: {} })).status, 200);
  const stranger = as(signToken('ada', 'services:write'));
  t.is((await request(hub.url, 'DELETE', '/services/keys-own', { headers: stranger })).body.code, 'id_taken');
  const taken = { name: 'second', scopes: ['services:write'], subject: made.subject };
  const second = (await request(hub.url, 'POST', '/api-keys', { headers: root, body: taken })).body;
  t.is((await request(hub.url, 'DELETE', `/api-keys/${made.id}`, { headers: root })).status, 204);
  const heir = as(String(second.key));
  t.is((await request(hub.url, 'DELETE', '/services/keys-own', { headers: heir })).status, 204);
});

test('a key that is none › is 401, without a word of what is wrong with it', async (t) => {
  const body = { name: 'good', scopes: ['admin'] };
  const good = String((await request(hub.url, 'POST', '/api-keys', { headers: root, body })).body.key);
  t.is((await request(hub.url, 'GET', '/log?limit=1', { headers: as(good) })).status, 200);
  const [id, secret] = [good.slice(4, 28), good.slice(29)];
  const flipped = secret.startsWith('A') ? `B${secret.slice(1)}` : `A${secret.slice(1)}`;
  const details = new Set<unknown>();
  for (const key of [
    `nxk_${id}_${flipped}`,
    `nxk_${'0'.repeat(24)}_${secret}`,
    `nxk_${id.toUpperCase()}_${secret}`,
    `nxk_${id}_${secret}x`,
    `nxk_${id}_${secret.slice(1)}`,
    `nxk_${id}`,
    'nxk_',
    `nxk_../../log_${secret}`,
    `nxk_${id}_${secret} `.repeat(20),
    `nxk_${'a'.repeat(8_000)}`,
  ]) {
    const { status, body: answer } = await request(hub.url, 'GET', '/log?limit=1', { headers: as(key) });
    t.is(status, 401, key.slice(0, 100));
    t.is(answer.code, 'unauthorized');
    details.add(answer.detail);
  }
  t.is(details.size, 1);
  t.is((await call(hub.url, 'GET', `/log?access_token=${good}`)).status, 401);
});

test('a token whose sub is that of an API key › is refused', async (t) => {
  const { body } = await request(hub.url, 'GET', '/log', { headers: as(signToken('key:abc', 'admin')) });
  t.is(body.code, 'unauthorized');
});

test('what an operator writes under the prefix › is a key only when it has the form of one', async (t) => {
  const body = { name: 'replaced', scopes: ['log:read'] };
  const made = (await request(hub.url, 'POST', '/api-keys', { headers: root, body })).body;
  const headers = as(String(made.key));
  t.is((await request(hub.url, 'GET', '/log?limit=1', { headers })).status, 200);
  const path = `/state/nexus/api-keys/${made.id}`;
  const { value } = (await request(hub.url, 'GET', path, { headers: root })).body;
  const put = (changes: object) =>
    request(hub.url, 'PUT', path, { headers: root, body: { value: { ...(value as object), ...changes } } });
  const client = await openWs(hub.url, { headers });
  await put({ scopes: ['state:read:*'] });
  t.is((await client.closed).code, 4401, 'whoever was let in by what stood there comes again');
  t.is((await request(hub.url, 'GET', '/log?limit=1', { headers })).status, 403);
  for (const broken of [
    { scopes: 'admin' },
    { hash: 7 },
    { hash: '' },
    { subject: null },
    { expiresAt: 'x' },
  ]) {
    await put(broken);
    t.is((await request(hub.url, 'GET', '/log?limit=1', { headers })).status, 401, JSON.stringify(broken));
  }
  t.is(
    (await request(hub.url, 'PUT', '/state/nexus/revoked-tokens/x', { headers, body: { value: 1 } })).status,
    401,
  );
  const writer = as(signToken('ada', 'state:write:* state:write:nexus/*'));
  t.is((await request(hub.url, 'PUT', path, { headers: writer, body: { value } })).status, 403);
});

test('keys and revocations › hold after a restart', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'nexus-keys-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const options = { jwtSecret, dataDir, log: [`file:${dataDir}`] };
  const before = await openHub(options);
  const [good, bad, token] = [
    await kinds['an API key'](before),
    await kinds['an API key'](before),
    await kinds['a token'](before),
  ];
  await bad.revoke();
  await token.revoke();
  await before.close();
  const after = await openHub(options);
  t.teardown(() => after.close());
  const statusOf = async (one: Credential) =>
    (await request(after.url, 'GET', '/state/a', { headers: as(one.token) })).status;
  t.deepEqual([await statusOf(good), await statusOf(bad), await statusOf(token)], [404, 401, 401]);
});

test('keys and revocations › hold on another node of the log, and end there what runs', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const link = await openFaultProxy({ target: redis, seed: 1 });
  const [near, far] = [
    await openHub({ jwtSecret, log: [redis.url] }),
    await openHub({ jwtSecret, log: [`redis://127.0.0.1:${link.port}`] }),
  ];
  t.teardown(async () => {
    link.resume();
    await near.close();
    await far.close();
    await link.close();
  });
  for (const make of Object.values(kinds)) {
    const { token, revoke } = await make(near);
    const position = (await request(near.url, 'GET', '/api-keys', { headers: root })).body.position;
    await request(far.url, 'GET', '/api-keys', {
      headers: { ...root, 'x-nexus-min-position': String(position) },
    });
    const client = await openWs(far.url, { headers: as(token) });
    const tail = await openEvents(`${far.url}/events?topic=quiet`, as(token));
    t.is((await tail.next())?.event, 'caughtUp');
    t.true((await revoke(near)) < 300);
    t.is((await client.closed).code, 4401);
    t.is(await tail.next(), undefined);
    t.is((await request(far.url, 'GET', '/state/a', { headers: as(token) })).status, 401);
  }

  const { token, revoke } = await kinds['a token'](near);
  const client = await openWs(far.url, { headers: as(token) });
  link.pause();
  t.true((await revoke(near)) < 300);
  t.is((await request(near.url, 'GET', '/state/a', { headers: as(token) })).status, 401);
  t.is(
    (await client.ask({ type: 'ping' })).type,
    'pong',
    'whoever cannot see the log goes on with what it knew',
  );
  t.is((await request(far.url, 'GET', '/state/a', { headers: as(token) })).status, 404);
  link.resume();
  t.is((await client.closed).code, 4401);
  t.is((await request(far.url, 'GET', '/state/a', { headers: as(token) })).status, 401);
});
