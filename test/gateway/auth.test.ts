import test from 'ava';
import jwt from 'jsonwebtoken';
import { type Hub, openHub } from '../support/hub.ts';
import { type Answer, call, openEvents } from './client.ts';

const secret = 'a secret of more than thirty-two bytes';
let hub: Hub;
let open: Hub;
test.before(async () => {
  hub = await openHub({ jwtSecret: secret, jwtIssuer: 'issuer', jwtAudience: 'hub' });
  open = await openHub({ corsOrigins: ['https://app.example'] });
});
test.after.always(() => Promise.all([hub.close(), open.close()]));

const nowSec = (): number => Math.floor(Date.now() / 1_000);
const claims = (more: object = {}): object => ({
  sub: 'ada',
  scope: 'state:read:* state:write:* events:read:*',
  iat: nowSec(),
  exp: nowSec() + 600,
  iss: 'issuer',
  aud: 'hub',
  ...more,
});
const sign = (more: object = {}, key = secret, options: jwt.SignOptions = {}): string =>
  jwt.sign(claims(more), key, options);
const as = (token: string): { headers: Record<string, string> } => ({
  headers: { authorization: `Bearer ${token}` },
});
const codeOf = (answer: Answer): unknown => (answer.body as { code?: unknown } | null)?.code;

test('with a token › the subject acts, and its name stands in what it did', async (t) => {
  t.is((await call(hub.url, 'PUT', '/state/mine', { ...as(sign()), json: { value: 1 } })).status, 201);
  const read = await call(hub.url, 'GET', '/state/mine', as(sign()));
  t.like(read.body as object, { value: 1, updatedBy: 'ada' });
});

test('without a token › everything but the two probes is 401 and names the scheme', async (t) => {
  for (const path of [
    '/state/a',
    '/services',
    '/health',
    '/log',
    '/nothing',
    '/health/live/',
    '/health/livex',
  ]) {
    const answer = await call(hub.url, 'GET', path);
    t.is(codeOf(answer), 'unauthorized', path);
    t.is(answer.headers['www-authenticate'], 'Bearer realm="nexus"');
  }
  for (const path of ['/health/live', '/health/ready', '/health/live?x=1']) {
    t.is((await call(hub.url, 'GET', path)).status, 200, path);
  }
  t.is((await call(hub.url, 'POST', '/health/live')).status, 401);
});

const bad: Readonly<Record<string, () => string>> = {
  'no JWT': () => 'abc',
  'another secret': () => sign({}, 'another secret of thirty-two bytes or so'),
  'another algorithm': () => sign({}, secret, { algorithm: 'HS384' }),
  'no exp': () => jwt.sign({ sub: 'ada', iat: nowSec(), iss: 'issuer', aud: 'hub' }, secret),
  'no iat': () =>
    jwt.sign({ sub: 'a', exp: nowSec() + 9, iss: 'issuer', aud: 'hub' }, secret, { noTimestamp: true }),
  'no sub': () => jwt.sign({ exp: nowSec() + 9, iss: 'issuer', aud: 'hub' }, secret),
  'an exp long ago': () => sign({ exp: nowSec() - 3_600 }),
  'an nbf far ahead': () => sign({ nbf: nowSec() + 3_600 }),
  'an iat far ahead': () => sign({ iat: nowSec() + 3_600 }),
  'another issuer': () => sign({ iss: 'other' }),
  'another audience': () => sign({ aud: 'other' }),
};
for (const [what, make] of Object.entries(bad)) {
  test(`a token with ${what} › is 401 invalid_token`, async (t) => {
    const answer = await call(hub.url, 'GET', '/state/a', as(make()));
    t.is(answer.status, 401);
    t.is(codeOf(answer), 'unauthorized');
    t.is(answer.headers['www-authenticate'], 'Bearer realm="nexus", error="invalid_token"');
    t.notRegex(answer.text, /"issuer|thirty-two|"hub"/);
  });
}

for (const [what, headers, path] of [
  ['another scheme', { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` }, '/state/a'],
  ['the scheme alone', { authorization: 'Bearer ' }, '/state/a'],
  ['a token in a cookie', { cookie: 'token=x' }, '/state/a'],
] as const) {
  test(`${what} › is 401`, async (t) => {
    t.is((await call(hub.url, 'GET', path, { headers })).status, 401);
  });
}

test('a good token in the URL or a cookie › counts for nothing', async (t) => {
  const token = sign();
  t.is((await call(hub.url, 'GET', `/state/a?access_token=${token}`)).status, 401);
  t.is(
    (await call(hub.url, 'GET', '/state/a', { headers: { cookie: `token=${token}; jwt=${token}` } })).status,
    401,
  );
});

test('a scope that is missing › is 403 and named', async (t) => {
  const answer = await call(hub.url, 'GET', '/log', as(sign()));
  t.is(answer.status, 403);
  t.like(answer.body as object, { code: 'forbidden', scope: 'log:read' });
});

test('with authentication on › a forwarded request from a foreign origin is served, for it has a token', async (t) => {
  const headers = {
    ...as(sign()).headers,
    'x-forwarded-for': '1.2.3.4',
    origin: 'https://evil.example',
    host: 'x.example',
  };
  const answer = await call(hub.url, 'GET', '/state', { headers });
  t.is(answer.status, 200);
  t.is(answer.headers['access-control-allow-origin'], undefined);
});

test('a live tail › ends when its token expires', async (t) => {
  // Within the leeway of its exp: some seconds of it are left, enough for a machine that is busy.
  const token = sign({ exp: nowSec() - 25 });
  const tail = await openEvents(`${hub.url}/events?topic=x`, as(token).headers);
  t.is(tail.status, 200);
  t.is((await tail.next())?.event, 'caughtUp');
  t.is(await tail.next(), undefined);
});

for (const [what, headers] of [
  ['a Host that is bound to this machine by a foreign name', { host: 'evil.example' }],
  ['a forwarding header', { 'x-forwarded-for': '127.0.0.1' }],
  ['a foreign Origin', { origin: 'https://evil.example' }],
  ['an Origin of null', { origin: 'null' }],
] as const) {
  for (const path of ['/state/a', '/health/live', '/nothing']) {
    test(`protected mode › refuses ${path} with ${what}, and says how to turn authentication on`, async (t) => {
      const answer = await call(open.url, 'GET', path, { headers });
      t.is(answer.status, 403);
      t.is(codeOf(answer), 'protected_mode');
      t.regex(answer.text, /NEXUS_JWT_SECRET/);
    });
  }
}

test('protected mode › refuses a preflight and a write of a foreign page', async (t) => {
  const foreign = { origin: 'https://evil.example', 'content-type': 'application/json' };
  const preflight = { ...foreign, 'access-control-request-method': 'PUT' };
  t.is((await call(open.url, 'OPTIONS', '/state/a', { headers: preflight })).status, 403);
  t.is((await call(open.url, 'PUT', '/state/a', { headers: foreign, json: { value: 1 } })).status, 403);
  t.is((await call(open.url, 'GET', '/state/a')).status, 404, 'nothing was written');
});

test('protected mode › serves pages of this machine and of corsOrigins', async (t) => {
  for (const origin of ['http://localhost:5173', 'http://127.0.0.1', 'https://app.example']) {
    t.is((await call(open.url, 'GET', '/state', { headers: { origin } })).status, 200, origin);
  }
});

for (const name of ['open', 'hub'] as const) {
  test(`CORS › a listed origin may ask for everything, before it has a token too (${name})`, async (t) => {
    const own = await openHub({
      corsOrigins: ['https://app.example'],
      ...(name === 'hub' ? { jwtSecret: secret } : {}),
    });
    t.teardown(() => own.close());
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'PUT' };
    const preflight = await call(own.url, 'OPTIONS', '/state/a', { headers });
    t.is(preflight.status, 204);
    t.is(preflight.headers['access-control-allow-origin'], 'https://app.example');
    t.regex(preflight.headers['access-control-allow-methods'] ?? '', /PUT/);
    t.regex(preflight.headers['access-control-allow-headers'] ?? '', /If-Match/);
    t.is(preflight.headers.vary, 'Origin');
    const answer = await call(own.url, 'GET', '/health/live', { headers: { origin: 'https://app.example' } });
    t.is(answer.headers['access-control-allow-origin'], 'https://app.example');
    t.regex(answer.headers['access-control-expose-headers'] ?? '', /X-Nexus-Position/);
    const none = await call(own.url, 'GET', '/health/live');
    t.is(none.headers['access-control-allow-origin'], undefined);
    t.is(none.headers.vary, 'Origin');
  });
}
