import { createServer } from 'node:http';
import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { type Answer, call } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

const echo = {
  name: 'echo',
  version: '1.2.3',
  host: '127.0.0.1',
  port: 9_999,
  capabilities: ['say', 'hear'],
};
const register = (json: object): Promise<Answer> => call(hub.url, 'POST', '/services', { json });
const idsOf = (answer: Answer): string[] =>
  (answer.body as { services: { id: string }[] }).services.map(({ id }) => id).sort();

test('POST /services › registers with 201, Location and position; again is 200', async (t) => {
  const first = await register({ ...echo, id: 'echo/1'.replace('/', '-') });
  t.is(first.status, 201);
  t.is(first.headers.location, '/services/echo-1');
  const { service, position } = first.body as { service: Record<string, unknown>; position: string };
  t.is(first.headers['x-nexus-position'], position);
  t.like(service, { ...echo, id: 'echo-1', status: 'healthy', protocol: 'http', weight: 1 });
  t.deepEqual(
    Object.keys(service).sort(),
    [
      ...[
        'id',
        'name',
        'version',
        'host',
        'port',
        'protocol',
        'capabilities',
        'status',
        'statusReason',
        'statusSince',
      ],
      ...['load', 'inFlight', 'weight', 'tags', 'metadata', 'registeredAt', 'lastSeenAt', 'revision'],
      ...['healthCheckUrl', 'ttlSec', 'statusCause', 'circuit'],
      ...['healthCheck', 'removeAfterSec', 'balancing', 'methods', 'reach'],
    ].sort(),
  );
  const again = await register({ ...echo, id: 'echo-1' });
  t.is(again.status, 200);
});

test('POST /services › without an id makes one', async (t) => {
  const answer = await register({ ...echo, name: 'nameless' });
  const { service } = answer.body as { service: { id: string } };
  t.is(answer.headers.location, `/services/${service.id}`);
  t.is((await call(hub.url, 'GET', `/services/${service.id}`)).status, 200);
});

test('GET /services › filters by name, all capabilities, status, semver range and tag', async (t) => {
  await register({
    ...echo,
    id: 'f1',
    name: 'filter',
    version: '1.0.0',
    capabilities: ['a', 'b'],
    tags: ['x'],
  });
  await register({ ...echo, id: 'f2', name: 'filter', version: '2.1.0', capabilities: ['a'], ttlSec: 60 });
  const get = async (query: string): Promise<string[]> => {
    const answer = await call(hub.url, 'GET', `/services?name=filter${query}`);
    t.is(answer.status, 200, answer.text);
    return idsOf(answer);
  };
  t.deepEqual(await get(''), ['f1', 'f2']);
  t.deepEqual(await get('&capability=a'), ['f1', 'f2']);
  t.deepEqual(await get('&capability=a&capability=b'), ['f1']);
  t.deepEqual(await get('&status=starting'), ['f2']);
  t.deepEqual(await get(`&version=${encodeURIComponent('>=2 <3')}`), ['f2']);
  t.deepEqual(await get('&tag=x'), ['f1']);
});

test('GET /services › asOf shows the registry as it was', async (t) => {
  const before = await register({ ...echo, id: 'past-1', name: 'past' });
  const { position } = before.body as { position: string };
  await register({ ...echo, id: 'past-2', name: 'past' });
  t.deepEqual(idsOf(await call(hub.url, 'GET', `/services?name=past&asOf=${position}`)), ['past-1']);
  t.is((await call(hub.url, 'GET', `/services/past-2?asOf=${position}`)).status, 404);
});

test('PATCH /services/{id} › answers with the changed service; DELETE with 204, and then it is gone', async (t) => {
  await register({ ...echo, id: 'patched' });
  const patched = await call(hub.url, 'PATCH', '/services/patched', { json: { weight: 7 } });
  t.is(patched.status, 200);
  t.like(patched.body as object, { id: 'patched', weight: 7, name: 'echo' });
  const drained = await call(hub.url, 'PATCH', '/services/patched', {
    json: { status: 'draining', reason: 'why' },
  });
  t.like(drained.body as object, { status: 'draining', statusReason: 'why' });
  t.regex(drained.headers['x-nexus-position'] ?? '', /^[0-9a-f]+$/);
  const gone = await call(hub.url, 'DELETE', '/services/patched');
  t.is(gone.status, 204);
  t.is(gone.text, '');
  t.regex(gone.headers['x-nexus-position'] ?? '', /^[0-9a-f]+$/);
  for (const method of ['GET', 'DELETE']) {
    t.like((await call(hub.url, method, '/services/patched')).body as object, {
      code: 'not_found',
      status: 404,
    });
  }
});

test('POST /services/{id}/heartbeat › answers ttl and status; an unknown service is told to register', async (t) => {
  await register({ ...echo, id: 'beating', ttlSec: 30 });
  const beat = await call(hub.url, 'POST', '/services/beating/heartbeat', { json: { load: 0.5 } });
  t.is(beat.status, 200);
  t.deepEqual(beat.body, { ttlSec: 30, status: 'healthy' });
  t.is((await call(hub.url, 'POST', '/services/beating/heartbeat')).status, 200, 'no body is an empty one');
  const bad = await call(hub.url, 'POST', '/services/beating/heartbeat', { json: { load: 2 } });
  t.like(bad.body as object, { code: 'invalid', status: 422 });
  const lost = await call(hub.url, 'POST', '/services/lost/heartbeat', { json: {} });
  t.like(lost.body as object, { code: 'not_found', status: 404 });
});

test('heartbeats › have a budget of their own: 10 a second and service', async (t) => {
  await register({ ...echo, id: 'eager', ttlSec: 30 });
  await register({ ...echo, id: 'calm', ttlSec: 30 });
  let refused: Answer | undefined;
  for (let sent = 0; sent < 1_000 && refused === undefined; sent++) {
    const beats = Array.from({ length: 24 }, () =>
      call(hub.url, 'POST', '/services/eager/heartbeat', { json: {} }),
    );
    refused = (await Promise.all(beats)).find(({ status }) => status === 429);
  }
  t.like(refused?.body as object, { code: 'rate_limited', status: 429 });
  t.is(refused?.headers['retry-after'], '1');
  t.is(refused?.headers['ratelimit-limit'], '10');
  t.is((await call(hub.url, 'POST', '/services/calm/heartbeat', { json: {} })).status, 200);
  t.is((await call(hub.url, 'GET', '/services/eager')).status, 200);
});

test('POST /services/{name}/invoke › calls a healthy instance, and tells how it failed', async (t) => {
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      response.statusCode = request.url === '/fail' ? 500 : 200;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ path: request.url, data: JSON.parse(text === '' ? 'null' : text) }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await register({ ...echo, id: 'real-1', name: 'real', port });
  const invoke = (name: string, json: unknown): Promise<Answer> =>
    call(hub.url, 'POST', `/services/${name}/invoke`, { json });

  const done = await invoke('real', { method: 'say/hello', data: { a: 1 } });
  t.is(done.status, 200, done.text);
  t.like(done.body as object, {
    result: { path: '/say/hello', data: { a: 1 } },
    instance: 'real-1',
    attempts: 1,
  });
  const failed = await invoke('real', { method: 'fail' });
  t.like(failed.body as object, { code: 'upstream_failed', status: 502, upstreamStatus: 500 });
  t.like((await invoke('nobody', { method: 'x' })).body as object, {
    code: 'service_not_found',
    status: 404,
  });
  t.like((await invoke('real', { method: '../x' })).body as object, { code: 'invalid', status: 422 });
  t.like((await invoke('real', [])).body as object, { code: 'invalid', status: 422 });
  await register({ ...echo, id: 'sick-1', name: 'sick', ttlSec: 60 });
  t.like((await invoke('sick', { method: 'x' })).body as object, {
    code: 'no_healthy_instance',
    status: 503,
  });
});
