import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Access, createAccess } from '../../src/gateway/auth/access.ts';
import { type KeySets, openKeySets } from '../../src/gateway/auth/key-sets.ts';
import { parseKeySet } from '../../src/gateway/auth/keys.ts';
import { given } from '../../src/given.ts';
import type { Logger } from '../../src/logger.ts';
import { createTestClock, listen, quiet } from '../registry/support.ts';
import { createSigner, renamed, type Signer } from '../support/jws.ts';
import { until } from '../support/until.ts';

const rsa = createSigner('RS256', 'rsa');
const p256 = createSigner('ES256', 'p256');
const ed = createSigner('EdDSA', 'ed');
const later = createSigner('EdDSA', 'later');

const startMs = Date.UTC(2030, 0, 1);
const claims = { sub: 'ada', scope: 'log:read', iat: startMs / 1_000, exp: startMs / 1_000 + 400_000 };
const setOf = (...signers: readonly Signer[]): string =>
  JSON.stringify({ keys: signers.map(({ jwk }) => jwk) });
const codeOf = async (access: Access, token: string): Promise<string> => {
  const result = await access.verifyToken(token);
  return result.ok ? 'ok' : result.problem.code;
};

const unset = {
  jwtSecret: null,
  jwksUrl: null,
  jwksFile: null,
  jwtIssuer: null,
  jwtAudience: null,
  corsOrigins: [],
};

type Answer = string | ((response: ServerResponse) => void);

/** A server of a key set, and an access by it; both end with the test. */
const openByUrl = async (
  t: ExecutionContext,
  first: Answer,
  options: { readonly jwksFile?: string; readonly fetchTimeoutMs?: number } = {},
) => {
  let answer = first;
  let asked = 0;
  const accepted: unknown[] = [];
  const server = await listen((request, response) => {
    asked++;
    accepted.push(request.headers.accept);
    if (typeof answer === 'function') answer(response);
    else response.setHeader('content-type', 'application/json').end(answer);
  });
  const clock = createTestClock(startMs);
  const config = {
    ...unset,
    jwksUrl: `http://127.0.0.1:${server.port}/keys`,
    jwksFile: options.jwksFile ?? null,
  };
  const pauses: number[] = [];
  const logger: Logger = {
    ...quiet,
    warn: (facts) => {
      if ('againInMs' in facts) pauses.push(Number(facts.againInMs));
    },
  };
  const keys = await openKeySets({
    config,
    logger,
    clock,
    filePollMs: 5,
    ...given({ fetchTimeoutMs: options.fetchTimeoutMs }),
  });
  t.teardown(async () => {
    keys?.close();
    server.server.closeAllConnections();
    await server.close();
  });
  if (keys === undefined) throw new Error('no key set');
  return {
    access: createAccess(config, { keys, clock: clock.now }),
    keys,
    clock,
    accepted,
    /** What was logged of failures: after how long it is tried again. */
    pauses,
    asked: () => asked,
    answers: (next: Answer) => {
      answer = next;
    },
  };
};

const status =
  (code: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse) => {
    response.writeHead(code, headers).end('{}');
  };

test('a key set › verifies RS256, ES256 and EdDSA, and a verified token is known at once', async (t) => {
  const { access, accepted, asked } = await openByUrl(t, setOf(rsa, p256, ed));
  for (const signer of [rsa, p256, ed]) {
    const token = signer.sign({ ...claims, jti: signer.kid });
    const first = access.verifyToken(token);
    t.true(first instanceof Promise, 'the signature is waited for');
    t.like(await first, {
      ok: true,
      value: { id: 'ada', scopes: ['log:read'], credential: `jti:${signer.kid}` },
    });
    t.false(access.verifyToken(token) instanceof Promise, 'and then it is known');
  }
  t.is(asked(), 1);
  t.deepEqual(accepted, ['application/json']);
});

test('a key set › a token without a kid is tried with the key that alone has its algorithm', async (t) => {
  const other = createSigner('EdDSA', 'other');
  const { access, asked } = await openByUrl(t, setOf(rsa, ed, other, renamed(p256, undefined)));
  t.is(await codeOf(access, rsa.sign(claims, { kid: undefined })), 'ok');
  t.is(await codeOf(access, p256.sign(claims, { kid: undefined })), 'ok');
  t.is(await codeOf(access, ed.sign(claims, { kid: undefined })), 'unauthorized', 'two keys have it');
  t.is(asked(), 1, 'and nothing is fetched for that');
});

test('rotation › a kid that nobody knows fetches the set anew, once in 30 s and once for all who wait', async (t) => {
  const { access, clock, asked, answers } = await openByUrl(t, setOf(ed));
  answers(setOf(ed, later));
  t.is(await codeOf(access, later.sign(claims)), 'unauthorized', 'the set was fetched a moment ago');
  clock.advance(30_000);
  const flood = Array.from({ length: 500 }, (_, index) => later.sign(claims, { kid: `nobody-${index}` }));
  const answered = await Promise.all([later.sign(claims), ...flood].map((token) => codeOf(access, token)));
  t.deepEqual([answered[0], new Set(answered.slice(1))], ['ok', new Set(['unauthorized'])]);
  t.is(asked(), 2);
  for (const token of flood) await codeOf(access, token);
  clock.advance(29_999);
  for (const token of flood) await codeOf(access, token);
  t.is(asked(), 2);
  clock.advance(1);
  await Promise.all(flood.map((token) => codeOf(access, token)));
  t.is(asked(), 3);
});

test('rotation › the set is fetched each 10 minutes, and a key that is gone takes its tokens along', async (t) => {
  const { access, keys, clock, asked, answers } = await openByUrl(t, setOf(ed, later));
  const [stays, goes] = [ed.sign(claims), later.sign(claims)];
  t.deepEqual([await codeOf(access, stays), await codeOf(access, goes)], ['ok', 'ok']);
  answers(setOf(ed));
  clock.advance(599_999);
  t.is(asked(), 1);
  clock.advance(1);
  await keys.lookAgain();
  t.is(asked(), 2);
  t.false(access.verifyToken(stays) instanceof Promise, 'the other is known still');
  t.is(await codeOf(access, goes), 'unauthorized');
});

test('rotation › a key that goes while a signature is checked lets nobody in', async (t) => {
  const { keys, clock } = await openByUrl(t, setOf(ed));
  let gone = false;
  const going: KeySets = {
    ...keys,
    empty: false,
    has: (key) => !gone && keys.has(key),
    find: (algorithm, kid) => (gone ? undefined : keys.find(algorithm, kid)),
  };
  const config = { ...unset, jwksUrl: 'https://id.example' };
  const access = createAccess(config, { keys: going, clock: clock.now });
  const underWay = codeOf(access, ed.sign(claims));
  gone = true;
  t.is(await underWay, 'unauthorized');
  t.is(await codeOf(access, ed.sign(claims)), 'unauthorized', 'and it is not known');
});

test('the URL away › the keys stay for 24 hours, are asked for with growing pauses, and are dropped then', async (t) => {
  const { access, keys, clock, pauses, answers } = await openByUrl(t, setOf(ed));
  const token = ed.sign(claims);
  t.is(await codeOf(access, token), 'ok');
  answers(status(503));
  const failed = async (afterMs: number): Promise<number> => {
    const seen = pauses.length;
    clock.advance(afterMs);
    await until(() => pauses.length > seen);
    return pauses.at(-1) ?? 0;
  };
  let sinceMs = 600_000;
  let pauseMs = await failed(sinceMs);
  while (sinceMs + pauseMs < 86_400_000) {
    sinceMs += pauseMs;
    pauseMs = await failed(pauseMs);
  }
  t.deepEqual(
    pauses.slice(0, 9),
    [5, 10, 20, 40, 80, 160, 320, 600, 600].map((sec) => sec * 1_000),
  );
  t.is(await codeOf(access, token), 'ok');
  await failed(pauseMs);
  t.is(await codeOf(access, token), 'keys_unavailable');
  answers(setOf(ed));
  clock.advance(600_000);
  await keys.lookAgain();
  t.is(await codeOf(access, token), 'ok');
});

test('a hub that starts without its key set › says so, asks again, and serves once it is there', async (t) => {
  const { access, keys, clock, asked, answers } = await openByUrl(t, status(500));
  t.is(await codeOf(access, ed.sign(claims)), 'keys_unavailable');
  t.is(asked(), 1, 'the token does not ask at once');
  answers(setOf(ed));
  clock.advance(5_000);
  await keys.lookAgain();
  t.is(asked(), 2);
  t.is(await codeOf(access, ed.sign(claims)), 'ok');
});

for (const [what, answer] of Object.entries<Answer>({
  'a redirect': (response) => response.writeHead(302, { location: '/elsewhere' }).end(),
  'a permanent redirect': (response) => response.writeHead(308, { location: '/elsewhere' }).end(),
  'a status outside 200': status(404),
  'no JSON': '<html>',
  'a key alone': JSON.stringify(ed.jwk),
  'more than 256 KiB': `${setOf(later).slice(0, -1)}${' '.repeat(262_144)}}`,
  'more than 100 keys': JSON.stringify({ keys: Array.from({ length: 101 }, () => later.jwk) }),
  'a private key': JSON.stringify({ keys: [later.jwk, ed.privateJwk] }),
  'a symmetric key': JSON.stringify({ keys: [later.jwk, { kty: 'oct', k: 'c2VjcmV0', kid: 'x' }] }),
  'an answer that breaks off': (response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{"keys":[');
    response.destroy();
  },
})) {
  test(`a key set with ${what} › is not taken, and the former keys stay`, async (t) => {
    const { access, clock, asked, answers } = await openByUrl(t, setOf(ed));
    answers(answer);
    clock.advance(30_000);
    t.is(await codeOf(access, later.sign(claims)), 'unauthorized');
    t.is(asked(), 2, 'one request: nothing else was followed');
    t.is(await codeOf(access, ed.sign(claims)), 'ok');
  });
}

for (const [what, answer] of Object.entries<Answer>({
  'that does not come': () => {},
  'that comes byte by byte': (response) => {
    const timer = setInterval(() => response.write(' '), 5);
    response.once('close', () => clearInterval(timer));
  },
})) {
  test(`a key set ${what} › is given up in time, and the hub starts`, async (t) => {
    const { access, pauses } = await openByUrl(t, answer, { fetchTimeoutMs: 100 });
    t.is(await codeOf(access, ed.sign(claims)), 'keys_unavailable');
    t.deepEqual(pauses, [5_000]);
  });
}

const folderOf = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-keys-'));
  t.teardown(() => rm(folder, { recursive: true }));
  return folder;
};

test('a key file › is read again when it changes; a broken one leaves the former keys, and one that goes takes its tokens along', async (t) => {
  const file = join(await folderOf(t), 'keys.json');
  const put = async (text: string): Promise<void> => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  await put(setOf(ed));
  const logged: string[] = [];
  const config = { ...unset, jwksFile: file };
  const logger = { ...quiet, error: (_facts: object, message: string) => void logged.push(message) };
  const keys = await openKeySets({ config, logger, filePollMs: 5 });
  t.teardown(() => keys?.close());
  const access = createAccess(config, { keys, clock: () => startMs });
  t.is(await codeOf(access, ed.sign(claims)), 'ok');
  t.is(await codeOf(access, later.sign(claims)), 'unauthorized');
  await put(JSON.stringify({ keys: [later.privateJwk] }));
  await until(() => logged.length > 0);
  t.regex(logged[0] ?? '', /the former keys stay/);
  t.is(await codeOf(access, ed.sign(claims)), 'ok');
  await put(setOf(later));
  await until(async () => (await codeOf(access, later.sign(claims))) === 'ok');
  t.is(await codeOf(access, ed.sign(claims)), 'unauthorized');
});

test('a key file › that cannot be used at the start stops it, and names the option', async (t) => {
  const folder = await folderOf(t);
  const config = { jwksUrl: null, jwksFile: join(folder, 'none.json') };
  await t.throwsAsync(openKeySets({ config, logger: quiet }), { message: /none\.json/ });
  await writeFile(config.jwksFile, JSON.stringify({ keys: [ed.privateJwk] }));
  await t.throwsAsync(openKeySets({ config, logger: quiet }), { message: /^jwksFile: .*private/ });
});

test('a key file beside a URL › goes before it where both have a kid', async (t) => {
  const jwksFile = join(await folderOf(t), 'keys.json');
  const forged = renamed(later, 'ed');
  await writeFile(jwksFile, setOf(ed));
  const { access } = await openByUrl(t, setOf(forged, rsa), { jwksFile });
  t.is(await codeOf(access, ed.sign(claims)), 'ok');
  t.is(await codeOf(access, rsa.sign(claims)), 'ok');
  t.is(await codeOf(access, forged.sign(claims)), 'unauthorized');
});

const jwkOn = (namedCurve: string): object =>
  generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'jwk' });

test('parseKeySet › passes over the keys that it has no use for, and says why', (t) => {
  const weak = createSigner('RS256', 'weak', 1_024);
  const cases: readonly [RegExp, object][] = [
    [/1024 bits/, weak.jwk],
    [/another curve/, jwkOn('P-384')],
    [/another curve|not a sound/, jwkOn('secp256k1')],
    [/not a sound/, { kty: 'EC', crv: 'P-256', x: 'a'.repeat(43), y: 'b'.repeat(43) }],
    [/not a sound/, { ...p256.jwk, x: p256.jwk.y }],
    [/not a sound/, { kty: 'OKP', crv: 'Ed25519' }],
    [/neither RSA/, { kty: 'OKP', crv: 'X25519', x: ed.jwk.x }],
    [/not a sound/, { kty: 'nothing' }],
    [/\(use\)/, { ...ed.jwk, use: 'enc' }],
    [/\(key_ops\)/, { ...ed.jwk, key_ops: ['sign'] }],
    [/\(key_ops\)/, { ...ed.jwk, key_ops: 'verify' }],
    [/another algorithm than RS256/, { ...rsa.jwk, alg: 'PS256' }],
    [/another algorithm than ES256/, { ...p256.jwk, alg: 'HS256' }],
    [/kid of another form/, { ...ed.jwk, kid: '../../etc/passwd' }],
    [/kid of another form/, { ...ed.jwk, kid: 'a'.repeat(65) }],
    [/kid of another form/, { ...ed.jwk, kid: 7 }],
    [/exponent/, { ...rsa.jwk, e: 'Aw' }],
  ];
  for (const [why, jwk] of cases) {
    const set = parseKeySet(Buffer.from(JSON.stringify({ keys: [jwk, later.jwk] })));
    if (!set.ok) return t.fail(`${why}: ${set.reason}`);
    t.is(set.passedOver.length, 1);
    t.regex(set.passedOver[0] ?? '', why);
    t.deepEqual(
      set.keys.map(({ kid }) => kid),
      ['later'],
    );
  }
  const all = { ...ed.jwk, use: 'sig', key_ops: ['verify'], alg: 'EdDSA', x5c: ['no certificate'], x5t: 'x' };
  t.like(parseKeySet(Buffer.from(JSON.stringify({ keys: [all] }))), { ok: true, passedOver: [] });
});
