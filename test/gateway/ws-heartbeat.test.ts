import test, { type ExecutionContext } from 'ava';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const service = { name: 'memory', version: '1.0.0', host: '127.0.0.1', port: 4000, ttlSec: 60 };
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const open = async (t: ExecutionContext) => {
  const hub = await openHub({ jwtSecret });
  t.teardown(hub.close);
  const token = signToken('ann', 'services:read services:write log:read');
  const register = (id: string) =>
    request(hub.url, 'POST', '/services', { headers: bearer(token), body: { ...service, id } });
  const shown = async (id: string) =>
    (await request(hub.url, 'GET', `/services/${id}`, { headers: bearer(token) })).body;
  const socket = async (as = token) => {
    const client = await openWs(hub.url, { headers: bearer(as) });
    t.teardown(client.close);
    return client;
  };
  return { hub, token, register, shown, socket };
};

test('a heartbeat with an id is answered with TTL and status, one without is not, and both count', async (t) => {
  const { register, shown, socket } = await open(t);
  await register('one');
  await register('two');
  const client = await socket();
  t.deepEqual(await client.ask({ type: 'heartbeat', service: 'one', load: 0.5 }), {
    type: 'result',
    id: 'ask-1',
    service: 'one',
    ttlSec: 60,
    status: 'healthy',
  });
  client.send({ type: 'heartbeat', service: 'two', status: 'degraded', metrics: { queue: 7 } });
  // Frames take effect in order; the first answer that comes is the one to this.
  t.like(await client.ask({ type: 'heartbeat', service: 'two', load: 1 }), {
    id: 'ask-2',
    status: 'degraded',
  });
  t.like(await shown('one'), { status: 'healthy', load: 0.5 });
  t.like(await shown('two'), { status: 'degraded', load: 1, statusCause: 'report' });
});

test('heartbeats over a socket write no event but the change that they bring', async (t) => {
  const { hub, token, register, socket } = await open(t);
  await register('one');
  const client = await socket();
  for (let beat = 0; beat < 200; beat++) client.send({ type: 'heartbeat', service: 'one', load: beat / 200 });
  await client.ask({ type: 'heartbeat', service: 'one' });
  const { body } = await request(hub.url, 'GET', '/streams/service-one', { headers: bearer(token) });
  const events = body.events as readonly { readonly type: string }[];
  t.deepEqual(
    events.map(({ type }) => type),
    ['ServiceRegistered', 'ServiceStatusChanged'],
  );
});

test('a heartbeat of a draining service is answered with draining', async (t) => {
  const { hub, token, register, socket } = await open(t);
  await register('one');
  const body = { status: 'draining', reason: 'deploy' };
  await request(hub.url, 'PATCH', '/services/one', { headers: bearer(token), body });
  const client = await socket();
  t.like(await client.ask({ type: 'heartbeat', service: 'one', status: 'healthy' }), { status: 'draining' });
});

test('an unknown service, another one’s, a missing scope and a wrong shape are each an error, and the socket stays open', async (t) => {
  const { register, socket, shown } = await open(t);
  await register('one');
  const client = await socket();
  const ask = async (frame: object): Promise<unknown> =>
    (await client.ask({ type: 'heartbeat', ...frame })).code;
  t.is(await ask({ service: 'nobody' }), 'not_found');
  t.is(await ask({}), 'invalid');
  t.is(await ask({ service: 7 }), 'invalid');
  t.is(await ask({ service: 'one', load: 1.5 }), 'invalid');
  t.is(await ask({ service: 'one', status: 'draining' }), 'invalid');
  t.is(await ask({ service: 'one', surprise: true }), 'invalid');
  client.send({ type: 'heartbeat', service: 'nobody' });
  t.like(await client.waitForType('error'), { code: 'not_found' });

  const bob = await socket(signToken('bob', 'services:write'));
  t.like(await bob.ask({ type: 'heartbeat', service: 'one' }), { type: 'error', code: 'id_taken' });
  const reader = await socket(signToken('ann', 'services:read'));
  t.like(await reader.ask({ type: 'heartbeat', service: 'one' }), { code: 'forbidden' });
  t.like(await shown('one'), { status: 'starting' });
  t.like(await client.ask({ type: 'heartbeat', service: 'one' }), { status: 'healthy' });
});
