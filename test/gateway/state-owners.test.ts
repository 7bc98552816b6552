import test from 'ava';
import type { Context } from '../../src/nexus-core.ts';
import { askGraphql } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const hub = await openHub({ jwtSecret });
test.after.always(() => hub.close());

const bearer = (subject: string, scope: string) => ({
  authorization: `Bearer ${signToken(subject, scope)}`,
});
const admin = bearer('root', 'admin');
const everything = 'state:write:* state:read:*';

const setPolicy = async (pattern: string, rules: object): Promise<void> => {
  await request(hub.url, 'PUT', `/state-policies/${encodeURIComponent(pattern)}`, {
    headers: admin,
    body: rules,
  });
};

const run = (headers: Record<string, string>, type: string, data: object) =>
  request(hub.url, 'POST', '/commands', { headers, body: { type, data } });

/** Each command on a key, with the status that it has when it may be run and the key is as `ready` makes it. */
const commands = [
  ['SetState', { value: 1 }, 200],
  ['PatchState', { format: 'merge-patch', patch: { a: 1 } }, 200],
  ['IncrementState', {}, 200],
  ['AcquireLock', { ttlMs: 60_000 }, 200],
  ['RenewLock', { token: 1, ttlMs: 60_000 }, 409],
  ['ReleaseLock', { token: 1 }, 409],
  ['DeleteState', {}, 404],
] as const;

for (const [type, data, allowed] of commands) {
  test(`${type} › is for the owner and admin alone`, async (t) => {
    const pattern = `owned/${type}/*`;
    await setPolicy(pattern, { owner: { subject: 'ann' } });
    const on = (key: string) => ({ key: `owned/${type}/${key}`, ...data });
    const refused = await run(bearer('bob', everything), type, on('bob'));
    t.is(refused.status, 403);
    t.like(refused.body, { code: 'forbidden', pattern, key: `owned/${type}/bob` });
    t.is((await run(bearer('ann', everything), type, on('ann'))).status, allowed);
    t.is((await run(admin, type, on('admin'))).status, allowed);
    const unscoped = await run(bearer('ann', 'state:write:other/*'), type, on('ann'));
    t.is(unscoped.status, 403);
    t.is(unscoped.body.scope, `state:write:owned/${type}/ann`);
  });
}

test('a transaction › that writes one key of another owner is refused whole; reading it is allowed', async (t) => {
  await setPolicy('tx/*', { owner: { subject: 'ann' } });
  const transact = (subject: string, op: object) =>
    run(bearer(subject, everything), 'TransactState', {
      // biome-ignore lint/suspicious/noThenProperty: a list, by the name that it has on the wire
      then: [
        { op: 'set', key: 'mine', value: subject },
        { key: 'tx/x', ...op },
      ],
    });
  const refused = await transact('bob', { op: 'set', value: 1 });
  t.is(refused.status, 403);
  t.is(refused.body.pattern, 'tx/*');
  t.is((await request(hub.url, 'GET', '/state/mine', { headers: admin })).status, 404);
  t.is((await transact('bob', { op: 'get' })).status, 200);
  t.is((await transact('ann', { op: 'set', value: 1 })).status, 200);
});

test('an owner by scope › is whoever has that scope, and one that covers it is not it', async (t) => {
  await setPolicy('shop/*', { owner: { scope: 'state:write:shop/*' } });
  const set = (scope: string) => run(bearer('bob', scope), 'SetState', { key: 'shop/x', value: 1 });
  t.is((await set('state:write:shop/*')).status, 200);
  t.is((await set('state:write:*')).status, 403);
});

test('an owner › of a longer pattern takes its keys from that of a shorter one, until it is removed', async (t) => {
  await setPolicy('deep/*', { owner: { subject: 'ann' } });
  await setPolicy('deep/er/*', { owner: { subject: 'bob' } });
  await setPolicy('deep/er/est', { maxKeys: 1 });
  const set = (subject: string, key: string) =>
    run(bearer(subject, everything), 'SetState', { key, value: 1 });
  t.is((await set('ann', 'deep/x')).status, 200);
  t.is((await set('bob', 'deep/x')).status, 403);
  t.is((await set('ann', 'deep/er/x')).status, 403);
  t.is((await set('bob', 'deep/er/est')).status, 200);
  await request(hub.url, 'DELETE', '/state-policies/deep%2Fer%2F*', { headers: admin });
  t.is((await set('ann', 'deep/er/x')).status, 200);
});

test('an owner › is asked for over REST, GraphQL and WebSocket alike', async (t) => {
  await setPolicy('each/*', { owner: { subject: 'ann' } });
  const headers = bearer('bob', everything);
  const rest = await request(hub.url, 'PUT', '/state/each%2Fx', { headers, body: { value: 1 } });
  t.is(rest.status, 403);
  t.is(rest.body.pattern, 'each/*');
  const graphql = await askGraphql(
    hub,
    'mutation { setState(key: "each/x", value: 1) { version } }',
    undefined,
    headers,
  );
  t.like(graphql.errors[0]?.extensions, { code: 'forbidden', pattern: 'each/*' });
  const ws = await openWs(hub.url, { headers });
  t.like(
    await ws.ask({ type: 'command', command: { type: 'SetState', data: { key: 'each/x', value: 1 } } }),
    {
      type: 'error',
      code: 'forbidden',
      pattern: 'each/*',
    },
  );
  await ws.close();
});

test('reading is not the owner’s alone', async (t) => {
  await setPolicy('read/*', { owner: { subject: 'ann' } });
  await run(bearer('ann', everything), 'SetState', { key: 'read/x', value: 1 });
  t.is(
    (await request(hub.url, 'GET', '/state/read%2Fx', { headers: bearer('bob', everything) })).status,
    200,
  );
});

test('the keys under plugin/NAME/ › are the plugin’s, whatever a policy says', async (t) => {
  await setPolicy('plugin/cart/*', { owner: { subject: 'ann' } });
  const as = (id: string, ...scopes: readonly string[]): Context => ({
    subject: { id, scopes },
    correlationId: 'c',
  });
  const set = (context: Context, key: string) =>
    hub.core.execute({ type: 'SetState', data: { key, value: 1 } }, context);
  t.true((await set(as('plugin:cart'), 'plugin/cart/x')).ok);
  t.true((await set(as('root', 'admin'), 'plugin/cart/x')).ok);
  t.false((await set(as('ann', 'state:write:*'), 'plugin/cart/x')).ok);
  t.false((await set(as('plugin:mail'), 'plugin/cart/x')).ok);
  t.false((await set(as('plugin:cart'), 'other')).ok);
  const forged = await request(hub.url, 'PUT', '/state/plugin%2Fcart%2Fx', {
    headers: bearer('plugin:cart', 'state:write:*'),
    body: { value: 1 },
  });
  t.is(forged.status, 401);
});
