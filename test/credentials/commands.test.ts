import test from 'ava';
import { askGraphql } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';
import { readWholeLog, request } from '../support/rest.ts';
import { openWs } from '../support/ws-client.ts';

/** In protected mode: whoever is on this machine may make keys before authentication is turned on. */
const hub = await openHub();
test.after.always(() => hub.close());

const create = (body: object, headers: Readonly<Record<string, string>> = {}) =>
  request(hub.url, 'POST', '/api-keys', { body, headers });
const revoke = (body: object) => request(hub.url, 'POST', '/revoked-tokens', { body });
const secretOf = (key: unknown): string => String(key).slice(-43);
const tokenOf = (claims: object): string =>
  ['{}', JSON.stringify(claims), 'x'].map((part) => Buffer.from(part).toString('base64url')).join('.');
const nowSec = Math.floor(Date.now() / 1_000);

test('a key › is shown once, then listed and read without its secret, and gone when revoked', async (t) => {
  const made = await create({ name: 'ci', scopes: ['services:read', 'state:read:a/*'] });
  t.is(made.status, 201);
  const { id, key, position, ...rest } = made.body;
  t.regex(String(key), new RegExp(`^nxk_${id}_[A-Za-z0-9_-]{43}$`));
  t.regex(String(id), /^[0-9a-f]{24}$/);
  t.like(rest, {
    name: 'ci',
    scopes: ['services:read', 'state:read:a/*'],
    subject: `key:${id}`,
    createdBy: 'local',
    expiresAt: null,
    keyShown: true,
  });
  t.is(made.headers.get('x-nexus-position'), String(position));
  const { keyShown: _keyShown, ...shown } = rest;
  t.deepEqual((await request(hub.url, 'GET', `/api-keys/${id}`)).body, { id, ...shown });
  const listed = await request(hub.url, 'GET', '/api-keys');
  t.deepEqual(
    (listed.body.apiKeys as readonly { readonly id: string }[]).find((one) => one.id === id),
    { id, ...shown } as never,
  );
  t.is((await request(hub.url, 'DELETE', `/api-keys/${id}`)).status, 204);
  t.is((await request(hub.url, 'GET', `/api-keys/${id}`)).status, 404);
  t.is((await request(hub.url, 'DELETE', `/api-keys/${id}`)).status, 404);
});

test('a key › leaves its secret in no event, no history, no state and no log line', async (t) => {
  const made = await create({ name: 'quiet', scopes: ['admin'], ttlSec: 600 });
  const secret = secretOf(made.body.key);
  t.is(secret.length, 43);
  const stateKey = `/state/nexus/api-keys/${made.body.id}`;
  for (const text of [
    JSON.stringify(await readWholeLog(hub.url)),
    JSON.stringify((await request(hub.url, 'GET', `${stateKey}/history`)).body),
    JSON.stringify((await request(hub.url, 'GET', '/snapshot')).body),
    JSON.stringify(hub.logged),
  ]) {
    t.false(text.includes(secret));
    t.false(text.includes(Buffer.from(secret, 'base64url').toString('hex')));
  }
  const stored = (await request(hub.url, 'GET', stateKey)).body;
  t.is(stored.expiresAt, made.body.expiresAt, 'it goes by itself');
  t.regex(String((stored.value as { readonly hash: string }).hash), /^[0-9a-f]{64}$/);
});

test('a key › that is made again with the same Idempotency-Key is the same one, and its secret is not told', async (t) => {
  const headers = { 'idempotency-key': 'make-one' };
  const input = { name: 'once', scopes: ['log:read'] };
  const first = await create(input, headers);
  const again = await create(input, headers);
  t.is(again.status, 201);
  t.is(again.headers.get('idempotent-replayed'), 'true');
  const { key, ...told } = first.body;
  t.truthy(key);
  t.deepEqual(again.body, { ...told, keyShown: false });
  t.is((await create({ ...input, name: 'other' }, headers)).body.code, 'idempotency_mismatch');
});

test('a key › of another form is refused with a pointer', async (t) => {
  const good = { name: 'a', scopes: ['admin'] };
  for (const [input, pointer] of [
    [{ ...good, name: '' }, '/name'],
    [{ ...good, name: 'a\nb' }, '/name'],
    [{ ...good, scopes: [] }, '/scopes'],
    [{ ...good, scopes: 'admin' }, '/scopes'],
    [{ ...good, scopes: Array.from({ length: 65 }, () => 'admin') }, '/scopes'],
    [{ ...good, scopes: ['admin', 'state:read'] }, '/scopes/1'],
    [{ ...good, scopes: ['state:read:a b'] }, '/scopes/0'],
    [{ ...good, scopes: ['events:read:a..b'] }, '/scopes/0'],
    [{ ...good, scopes: ['services:invoke:A'] }, '/scopes/0'],
    [{ ...good, scopes: ['admin log:read'] }, '/scopes/0'],
    [{ ...good, scopes: ['__proto__:x:y'] }, '/scopes/0'],
    [{ ...good, subject: 'system' }, '/subject'],
    [{ ...good, subject: 'plugin:x' }, '/subject'],
    [{ ...good, subject: '' }, '/subject'],
    [{ ...good, ttlSec: 0 }, '/ttlSec'],
    [{ ...good, ttlSec: 1, expiresAt: '2999-01-01T00:00:00Z' }, ''],
    [{ ...good, expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
    [{ ...good, expiresAt: 'tomorrow' }, '/expiresAt'],
    [{ ...good, hash: 'x' }, ''],
  ] as const) {
    const { status, body } = await create(input);
    t.is(status, 422, JSON.stringify(input));
    const [error] = body.errors as readonly { readonly pointer: string }[];
    t.is(error?.pointer, pointer, JSON.stringify(input));
  }
  for (const id of ['x', '__proto__', 'a'.repeat(25), '%00'])
    t.is((await request(hub.url, 'DELETE', `/api-keys/${id}`)).status, 422, id);
});

test('lists › come in pages, each behind the one before', async (t) => {
  for (let made = 0; made < 5; made++) await create({ name: `page ${made}`, scopes: ['admin'] });
  for (let made = 0; made < 5; made++) await revoke({ jti: `page-${made}` });
  for (const [path, member, name] of [
    ['/api-keys', 'apiKeys', 'id'],
    ['/revoked-tokens', 'revokedTokens', 'jti'],
  ] as const) {
    const all = (await request(hub.url, 'GET', `${path}?limit=1000`)).body[member] as readonly object[];
    const paged: object[] = [];
    for (let cursor: unknown = ''; cursor !== undefined; ) {
      const from = cursor === '' ? '' : `&cursor=${encodeURIComponent(String(cursor))}`;
      const { body } = await request(hub.url, 'GET', `${path}?limit=2${from}`);
      const items = body[member] as readonly object[];
      t.true(items.length <= 2);
      paged.push(...items);
      cursor = body.cursor;
    }
    t.true(paged.length >= 5);
    const names = (items: readonly object[]) => items.map((item) => Reflect.get(item, name) as string);
    t.true(names(all).length >= names(paged).length - 5);
    t.deepEqual(names(paged), names(paged).toSorted());
    t.is(
      (await request(hub.url, 'GET', `${path}?cursor=${encodeURIComponent('x'.repeat(600))}`)).status,
      422,
    );
  }
});

test('a revocation › lasts until the token has expired, and is prolonged but never shortened', async (t) => {
  const first = await revoke({ jti: 'j-1', expiresAt: '2040-01-01T00:00:00Z' });
  t.is(first.status, 201);
  t.like(first.body, { jti: 'j-1', expiresAt: '2040-01-01T00:00:30.000Z' });
  const shorter = await revoke({ jti: 'j-1', expiresAt: '2039-01-01T00:00:00Z' });
  t.is(shorter.status, 200);
  t.is(shorter.body.expiresAt, '2040-01-01T00:00:30.000Z');
  await revoke({ jti: 'j-1', expiresAt: '2041-01-01T00:00:00Z' });
  const { body } = await request(hub.url, 'GET', '/revoked-tokens?limit=1000');
  const entry = (body.revokedTokens as readonly { readonly jti: string }[]).find(({ jti }) => jti === 'j-1');
  t.like(entry, { revokedBy: 'local', expiresAt: '2041-01-01T00:00:30.000Z' });
});

test('a revocation › without an end lasts 365 days, and of a whole token until its exp and the leeway', async (t) => {
  const days = Date.parse(String((await revoke({ jti: 'j-2' })).body.expiresAt)) - Date.now();
  t.true(Math.abs(days - 365 * 86_400_000) < 60_000);
  const whole = await revoke({ token: tokenOf({ jti: 'j/3*%?', exp: nowSec + 100 }) });
  t.like(whole.body, { jti: 'j/3*%?', expiresAt: new Date((nowSec + 130) * 1_000).toISOString() });
  t.false(
    JSON.stringify(await readWholeLog(hub.url)).includes(tokenOf({ jti: 'j/3*%?', exp: nowSec + 100 })),
  );
});

test('a revocation › of what cannot be one is refused with a pointer', async (t) => {
  for (const [input, pointer] of [
    [{}, ''],
    [{ jti: 'a', token: 'b' }, ''],
    [{ token: tokenOf({ jti: 'a', exp: nowSec + 9 }), expiresAt: '2040-01-01T00:00:00Z' }, ''],
    [{ jti: '' }, '/jti'],
    [{ jti: 'x'.repeat(257) }, '/jti'],
    [{ jti: '𐍈'.repeat(128) }, '/jti'],
    [{ jti: 'a\u0000' }, '/jti'],
    [{ jti: 'a', expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
    [{ token: 'no token' }, '/token'],
    [{ token: 'a.e30.b' }, '/token'],
    [{ token: `a.${Buffer.from('null').toString('base64url')}.b` }, '/token'],
    [{ token: tokenOf({ exp: nowSec + 9 }) }, '/token'],
    [{ token: tokenOf({ jti: 'a' }) }, '/token'],
    [{ token: tokenOf({ jti: 7, exp: nowSec + 9 }) }, '/token'],
    [{ token: tokenOf({ jti: 'a', exp: nowSec - 31 }) }, '/token'],
  ] as const) {
    const { status, body } = await revoke(input);
    t.is(status, 422, JSON.stringify(input));
    const [error] = body.errors as readonly { readonly pointer: string }[];
    t.is(error?.pointer, pointer, JSON.stringify(input));
  }
});

test('a policy for all keys › keeps nobody from making and revoking', async (t) => {
  const own = await openHub();
  t.teardown(() => own.close());
  const policy = { resolver: 'max', maxKeys: 1, owner: { subject: 'ann' } };
  await request(own.url, 'PUT', '/state-policies/*', { body: policy });
  const body = { name: 'a', scopes: ['admin'] };
  const made = await request(own.url, 'POST', '/api-keys', { body });
  t.is((await request(own.url, 'POST', '/api-keys', { body })).status, 201);
  t.is((await request(own.url, 'POST', '/revoked-tokens', { body: { jti: 'a' } })).status, 201);
  t.is((await request(own.url, 'DELETE', `/api-keys/${made.body.id}`)).status, 204);
});

test('the commands › are those of POST /commands, of frames and of GraphQL too', async (t) => {
  const data = { name: 'everywhere', scopes: ['admin'] };
  const posted = await request(hub.url, 'POST', '/commands', { body: { type: 'CreateApiKey', data } });
  t.regex(String((posted.body.result as { readonly key: string }).key), /^nxk_/);
  const client = await openWs(hub.url);
  const framed = await client.ask({ type: 'command', command: { type: 'CreateApiKey', data } });
  t.regex(String((framed.result as { readonly key: string }).key), /^nxk_/);
  const gone = { type: 'RevokeApiKey', data: { id: (framed.result as { readonly id: string }).id } };
  t.is((await client.ask({ type: 'command', command: gone })).type, 'result');
  t.is((await client.ask({ type: 'command', command: gone })).code, 'not_found');
  await client.close();

  const made = await askGraphql(
    hub,
    'mutation { createApiKey(name: "g", scopes: ["admin"], ttlSec: 60) { success id key keyShown subject expiresAt } }',
  );
  const key = made.data?.createApiKey as Readonly<Record<string, unknown>>;
  t.like(key, { success: true, keyShown: true, subject: `key:${key.id}` });
  t.regex(String(key.key), /^nxk_/);
  const id = String(key.id);
  const read = await askGraphql(hub, 'query ($id: ID!) { apiKey(id: $id) { id scopes } apiKeys { id } }', {
    id,
  });
  t.like(read.data, { apiKey: { id, scopes: ['admin'] } });
  const document = `mutation ($id: ID!) {
    revokeApiKey(id: $id) { success id }
    revokeToken(jti: "from-GraphQL") { jti expiresAt }
  }`;
  t.like((await askGraphql(hub, document, { id })).data, { revokeToken: { jti: 'from-GraphQL' } });
  const rest = await askGraphql(
    hub,
    'query ($id: ID!) { apiKey(id: $id) { id } revokedTokens(first: 1000) { jti } }',
    { id },
  );
  t.is(rest.data?.apiKey, null);
  t.true(JSON.stringify(rest.data).includes('from-GraphQL'));
});
