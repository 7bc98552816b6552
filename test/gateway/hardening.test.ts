import { createServer } from 'node:http';
import { request as requestTls } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { refusedWs } from '../support/ws-client.ts';

const fixtures = join(import.meta.dirname, 'fixtures');
const origin = 'https://app.example';
const hub = await openHub({ jwtSecret, corsOrigins: [origin], allowedTargets: ['127.0.0.0/8'] });
const authorization = `Bearer ${signToken('ada', 'admin')}`;
const instance = createServer((_request, response) => {
  response.setHeader('X-Powered-By', 'an instance');
  response.end('<h1>a page of an instance</h1>');
});
await new Promise<void>((resolve) => instance.listen(0, '127.0.0.1', resolve));
test.before(async () => {
  const { port } = instance.address() as AddressInfo;
  await ask('POST', '/services', { name: 'pages', version: '1.0.0', host: '127.0.0.1', port });
  await ask('PUT', '/state/a', { value: 1 });
});
test.after.always(async () => {
  await hub.close();
  instance.close();
});

const ask = (method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) =>
  fetch(hub.url + path, {
    method,
    headers: {
      authorization,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

for (const [what, path, status, headers] of [
  ['a state entry', '/state/a', 200],
  ['a state entry as Koa answers it', '/state/a', 200, { accept: 'application/json, */*' }],
  ['a fresh state entry', '/state/a', 304, { 'if-none-match': '"1"' }],
  ['a list', '/services', 200],
  ['a message', '/events', 200],
  ['an answer of GraphQL', '/graphql?query=%7B__typename%7D', 200],
  ['a problem', '/state/none', 404],
  ['an unknown path', '/none', 404],
  ['a refusal', '/state/a', 401, { authorization: 'Bearer none' }],
  ['a probe', '/health/live', 200],
  ['the snapshot', '/snapshot', 200],
] as const) {
  test(`security headers › ${what} is neither run nor framed nor loaded by a foreign page`, async (t) => {
    const answer = await ask('GET', path, undefined, headers);
    t.is(answer.status, status);
    t.is(answer.headers.get('x-content-type-options'), 'nosniff');
    t.is(answer.headers.get('content-security-policy'), "default-src 'none'; frame-ancestors 'none'");
    t.is(answer.headers.get('cross-origin-resource-policy'), 'same-origin');
    t.is(answer.headers.get('strict-transport-security'), null, 'without TLS there is nothing to insist on');
    t.regex(answer.headers.get('cache-control') ?? '', /no-store|no-cache/);
    t.is(answer.headers.get('vary')?.includes('Origin'), true);
    for (const name of ['server', 'x-powered-by']) t.is(answer.headers.get(name), null);
    if (status >= 400) t.notRegex(await answer.text(), /node_modules|\.ts:\d|\bat \w+ \(|\d+\.\d+\.\d+/);
  });
}

test('security headers › a page has a policy without inline scripts, its own window, and tells no address', async (t) => {
  const page = await fetch(`${hub.url}/graphql`, { headers: { accept: 'text/html' } });
  t.is(page.status, 200);
  const policy = page.headers.get('content-security-policy') ?? '';
  t.regex(policy, /default-src 'none'/);
  t.regex(policy, /script-src 'self'(;|$)/);
  t.regex(policy, /frame-ancestors 'none'/);
  t.regex(policy, /base-uri 'none'/);
  t.is(page.headers.get('x-frame-options'), 'DENY');
  t.is(page.headers.get('referrer-policy'), 'no-referrer');
  t.is(page.headers.get('cross-origin-opener-policy'), 'same-origin');
  t.notRegex(await page.text(), /<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=/);
});

test('security headers › a page of an instance is sandboxed, and its answer is otherwise its own', async (t) => {
  const answer = await ask('GET', '/proxy/pages/');
  t.is(answer.status, 200);
  t.is(answer.headers.get('x-powered-by'), 'an instance');
  t.regex(answer.headers.get('content-security-policy') ?? '', /sandbox/);
  t.is(answer.headers.get('x-content-type-options'), 'nosniff');
});

test('security headers › what never became a request, and a refused upgrade, are no pages either', async (t) => {
  const raw = await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect(hub.port, '127.0.0.1', () => socket.write('NONSENSE\r\n\r\n'));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('end', () => resolve(text)).on('error', reject);
  });
  t.regex(raw, /^HTTP\/1\.1 400 /);
  t.regex(raw, /x-content-type-options: nosniff/i);
  t.regex(raw, /content-type: application\/problem\+json/i);
  const refused = await refusedWs(hub.url);
  t.is(refused.headers['x-content-type-options'], 'nosniff');
});

test('security headers › over TLS browsers are told to come by nothing else', async (t) => {
  const secure = await openHub({
    jwtSecret,
    tlsCert: join(fixtures, 'first-cert.pem'),
    tlsKey: join(fixtures, 'first-key.pem'),
  });
  t.teardown(secure.close);
  await secure.core.execute(
    { type: 'SetState', data: { key: 'a', value: 1 } },
    { subject: { id: 'ada', scopes: ['admin'] }, correlationId: 'c' },
  );
  // A token is known from its second request on, and the answer another part's.
  for (const path of ['/state/a', '/state/a', '/health/live', '/none']) {
    const value = await new Promise((resolve, reject) => {
      requestTls(
        { host: '127.0.0.1', port: secure.port, path, rejectUnauthorized: false, headers: { authorization } },
        (response) => {
          response.resume();
          resolve(response.headers['strict-transport-security']);
        },
      )
        .on('error', reject)
        .end();
    });
    t.is(value, 'max-age=31536000', path);
  }
});

test('CORS › lets a page of a foreign, unlisted or absent origin read nothing, and nobody send credentials of a browser', async (t) => {
  for (const foreign of [
    'https://evil.example',
    'null',
    'https://app.example.evil.example',
    'http://app.example',
  ]) {
    const preflight = await fetch(`${hub.url}/state/a`, {
      method: 'OPTIONS',
      headers: { origin: foreign, 'access-control-request-method': 'PUT' },
    });
    const answer = await ask('GET', '/state/a', undefined, { origin: foreign });
    for (const { headers } of [preflight, answer]) {
      for (const name of [
        'allow-origin',
        'allow-methods',
        'allow-headers',
        'allow-credentials',
        'expose-headers',
      ])
        t.is(headers.get(`access-control-${name}`), null, `${name} for ${foreign}`);
      t.is(headers.get('vary')?.includes('Origin'), true);
    }
  }
  const listed = await ask('GET', '/state/a', undefined, { origin });
  t.is(listed.headers.get('access-control-allow-origin'), origin);
  t.is(listed.headers.get('access-control-allow-credentials'), null);
});

const askAs = async (
  scope: string,
  method: string,
  path: string,
  body: unknown,
  type = 'application/json',
) => {
  const response = await fetch(hub.url + path, {
    method,
    headers: { authorization: `Bearer ${signToken('ada', scope)}`, 'content-type': type },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) as Readonly<Record<string, unknown>> };
};
const writes = 'state:write:told/*';
const reads = 'state:read:told/*';
const secret = 'what only readers may know';
const mergePatch = 'application/merge-patch+json';
const jsonPatch = 'application/json-patch+json';

/** A transaction that always does `operations`. */
const transact = (scope: string, operations: readonly object[]) =>
  // biome-ignore lint/suspicious/noThenProperty: the name on the wire
  askAs(scope, 'POST', '/state', { then: operations });

const put = (key: string, value: unknown) => askAs('admin', 'PUT', `/state/told%2F${key}`, { value });

test('a writer who may not read › is not told the value of a conflict, whichever write it was', async (t) => {
  await put('conflict', secret);
  const path = '/state/told%2Fconflict';
  for (const [method, body, type] of [
    ['PUT', { value: 1, expectedVersion: 9 }],
    ['PATCH', { a: 1 }, mergePatch],
    ['DELETE', { expectedVersion: 9 }],
    ['POST', { by: 1, expectedVersion: 9 }],
  ] as const) {
    const own = method === 'POST' ? `${path}/increment` : path;
    const sent = method === 'PATCH' ? `${own}?resolver=none` : own;
    const blind = await askAs(writes, method, sent, body, type);
    t.true(blind.status >= 400, blind.text);
    t.false(blind.text.includes(secret), blind.text);
  }
  const header = await fetch(hub.url + path, {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${signToken('ada', writes)}`,
      'content-type': 'application/json',
      'if-match': '"9"',
    },
    body: JSON.stringify({ value: 1 }),
  });
  t.is(header.status, 412);
  t.false((await header.text()).includes(secret));
  const seen = await askAs(`${writes} ${reads}`, 'PUT', path, { value: 1, expectedVersion: 9 });
  t.is(seen.body.code, 'version_conflict');
  t.is(seen.body.currentValue, secret);
});

test('a writer who may not read › is not told the value that a patch or an increment makes', async (t) => {
  await put('patched', { secret });
  await put('count', 41);
  const patch = await askAs(writes, 'PATCH', '/state/told%2Fpatched', { a: 1 }, mergePatch);
  t.is(patch.status, 200);
  t.deepEqual(Object.keys(patch.body).toSorted(), ['key', 'position', 'version']);
  const increment = await askAs(writes, 'POST', '/state/told%2Fcount/increment', { by: 1 });
  t.is(increment.status, 200);
  t.false(increment.text.includes('42'));
  const seen = await askAs(`${writes} ${reads}`, 'POST', '/state/told%2Fcount/increment', { by: 1 });
  t.is(seen.body.value, 43);
  const own = await askAs(writes, 'PUT', '/state/told%2Fcount', { value: 7 });
  t.is(own.body.value, 7, 'what it has sent itself is told');
});

test('a writer who may not read › is not told the value that a resolver makes', async (t) => {
  await put('merged', { secret });
  const body = { value: { a: 1 }, expectedVersion: 0, resolver: 'three-way-merge' };
  const merged = await askAs(writes, 'PUT', '/state/told%2Fmerged', body);
  t.false(merged.text.includes(secret), merged.text);
});

test('a writer who may not read › is not told values by a transaction, done or refused', async (t) => {
  await put('a', { secret });
  await put('b', 41);
  const operations = [
    { op: 'patch', key: 'told/a', format: 'merge-patch', patch: { x: 1 } },
    { op: 'increment', key: 'told/b' },
    { op: 'set', key: 'told/c', value: 'own' },
  ];
  const done = await transact(writes, operations);
  t.is(done.status, 200, done.text);
  t.false(done.text.includes(secret));
  t.false(done.text.includes('42'));
  t.true(done.text.includes('own'));
  const stale = [{ op: 'set', key: 'told/a', value: 1, expectedVersion: 9 }];
  const refused = await transact(writes, stale);
  t.is(refused.body.code, 'version_conflict');
  t.false(refused.text.includes(secret));
  const seen = await transact(`${writes} ${reads}`, stale);
  t.true(seen.text.includes(secret));
});

test('a writer who may not read › cannot guess a value by the test of a JSON patch', async (t) => {
  await put('guessed', { pin: 1234 });
  const guess = [{ op: 'test', path: '/pin', value: 1 }];
  const path = '/state/told%2Fguessed';
  const blind = await askAs(writes, 'PATCH', path, guess, jsonPatch);
  t.is(blind.body.scope, 'state:read:told/guessed');
  const within = [{ op: 'patch', key: 'told/guessed', format: 'json-patch', patch: guess }];
  t.is((await transact(writes, within)).body.scope, 'state:read:told/guessed');
  t.is((await askAs(`${writes} ${reads}`, 'PATCH', path, guess, jsonPatch)).body.code, 'patch_failed');
});
