import test from 'ava';
import { askGraphql } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';
import { type Answer, call } from './client.ts';

const hub = await openHub();
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

const number = { type: 'number' };
const service = (name: string, id: string, version: string, methods: object, at = {}): object => ({
  ...{ name, id, version, methods, host: '127.0.0.1', port: 9 },
  ...at,
});
const register = (json: object, headers = {}, at: Hub = hub): Promise<Answer> =>
  call(at.url, 'POST', '/services', { json, headers });
const add = (input: object): object => ({ add: { input } });

const difference = {
  method: 'add',
  pointer: '/input/type',
  was: 'number',
  is: 'integer',
  why: 'it accepts less: type leaves out number',
};

test('REST › a registration that breaks its major version is refused with the differences, another major is not', async (t) => {
  t.is((await register(service('sum', 'sum-1', '1.2.0', add(number)))).status, 201);
  const refused = await register(service('sum', 'sum-2', '1.3.0', add({ type: 'integer' })));
  t.is(refused.status, 409);
  t.like(refused.body, {
    code: 'breaking_change',
    service: 'sum',
    major: '1',
    declared: '1.2.0',
    differences: [difference],
  });
  t.is((await call(hub.url, 'GET', '/services/sum-2')).status, 404, 'nothing was registered');
  t.is((await register(service('sum', 'sum-2', '2.0.0', add({ type: 'integer' })))).status, 201);
  t.is((await register(service('sum', 'sum-3', '1.2.9', {}))).status, 201, 'who says nothing breaks nothing');
  const shown = await call(hub.url, 'GET', '/interfaces/sum');
  t.like(shown.body, {
    name: 'sum',
    interfaces: [
      { major: '1', version: '1.2.0', methods: add(number), declaredBy: 'local' },
      { major: '2', version: '2.0.0', methods: add({ type: 'integer' }) },
    ],
  });
});

test('REST › PATCH of methods or version is held to the same', async (t) => {
  await register(service('patch', 'patch-1', '1.0.0', add(number)));
  const patch = (json: object) => call(hub.url, 'PATCH', '/services/patch-1', { json });
  t.like((await patch({ methods: {} })).body, { methods: {} });
  t.like((await patch({ methods: { sub: {} } })).body, { code: 'breaking_change' });
  t.like((await patch({ methods: { ...add({ type: 'integer' }) } })).body, { code: 'breaking_change' });
  t.like((await patch({ methods: { ...add(number), sub: {} }, weight: 3 })).body, { weight: 3 });
  t.like((await patch({ version: '1.4.0' })).body, { version: '1.4.0' });
  t.like((await call(hub.url, 'GET', '/interfaces/patch')).body, {
    interfaces: [{ major: '1', version: '1.4.0', methods: { ...add(number), sub: {} } }],
  });
  t.like((await patch({ status: 'draining', weight: 5 })).body, {
    code: 'invalid',
    errors: [{ pointer: '' }],
  });
});

test('REST › a rolling update: the older version registers again beside the newer one', async (t) => {
  await register(service('roll', 'roll-1', '1.0.0', add(number)));
  t.is((await register(service('roll', 'roll-2', '1.1.0', { ...add(number), sub: {} }))).status, 201);
  t.is((await register(service('roll', 'roll-1', '1.0.0', add(number), { weight: 2 }))).status, 200);
  t.like((await call(hub.url, 'GET', '/interfaces/roll')).body, { interfaces: [{ version: '1.1.0' }] });
});

test('REST › an interface is retired once no instance has it, and is begun anew', async (t) => {
  await register(service('gone', 'gone-1', '1.0.0', add(number)));
  const retire = () => call(hub.url, 'DELETE', '/interfaces/gone/1', { json: { reason: 'a mistake' } });
  t.like((await retire()).body, { code: 'interface_in_use', status: 409, instances: ['gone-1'] });
  await call(hub.url, 'DELETE', '/services/gone-1');
  const retired = await retire();
  t.is(retired.status, 204);
  t.regex(retired.headers['x-nexus-position'] ?? '', /^[0-9a-f]+$/);
  t.is((await call(hub.url, 'GET', '/interfaces/gone')).status, 404);
  t.like((await retire()).body, { code: 'not_found' });
  t.is((await register(service('gone', 'gone-1', '1.0.1', add({ type: 'string' })))).status, 201);
  const stream = await call(hub.url, 'GET', '/streams/interface-gone');
  const { events } = stream.body as { events: { type: string }[] };
  t.deepEqual(
    events.map(({ type }) => type),
    ['InterfaceDeclared', 'InterfaceRetired', 'InterfaceDeclared'],
  );
  const log = await call(hub.url, 'GET', '/log?category=interface&type=InterfaceRetired');
  const retirements = (log.body as { events: { stream: string; data: object }[] }).events;
  t.like(
    retirements.find(({ stream }) => stream === 'interface-gone'),
    { data: { major: '1', reason: 'a mistake' } },
  );
});

test('REST › GET /interfaces comes in pages by name', async (t) => {
  const paged = await openHub();
  t.teardown(() => paged.close());
  for (const name of ['c', 'a', 'b']) await register(service(name, name, '1.0.0', add(number)), {}, paged);
  const namesOf = ({ body }: Answer) =>
    (body as { interfaces: { name: string }[] }).interfaces.map(({ name }) => name);
  const first = await call(paged.url, 'GET', '/interfaces?limit=2');
  t.deepEqual(namesOf(first), ['a', 'b']);
  t.is((first.body as { cursor?: string }).cursor, 'b');
  const rest = await call(paged.url, 'GET', '/interfaces?limit=2&cursor=b');
  t.deepEqual(namesOf(rest), ['c']);
  t.false('cursor' in (rest.body as object));
  t.like((await call(paged.url, 'GET', '/interfaces?cursor=A')).body, {
    code: 'invalid',
    errors: [{ pointer: '/cursor' }],
  });
});

test('REST › a schema that is none, and a major version that is none, are invalid at their place', async (t) => {
  t.like((await register(service('odd', 'odd-1', '1.0.0', { add: { input: 'number' } }))).body, {
    code: 'invalid',
    errors: [{ pointer: '/methods/add/input' }],
  });
  for (const major of ['1.2', '01', '0', 'x'])
    t.like((await call(hub.url, 'DELETE', `/interfaces/odd/${major}`)).body, {
      code: 'invalid',
      errors: [{ pointer: '/major' }],
    });
});

test('idempotency › a registration that was done is answered as then, whatever is declared meanwhile', async (t) => {
  const first = service('idem', 'idem-1', '1.0.0', add(number));
  const headers = { 'idempotency-key': 'k1' };
  const done = await register(first, headers);
  t.is(done.status, 201);
  await register(service('idem', 'idem-1', '1.0.0', { ...add(number), sub: {} }));
  t.is((await register(first)).status, 409, 'the same without the key is a new one');
  const again = await register(first, headers);
  t.is(again.status, 201, again.text);
  t.deepEqual((again.body as { position: string }).position, (done.body as { position: string }).position);
  t.like((await register({ ...first, weight: 2 }, headers)).body, { code: 'idempotency_mismatch' });
});

test('GraphQL › interfaces are read, broken ones refused with the same facts, and retired', async (t) => {
  const input = service('gql', 'gql-1', '1.0.0', add(number));
  const mutation = 'mutation ($input: RegisterServiceInput!) { registerService(input: $input) { id } }';
  t.deepEqual((await askGraphql(hub, mutation, { input })).data, { registerService: { id: 'gql-1' } });
  const broken = { ...input, id: 'gql-2', methods: add({ type: 'integer' }) };
  const { errors } = await askGraphql(hub, mutation, { input: broken });
  t.like(errors[0]?.extensions, { code: 'breaking_change', differences: [difference] });
  const shown = await askGraphql(
    hub,
    '{ serviceInterface(name: "gql") { name interfaces { major version methods declaredBy declaredAt position } } none: serviceInterface(name: "none") { name } serviceInterfaces(first: 1, after: "gqk") { name } }',
  );
  t.like(shown.data, {
    serviceInterface: { name: 'gql', interfaces: [{ major: '1', version: '1.0.0', methods: add(number) }] },
    none: null,
    serviceInterfaces: [{ name: 'gql' }],
  });
  const retire = 'mutation { retireInterface(name: "gql", major: "1", reason: "x") { success name major } }';
  t.is((await askGraphql(hub, retire)).errors[0]?.extensions.code, 'interface_in_use');
  await askGraphql(hub, 'mutation { deregisterService(id: "gql-1") { success } }');
  t.deepEqual((await askGraphql(hub, retire)).data, {
    retireInterface: { success: true, name: 'gql', major: '1' },
  });
});

test('WebSocket and /commands › register, refuse and retire by command', async (t) => {
  const client = await openWs(hub.url);
  t.teardown(() => client.close());
  const run = (type: string, data: object) => client.ask({ type: 'command', command: { type, data } });
  const input = service('ws', 'ws-1', '1.0.0', add(number));
  const done = await run('RegisterService', input);
  t.like(done, { type: 'result', events: [{ type: 'InterfaceDeclared' }, { type: 'ServiceRegistered' }] });
  const broken = { ...input, id: 'ws-2', methods: add({ type: 'integer' }) };
  t.like(await run('RegisterService', broken), {
    type: 'error',
    code: 'breaking_change',
    differences: [difference],
  });
  t.like(await run('RetireInterface', { name: 'ws', major: '1' }), {
    type: 'error',
    code: 'interface_in_use',
  });
  await run('DeregisterService', { id: 'ws-1' });
  const retire = { type: 'RetireInterface', data: { name: 'ws', major: '1' }, commandId: 'retire-ws' };
  for (const again of [false, true]) {
    const answer = await call(hub.url, 'POST', '/commands', { json: retire });
    t.is(answer.status, 200, `${again} ${answer.text}`);
    t.like(answer.body, { commandId: 'retire-ws', events: [{ type: 'InterfaceRetired' }] });
  }
});

test('scopes › interfaces are read with services:read and retired by those whose they are', async (t) => {
  const as = (sub: string, scope: string) => ({ authorization: `Bearer ${signToken(sub, scope)}` });
  const ann = as('ann', 'services:write services:read');
  const bob = as('bob', 'services:write services:read');
  t.is((await register(service('own', 'own-1', '1.0.0', add(number)), ann, guarded)).status, 201);
  for (const path of ['/interfaces', '/interfaces/own', '/streams/interface-own']) {
    t.is((await call(guarded.url, 'GET', path, { headers: bob })).status, 200, path);
    t.is((await call(guarded.url, 'GET', path, { headers: as('eve', 'log:read') })).status, 403, path);
  }
  await call(guarded.url, 'DELETE', '/services/own-1', { headers: ann });
  const retire = (headers: Record<string, string>) =>
    call(guarded.url, 'DELETE', '/interfaces/own/1', { headers });
  t.like((await retire(bob)).body, { code: 'forbidden', scope: 'admin' });
  t.like((await retire(as('ann', 'services:read'))).body, { code: 'forbidden', scope: 'services:write' });
  t.is((await retire(ann)).status, 204);
  await register(service('own', 'own-1', '1.0.0', add(number)), ann, guarded);
  await register(service('own', 'own-2', '1.0.0', {}), bob, guarded);
  await call(guarded.url, 'DELETE', '/services/own-1', { headers: ann });
  t.is((await retire(bob)).status, 204, 'an owner of an instance of the name may');
});

test('an id that another subject holds › is refused everywhere, and declares nothing', async (t) => {
  const token = (sub: string) => signToken(sub, 'services:write services:read');
  const bearer = (sub: string) => ({ authorization: `Bearer ${token(sub)}` });
  t.is((await register(service('held', 'held-1', '1.0.0', {}), bearer('ann'), guarded)).status, 201);
  const taken = service('held', 'held-1', '1.0.0', add(number));
  t.like((await register(taken, bearer('bob'), guarded)).body, { code: 'id_taken', status: 409 });
  const patched = await call(guarded.url, 'PATCH', '/services/held-1', {
    json: { methods: add(number) },
    headers: bearer('bob'),
  });
  t.like(patched.body, { code: 'id_taken' });
  t.like(
    (await call(guarded.url, 'POST', '/services/held-1/heartbeat', { json: {}, headers: bearer('bob') }))
      .body,
    { code: 'id_taken' },
  );
  t.like((await call(guarded.url, 'DELETE', '/services/held-1', { headers: bearer('bob') })).body, {
    code: 'id_taken',
  });
  const commanded = await call(guarded.url, 'POST', '/commands', {
    json: { type: 'RegisterService', data: taken },
    headers: bearer('bob'),
  });
  t.like(commanded.body, { code: 'id_taken' });
  for (const document of [
    'mutation ($input: RegisterServiceInput!) { registerService(input: $input) { id } }',
    'mutation { updateService(id: "held-1", input: { weight: 2 }) { id } }',
    'mutation { heartbeat(id: "held-1") { id } }',
    'mutation { deregisterService(id: "held-1") { id } }',
  ]) {
    const variables = document.includes('$input') ? { input: taken } : undefined;
    const { errors } = await askGraphql(guarded, document, variables, bearer('bob'));
    t.is(errors[0]?.extensions.code, 'id_taken', document);
  }
  const client = await openWs(guarded.url, { protocols: ['nexus.v1', `bearer.${token('bob')}`] });
  t.teardown(() => client.close());
  t.like(await client.ask({ type: 'command', command: { type: 'RegisterService', data: taken } }), {
    type: 'error',
    code: 'id_taken',
  });
  t.is((await call(guarded.url, 'GET', '/interfaces/held', { headers: bearer('ann') })).status, 404);
  t.like((await call(guarded.url, 'GET', '/services/held-1', { headers: bearer('ann') })).body, {
    methods: {},
    revision: 0,
  });
});

test('registering again › keeps the status, and what changed is one ServiceUpdated, over each protocol', async (t) => {
  const input = { name: 'again', id: 'again-1', version: '1.0.0', host: '127.0.0.1', port: 9, ttlSec: 60 };
  await register(input);
  await call(hub.url, 'PATCH', '/services/again-1', { json: { status: 'maintenance', reason: 'disk' } });
  const kept = { status: 'maintenance', statusReason: 'disk', statusCause: 'operator' };
  const rest = await register({ ...input, weight: 2, tags: ['x'] });
  t.is(rest.status, 200);
  t.like(rest.body, { service: { ...kept, weight: 2, tags: ['x'] } });
  const gql = await askGraphql(
    hub,
    'mutation ($input: RegisterServiceInput!) { registerService(input: $input) { created service { status statusReason statusCause weight } } }',
    { input: { ...input, weight: 3, tags: ['x'] } },
  );
  t.deepEqual(gql.data, { registerService: { created: false, service: { ...kept, weight: 3 } } });
  const client = await openWs(hub.url);
  t.teardown(() => client.close());
  const command = {
    type: 'RegisterService',
    data: { ...input, weight: 4, tags: ['x'], capabilities: ['y'] },
  };
  t.like(await client.ask({ type: 'command', command }), {
    type: 'result',
    events: [{ type: 'ServiceUpdated' }],
    result: { service: { ...kept, weight: 4 } },
  });
  t.like(await call(hub.url, 'POST', '/commands', { json: command }), { status: 200, body: { events: [] } });
  const { events } = (await call(hub.url, 'GET', '/streams/service-again-1')).body as {
    events: { type: string; data: object }[];
  };
  t.deepEqual(
    events.slice(2).map(({ type, data }) => [type, data]),
    [
      ['ServiceUpdated', { changes: { weight: 2, tags: ['x'] } }],
      ['ServiceUpdated', { changes: { weight: 3 } }],
      ['ServiceUpdated', { changes: { weight: 4, capabilities: ['y'] } }],
    ],
  );
});
