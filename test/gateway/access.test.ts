import type { IncomingMessage } from 'node:http';
import test from 'ava';
import jwt from 'jsonwebtoken';
import { createAccess } from '../../src/gateway/auth/access.ts';

const secret = 'a secret of more than thirty-two bytes';
const nowMs = Date.parse('2030-01-01T00:00:00Z');
const nowSec = nowMs / 1_000;
const off = {
  jwtSecret: null,
  jwksUrl: null,
  jwksFile: null,
  jwtIssuer: null,
  jwtAudience: null,
  corsOrigins: ['https://app.example'],
};
const on = { ...off, jwtSecret: secret };

const request = (headers: Record<string, string>, remoteAddress = '127.0.0.1'): IncomingMessage =>
  ({
    headers: { host: '127.0.0.1:8080', ...headers },
    rawHeaders: Object.entries(headers).flat(),
    socket: { remoteAddress },
  }) as unknown as IncomingMessage;

const token = (claims: object, options: jwt.SignOptions = {}, key: string = secret): string =>
  jwt.sign(
    { sub: 'ada', iat: nowSec, exp: nowSec + 60, scope: 'log:read state:read:*', ...claims },
    key,
    options,
  );

const without = (name: 'sub' | 'iat' | 'exp'): string => {
  const claims: Record<string, unknown> = { sub: 'ada', iat: nowSec, exp: nowSec + 60 };
  delete claims[name];
  return jwt.sign(claims, secret, name === 'iat' ? { noTimestamp: true } : {});
};

for (const [address, headers] of [
  ['127.0.0.1', {}],
  ['127.8.9.10', { host: 'localhost' }],
  ['::1', { host: '[::1]:8080' }],
  ['::ffff:127.0.0.1', { host: 'LOCALHOST:1' }],
  ['127.0.0.1', { origin: 'http://localhost:3000' }],
  ['127.0.0.1', { origin: 'https://app.example' }],
] as const) {
  test(`protected mode › serves ${address} ${JSON.stringify(headers)}`, async (t) => {
    const result = await createAccess(off).admit(request(headers, address));
    t.deepEqual(result, { ok: true, value: { id: 'local', scopes: ['admin'] } });
  });
}

for (const [address, headers] of [
  ['10.0.0.1', {}],
  ['::ffff:10.0.0.1', {}],
  ['fe80::1', {}],
  ['127.0.0.1', { host: 'evil.example' }],
  ['127.0.0.1', { host: 'localhost.evil.example' }],
  ['127.0.0.1', { host: '127.0.0.1.evil.example' }],
  ['127.0.0.1', { host: 'evil.example:80]' }],
  ['127.0.0.1', { host: '' }],
  ['127.0.0.1', { origin: 'null' }],
  ['127.0.0.1', { origin: 'https://evil.example' }],
  ['127.0.0.1', { origin: 'http://localhost.evil.example' }],
  ['127.0.0.1', { origin: 'https://app.example.evil.example' }],
  ['127.0.0.1', { 'x-forwarded-for': '127.0.0.1' }],
  ['127.0.0.1', { forwarded: 'for=127.0.0.1' }],
  ['127.0.0.1', { via: '1.1 proxy' }],
  ['127.0.0.1', { 'x-real-ip': '' }],
  ['127.0.0.1', { 'x-forwarded': 'for=127.0.0.1' }],
  ['127.0.0.1', { 'x-forwarded-ssl': 'on' }],
  ['127.0.0.1', { 'x-forwarded-prefix': '/hub' }],
  ['127.0.0.1', { 'fly-client-ip': '10.0.0.1' }],
] as const) {
  test(`protected mode › refuses ${address} ${JSON.stringify(headers)} and says how to turn authentication on`, async (t) => {
    const result = await createAccess(off).admit(request(headers, address));
    t.is(result.ok ? undefined : result.problem.code, 'protected_mode');
    t.regex(result.ok ? '' : result.problem.detail, /NEXUS_JWT_SECRET/);
  });
}

test('a token › names the subject and its scopes', async (t) => {
  const access = createAccess(on, { clock: () => nowMs });
  const result = await access.admit(request({ authorization: `Bearer ${token({})}` }, '10.0.0.1'));
  t.deepEqual(result, {
    ok: true,
    value: { id: 'ada', scopes: ['log:read', 'state:read:*'], expiresAt: (nowSec + 90) * 1_000 },
  });
});

test('a token › is taken from options.token too, and from nowhere else', async (t) => {
  const access = createAccess(on, { clock: () => nowMs });
  t.true((await access.admit(request({}), { token: token({}) })).ok);
  const cookie = await access.admit(request({ cookie: `token=${token({})}` }));
  t.is(cookie.ok ? undefined : cookie.problem.code, 'unauthorized');
});

const unsigned = (): string => {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none', typ: 'JWT' })}.${part({ sub: 'ada', iat: nowSec, exp: nowSec + 60 })}.`;
};

const bad: Readonly<Record<string, string>> = {
  'no token at all': '',
  'no JWT': 'abc',
  'three empty parts': '..',
  'another secret': token({}, {}, 'another secret of thirty-two bytes or so'),
  'no signature (alg none)': unsigned(),
  'another algorithm': token({}, { algorithm: 'HS512' }),
  'no exp': without('exp'),
  'no iat': without('iat'),
  'no sub': without('sub'),
  'an empty sub': token({ sub: '' }),
  'a sub of control characters': token({ sub: 'a\nb' }),
  'a reserved sub': token({ sub: 'system' }),
  'the sub of a plugin': token({ sub: 'plugin:cart' }),
  'a sub that is too long': token({ sub: 'a'.repeat(257) }),
  'an exp that passed more than the leeway ago': token({ exp: nowSec - 31 }),
  'an exp that is no time': token({ exp: 1e300 }),
  'an iat that comes later than the leeway': token({ iat: nowSec + 31 }),
  'an nbf that comes later than the leeway': token({ nbf: nowSec + 31 }),
  'a scope that is no text': token({ scope: ['admin'] }),
};

for (const [what, text] of Object.entries(bad)) {
  test(`a token › with ${what} is unauthorized`, async (t) => {
    const result = await createAccess(on, { clock: () => nowMs }).verifyToken(text);
    t.is(result.ok ? undefined : result.problem.code, 'unauthorized');
  });
}

test('a token › within the leeway of its exp, nbf and iat is taken', async (t) => {
  const access = createAccess(on, { clock: () => nowMs });
  t.true((await access.verifyToken(token({ exp: nowSec - 29 }))).ok);
  t.true((await access.verifyToken(token({ nbf: nowSec + 29, iat: nowSec + 29 }))).ok);
});

test('a token › of another issuer or audience is unauthorized once they are configured, and free before', async (t) => {
  const strict = createAccess({ ...on, jwtIssuer: 'me', jwtAudience: 'hub' }, { clock: () => nowMs });
  t.true((await strict.verifyToken(token({ iss: 'me', aud: ['other', 'hub'] }))).ok);
  for (const claims of [
    {},
    { iss: 'me' },
    { aud: 'hub' },
    { iss: 'you', aud: 'hub' },
    { iss: 'me', aud: 'x' },
  ]) {
    t.false((await strict.verifyToken(token(claims))).ok, JSON.stringify(claims));
    t.true((await createAccess(on, { clock: () => nowMs }).verifyToken(token(claims))).ok);
  }
});

test('a token › that was verified is remembered until it expires, and not a moment longer', async (t) => {
  let now = nowMs;
  const access = createAccess(on, { clock: () => now });
  const text = token({});
  const first = await access.verifyToken(text);
  const again = await access.verifyToken(text);
  t.true(first.ok && again.ok && first.value === again.value, 'the second answer is the remembered one');
  now = (nowSec + 90) * 1_000 - 1;
  t.true((await access.verifyToken(text)).ok);
  now += 1;
  const late = await access.verifyToken(text);
  t.is(late.ok ? undefined : late.problem.code, 'unauthorized');
});

test('createAccess › refuses a secret of fewer than 32 bytes', async (t) => {
  t.throws(() => createAccess({ ...off, jwtSecret: 'x'.repeat(31) }), { instanceOf: RangeError });
  t.notThrows(() => createAccess({ ...off, jwtSecret: 'x'.repeat(32) }));
});
