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
