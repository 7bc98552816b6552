import test from 'ava';
import { listen } from '../registry/support.ts';
import { askGraphql } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';
import { call } from './client.ts';

const hub = await openHub();
test.after.always(() => hub.close());

const ask = (query: string, variables?: object) => askGraphql(hub, query, variables);
const dataOf = async (query: string, variables?: object) => {
  const { data, errors } = await ask(query, variables);
  if (errors.length > 0 || data === null || data === undefined) throw new Error(JSON.stringify(errors));
  return data;
};
const register = 'mutation ($input: RegisterServiceInput!) { registerService(input: $input) { id created } }';
const update =
  'mutation ($id: ID!, $input: UpdateServiceInput!) { updateService(id: $id, input: $input) { success id service { weight ttlSec removeAfterSec status statusReason statusCause healthCheck { timeoutMs } } } }';
const everything = `id name version host port protocol capabilities healthCheckUrl ttlSec status statusReason statusCause
  statusSince load inFlight weight tags metadata healthCheck { intervalMs timeoutMs healthyThreshold unhealthyThreshold graceMs }
  removeAfterSec balancing { strategy slowStartSec maxEjectedPercent panicPercent maxInFlight } methods reach
  circuit { reason since until openings } registeredAt lastSeenAt revision`;
const at = { version: '1.0.0', host: '127.0.0.1', port: 9 };

test('service › shows every field that REST shows, and takes every one that REST takes', async (t) => {
  const input = {
    ...at,
    id: 'whole',
    name: 'whole',
    protocol: 'https',
    capabilities: ['a'],
    ttlSec: 60,
    weight: 3,
    tags: ['t'],
    metadata: { team: 'core' },
    healthCheck: { intervalMs: 1_000, timeoutMs: null },
    removeAfterSec: null,
    balancing: { strategy: 'sticky' },
    methods: { add: { input: { type: 'number' }, idempotent: true, strategy: 'random', timeoutMs: 5 } },
  };
  t.deepEqual(await dataOf(register, { input }), { registerService: { id: 'whole', created: true } });
  const rest = (await call(hub.url, 'GET', '/services/whole')).body as object;
  t.deepEqual(await dataOf(`{ service(id: "whole") { ${everything} } }`), { service: rest });
  t.like(rest, {
    healthCheck: { intervalMs: 1_000, timeoutMs: 1_000, healthyThreshold: 2 },
    removeAfterSec: null,
    balancing: { strategy: 'sticky', slowStartSec: 10 },
    methods: input.methods,
  });
});

test('registerService › a socket instance needs no host and no port, and may have none', async (t) => {
  const input = { id: 'inside', name: 'inside', version: '1.0.0', reach: 'socket' };
  await dataOf(register, { input });
  t.deepEqual(await dataOf('{ services(reach: "socket") { id host port reach status } }'), {
    services: [{ id: 'inside', host: 'socket', port: 0, reach: 'socket', status: 'starting' }],
  });
  const { errors } = await ask(register, { input: { ...input, host: '127.0.0.1' } });
  t.like(errors[0]?.extensions, { code: 'invalid', errors: [{ pointer: '/host' }] });
  const missing = await ask(register, { input: { name: 'x', version: '1.0.0' } });
  t.like(missing.errors[0]?.extensions, {
    code: 'invalid',
    errors: [{ pointer: '/host' }, { pointer: '/port' }],
  });
});

test('updateService › changes fields or a status, null takes a field away, and faults have their place', async (t) => {
  await dataOf(register, { input: { ...at, id: 'changing', name: 'changing', ttlSec: 60 } });
  const change = (input: object) => dataOf(update, { id: 'changing', input });
  t.like(await change({ weight: 5, ttlSec: null, removeAfterSec: 60, healthCheck: { timeoutMs: 70 } }), {
    updateService: {
      success: true,
      id: 'changing',
      service: { weight: 5, ttlSec: null, removeAfterSec: 60, healthCheck: { timeoutMs: 70 } },
    },
  });
  t.like(await change({ removeAfterSec: null, tags: null }), {
    updateService: { service: { weight: 5, removeAfterSec: null } },
  });
  t.like(await change({ status: 'draining', reason: 'deploy' }), {
    updateService: { service: { status: 'draining', statusReason: 'deploy', statusCause: 'operator' } },
  });
  const fault = async (input: object) => (await ask(update, { id: 'changing', input })).errors[0]?.extensions;
  t.like(await fault({ weight: 0, balancing: { strategy: 'best' } }), {
    code: 'invalid',
    errors: [{ pointer: '/weight' }, { pointer: '/balancing/strategy' }],
  });
  t.like(await fault({ status: 'draining', weight: 2 }), { code: 'invalid', errors: [{ pointer: '' }] });
  const unknown = await ask(update, { id: 'nobody', input: { weight: 2 } });
  t.is(unknown.errors[0]?.extensions.code, 'not_found');
});

test('heartbeat › tells load and status, and sends an unknown service to register', async (t) => {
  await dataOf(register, { input: { ...at, id: 'beating', name: 'beating', ttlSec: 30 } });
  const beat =
    'mutation ($id: ID!, $load: Float) { heartbeat(id: $id, load: $load, status: "degraded", metrics: { queue: 3 }) { success id ttlSec status } }';
  t.deepEqual(await dataOf(beat, { id: 'beating', load: 0.25 }), {
    heartbeat: { success: true, id: 'beating', ttlSec: 30, status: 'degraded' },
  });
  t.deepEqual(await dataOf('{ service(id: "beating") { status load } }'), {
    service: { status: 'degraded', load: 0.25 },
  });
  t.is((await ask(beat, { id: 'nobody' })).errors[0]?.extensions.code, 'not_found');
  t.like((await ask(beat, { id: 'beating', load: 2 })).errors[0]?.extensions, {
    code: 'invalid',
    errors: [{ pointer: '/load' }],
  });
});

test('invokeService › passes on strategy, key, capability, timeoutMs and idempotent', async (t) => {
  const server = await listen((request, response) => {
    request.resume();
    if (request.url === '/never') return;
    response.setHeader('content-type', 'application/json');
    response.end('"done"');
  });
  t.teardown(() => server.close());
  for (const id of ['able', 'unable']) {
    const capabilities = id === 'able' ? ['sum'] : [];
    const input = { ...at, id, name: 'choosing', port: server.port, capabilities };
    await dataOf(register, { input });
  }
  const invoke = (rest: string) =>
    ask(`mutation { invokeService(name: "choosing", ${rest}) { success result instance attempts } }`);
  for (let round = 0; round < 4; round++)
    t.like((await invoke('method: "add", data: null, capability: "sum", idempotent: true')).data, {
      invokeService: { success: true, result: 'done', instance: 'able' },
    });
  const chosen = new Set<unknown>();
  for (let round = 0; round < 6; round++) {
    const { invokeService } = await dataOf(
      `mutation { invokeService(name: "choosing", method: "add", strategy: "consistent-hash", key: "k") { instance } }`,
    );
    chosen.add((invokeService as { readonly instance: string }).instance);
  }
  t.is(chosen.size, 1, 'one key, one instance');
  const late = await invoke('method: "never", timeoutMs: 50');
  t.is(late.errors[0]?.extensions.code, 'upstream_timeout');
  const wrong = await invoke('method: "add", strategy: "best", timeoutMs: 0');
  t.like(wrong.errors[0]?.extensions, {
    code: 'invalid',
    errors: [{ pointer: '/strategy' }, { pointer: '/timeoutMs' }],
  });
});

test('services › come in pages by id when they are asked to, over REST and GraphQL', async (t) => {
  const paged = await openHub();
  t.teardown(() => paged.close());
  for (const id of ['c', 'a', 'd', 'b'])
    await call(paged.url, 'POST', '/services', { json: { ...at, id, name: id < 'c' ? 'low' : 'high' } });
  type Listed = { readonly services: readonly { readonly id: string }[]; readonly cursor?: string };
  const list = async (query: string) => {
    const answer = await call(paged.url, 'GET', `/services${query}`);
    t.is(answer.status, 200, answer.text);
    const { services, cursor } = answer.body as Listed;
    return [services.map(({ id }) => id).join(), cursor];
  };
  t.deepEqual(await list(''), ['a,b,c,d', undefined]);
  t.deepEqual(await list('?limit=3'), ['a,b,c', 'c']);
  t.deepEqual(await list('?limit=3&cursor=c'), ['d', undefined]);
  t.deepEqual(await list('?limit=4'), ['a,b,c,d', undefined]);
  t.deepEqual(await list('?name=high&limit=1'), ['c', 'c']);
  t.deepEqual(await list('?name=high&cursor=c'), ['d', undefined]);
  t.deepEqual(await list('?reach=direct&cursor=b'), ['c,d', undefined]);
  t.deepEqual(await list('?reach=socket'), ['', undefined]);
  for (const [query, pointer] of [
    ['cursor=%20', '/cursor'],
    ['limit=0', '/limit'],
    ['reach=far', '/reach'],
    ['status=fine', '/status'],
    ['version=newest', '/version'],
    ['name=Math', '/name'],
  ] as const) {
    t.like((await call(paged.url, 'GET', `/services?${query}`)).body, {
      code: 'invalid',
      errors: [{ pointer }],
    });
  }
  const { data } = await askGraphql(
    paged,
    '{ first: services(first: 1) { id } rest: services(first: 9, after: "b", name: "high") { id } }',
  );
  t.deepEqual(data, { first: [{ id: 'a' }], rest: [{ id: 'c' }, { id: 'd' }] });
  const bad = await askGraphql(paged, '{ services(first: 0) { id } }');
  t.is(bad.errors[0]?.extensions.code, 'invalid');
});
