import test from 'ava';
import { askGraphql } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const hub = await openHub();
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

const pathOf = (pattern: string) => `/state-policies/${encodeURIComponent(pattern)}`;
const put = (pattern: string, rules: object) => request(hub.url, 'PUT', pathOf(pattern), { body: rules });

test('REST › a policy is set, read, replaced, listed and removed by its pattern', async (t) => {
  const first = await put('rest/*', { resolver: 'max', owner: { subject: 'ann' }, maxKeys: 5 });
  t.is(first.status, 201);
  const nothing = {
    pattern: 'rest/*',
    resolver: null,
    owner: null,
    maxKeys: null,
    maxBytes: null,
    maxVersions: null,
    maxAgeSec: null,
  };
  const set = { ...nothing, resolver: 'max', owner: { subject: 'ann' }, maxKeys: 5 };
  t.like(first.body, set);
  t.is(first.headers.get('x-nexus-position'), String(first.body.position));
  t.like((await request(hub.url, 'GET', '/state-policies/rest/*')).body, set);
  const second = await put('rest/*', { maxVersions: 3, maxAgeSec: 60, owner: { scope: 'shop' } });
  t.is(second.status, 200);
  const replaced = { ...nothing, maxVersions: 3, maxAgeSec: 60, owner: { scope: 'shop' } };
  t.like((await request(hub.url, 'GET', pathOf('rest/*'))).body, replaced);
  const again = await put('rest/*', { maxVersions: 3, maxAgeSec: 60, owner: { scope: 'shop' } });
  t.is(again.status, 200);
  const { body } = await request(hub.url, 'GET', '/state-policies');
  const policies = body.policies as readonly { readonly pattern: string }[];
  t.like(
    policies.find(({ pattern }) => pattern === 'rest/*'),
    replaced,
  );
  t.is((await request(hub.url, 'DELETE', pathOf('rest/*'))).status, 204);
  t.is((await request(hub.url, 'GET', pathOf('rest/*'))).status, 404);
  t.is((await request(hub.url, 'DELETE', pathOf('rest/*'))).status, 404);
});

for (const [claim, pattern, rules, pointer] of [
  ['that says nothing', 'bad', {}, ''],
  ['of only nulls', 'bad', { maxBytes: null, owner: null }, ''],
  ['for no key at all', 'bad', { maxKeys: 0 }, '/maxKeys'],
  ['for part of a byte', 'bad', { maxBytes: 1.5 }, '/maxBytes'],
  ['with an owner that is a text', 'bad', { owner: 'ann' }, '/owner'],
  ['with an owner that is two', 'bad', { owner: { subject: 'ann', scope: 'x' } }, '/owner'],
  ['with a nameless resolver', 'bad', { resolver: '' }, '/resolver'],
  ['with a rule that is unknown', 'bad', { maxKey: 1 }, ''],
  ['for a pattern that is too long', 'x'.repeat(513), { maxKeys: 1 }, '/pattern'],
  ['for a prefix that is too long', `${'x'.repeat(513)}*`, { maxKeys: 1 }, '/pattern'],
  ['for a pattern with a control character', 'a\u0001*', { maxKeys: 1 }, '/pattern'],
] as const) {
  test(`REST › a policy ${claim} is invalid`, async (t) => {
    const { status, body } = await put(pattern, rules);
    t.is(status, 422);
    const errors = body.errors as { pointer: string }[];
    t.true(errors.some((error) => error.pointer.startsWith(pointer)));
  });
}

test('a policy needs admin; reading it the scope of its keys, or that of the log', async (t) => {
  const call = (method: string, path: string, scope: string, body?: object) =>
    request(guarded.url, method, path, {
      headers: { authorization: `Bearer ${signToken('ada', scope)}` },
      ...(body === undefined ? {} : { body }),
    });
  const path = pathOf('app/*');
  const rules = { maxKeys: 1 };
  const refused = await call('PUT', path, 'state:write:* state:read:* log:read', rules);
  t.is(refused.status, 403);
  t.is(refused.body.scope, 'admin');
  t.is((await call('PUT', path, 'admin', rules)).status, 201);
  t.is((await call('DELETE', path, 'state:write:*')).status, 403);
  t.is((await call('GET', path, 'state:read:app/*')).status, 200);
  t.is((await call('GET', path, 'log:read')).status, 200);
  t.is((await call('GET', path, 'state:read:app/x*')).status, 403);
  t.is((await call('GET', path, 'state:read:app/')).status, 403);
  t.is((await call('GET', '/state-policies', 'state:read:app/*')).status, 403);
  t.is((await call('GET', '/state-policies', 'state:read:*')).status, 200);
});

test('GraphQL › sets, lists and removes policies', async (t) => {
  const set = await askGraphql(
    hub,
    `mutation { setStatePolicy(pattern: "gql/*", owner: { subject: "ann" }, maxBytes: 9)
      { success pattern owner { subject scope } maxBytes maxKeys position } }`,
  );
  const owner = { subject: 'ann', scope: null };
  t.like(set.data, {
    setStatePolicy: { success: true, pattern: 'gql/*', owner, maxBytes: 9, maxKeys: null },
  });
  const one = await askGraphql(hub, '{ statePolicies(pattern: "gql/*") { pattern maxBytes resolver } }');
  t.deepEqual(one.data, { statePolicies: [{ pattern: 'gql/*', maxBytes: 9, resolver: null }] });
  const all = await askGraphql(hub, '{ statePolicies { pattern } }');
  t.true(JSON.stringify(all.data).includes('{"pattern":"gql/*"}'));
  const bad = await askGraphql(
    hub,
    'mutation { setStatePolicy(pattern: "gql/*", owner: { subject: "a", scope: "b" }) { success } }',
  );
  t.is(bad.errors[0]?.extensions.code, 'invalid');
  const removed = await askGraphql(hub, 'mutation { removeStatePolicy(pattern: "gql/*") { success } }');
  t.deepEqual(removed.data, { removeStatePolicy: { success: true } });
  t.deepEqual((await askGraphql(hub, '{ statePolicies(pattern: "gql/*") { pattern } }')).data, {
    statePolicies: [],
  });
});

test('WebSocket and /commands › set and remove policies', async (t) => {
  const ws = await openWs(hub.url);
  const done = await ws.ask({
    type: 'command',
    command: { type: 'SetStatePolicy', data: { pattern: 'ws/*', maxKeys: 2 } },
  });
  t.like(done.result, { pattern: 'ws/*', maxKeys: 2, owner: null });
  await ws.close();
  const removed = await request(hub.url, 'POST', '/commands', {
    body: { type: 'RemoveStatePolicy', data: { pattern: 'ws/*' } },
  });
  t.is(removed.status, 200);
  t.is((await request(hub.url, 'GET', pathOf('ws/*'))).status, 404);
});

test('a quota that is used up › is 507 with its facts on every protocol, and usage is shown', async (t) => {
  await put('full/*', { maxKeys: 1 });
  const set = (key: string) =>
    request(hub.url, 'PUT', `/state/${encodeURIComponent(key)}`, { body: { value: 1 } });
  t.is((await set('full/a')).status, 201);
  const refused = await set('full/b');
  t.is(refused.status, 507);
  const facts = { code: 'quota_exceeded', pattern: 'full/*', of: 'keys', limit: 1, used: 1, needed: 1 };
  t.like(refused.body, facts);
  const graphql = await askGraphql(hub, 'mutation { setState(key: "full/b", value: 1) { version } }');
  t.like(graphql.errors[0]?.extensions, facts);
  const ws = await openWs(hub.url);
  const command = { type: 'SetState', data: { key: 'full/b', value: 1 } };
  t.like(await ws.ask({ type: 'command', command }), { type: 'error', ...facts });
  await ws.close();
  t.like((await request(hub.url, 'POST', '/commands', { body: command })).body, facts);
  const usage = { keys: 1, bytes: 7 };
  t.deepEqual((await request(hub.url, 'GET', pathOf('full/*'))).body.usage, usage);
  const { body } = await request(hub.url, 'GET', '/state-policies');
  const policies = body.policies as readonly { readonly pattern: string; readonly usage: unknown }[];
  t.deepEqual(policies.find(({ pattern }) => pattern === 'full/*')?.usage, usage);
  const shown = await askGraphql(hub, '{ statePolicies(pattern: "full/*") { usage { keys bytes } } }');
  t.deepEqual(shown.data, { statePolicies: [{ usage }] });
  await put('none/*', { resolver: 'max' });
  t.is((await request(hub.url, 'GET', pathOf('none/*'))).body.usage, null);
});
