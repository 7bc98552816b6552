import type { ServerResponse } from 'node:http';
import test from 'ava';
import jwt from 'jsonwebtoken';
import { type ApiKeyRecord, apiKeyText, keyCredential } from '../../domain/credentials.ts';
import { fault, ok, problem, type Result } from '../../src/errors.ts';
import { type Admitted, createAccess } from '../../src/gateway/auth/access.ts';
import { createCredentialWatch } from '../../src/gateway/auth/credential-watch.ts';
import { digestOf } from '../../src/ids.ts';
import type { Credentials } from '../../src/nexus-credentials.ts';
import { createTestClock } from '../registry/support.ts';
import { jwtSecret } from '../support/token.ts';

const config = {
  jwtSecret,
  jwksUrl: null,
  jwksFile: null,
  jwtIssuer: null,
  jwtAudience: null,
  corsOrigins: [],
};
const startMs = Date.parse('2030-01-01T00:00:00Z');
const id = '0123456789abcdef01234567';
const secret = 'x'.repeat(43);
const key = apiKeyText(id, secret);
const record: ApiKeyRecord = {
  name: 'a',
  subject: 'ada',
  scopes: ['log:read'],
  hash: digestOf(secret),
  createdAt: '2029-01-01T00:00:00Z',
  createdBy: 'root',
  expiresAt: '2030-01-01T00:01:00Z',
};
const notReady = fault(problem('not_ready', 'the read models are being rebuilt from the log'));

/** What the core knows, by hand. */
const world = () => {
  let listener: Parameters<Credentials['onChanged']>[0] = () => {};
  const state = {
    nowMs: startMs,
    ready: true,
    record: record as ApiKeyRecord | undefined,
    revoked: new Set<string>(),
    asked: 0,
    change: (names: readonly string[] | undefined) => listener(names && new Set(names)),
  };
  const answer = <Value>(value: Value): Result<Value> => {
    state.asked++;
    return state.ready ? ok(value) : notReady;
  };
  const credentials: Credentials = {
    apiKey: () => answer(state.record),
    isGood: (name) => answer(name.startsWith('key:') ? state.record !== undefined : !state.revoked.has(name)),
    onChanged: (next) => {
      listener = next;
      return () => {
        listener = () => {};
      };
    },
  };
  return { state, credentials, access: createAccess(config, { credentials, clock: () => state.nowMs }) };
};

const codeOf = async (verified: Result<unknown> | Promise<Result<unknown>>): Promise<string> => {
  const result = await verified;
  return result.ok ? 'ok' : `${result.problem.code}: ${result.problem.detail}`;
};
const tokenOf = (jti?: string): string =>
  jwt.sign(
    { sub: 'ada', iat: startMs / 1_000, exp: startMs / 1_000 + 600, ...(jti === undefined ? {} : { jti }) },
    jwtSecret,
  );

test('a key › is looked up once, until something of it changes', async (t) => {
  const { state, access } = world();
  for (let call = 0; call < 5; call++)
    t.deepEqual(await access.verifyToken(key), {
      ok: true,
      value: {
        id: 'ada',
        scopes: ['log:read'],
        credential: keyCredential(id),
        expiresAt: Date.parse('2030-01-01T00:01:00Z'),
      },
    });
  t.is(state.asked, 1);
  state.change([keyCredential('another')]);
  await access.verifyToken(key);
  t.is(state.asked, 1);
  state.record = undefined;
  state.change([keyCredential(id)]);
  t.regex(await codeOf(access.verifyToken(key)), /^unauthorized: /);
});

test('a key › is refused from the moment at which it expires, known or not, and nothing is written', async (t) => {
  const { state, access } = world();
  state.nowMs = startMs + 59_999;
  t.is(await codeOf(access.verifyToken(key)), 'ok');
  state.nowMs = startMs + 60_000;
  t.is(await codeOf(access.verifyToken(key)), 'unauthorized: The API key has expired');
  state.record = { ...record, expiresAt: 'never' };
  t.is(await codeOf(access.verifyToken(key)), 'unauthorized: The API key has expired');
  state.record = { ...record, expiresAt: null };
  t.is(await codeOf(access.verifyToken(key)), 'ok');
});

test('while nobody knows what was revoked › keys and tokens with a jti are told to come again, and other tokens are served', async (t) => {
  const { state, access } = world();
  t.is(await codeOf(access.verifyToken(tokenOf('before'))), 'ok');
  state.ready = false;
  t.regex(await codeOf(access.verifyToken(key)), /^not_ready/);
  t.regex(await codeOf(access.verifyToken(tokenOf('a'))), /^not_ready/);
  t.is(await codeOf(access.verifyToken(tokenOf('before'))), 'ok', 'it was good when it was asked for');
  t.is(await codeOf(access.verifyToken(tokenOf())), 'ok');
  state.ready = true;
  state.revoked.add('jti:before');
  state.change(undefined);
  t.is(await codeOf(access.verifyToken(tokenOf('before'))), 'unauthorized: The token was revoked');
  t.is(await codeOf(access.verifyToken(tokenOf('a'))), 'ok');
});

test('in protected mode › a key is nothing', async (t) => {
  const access = createAccess({ ...config, jwtSecret: null });
  t.regex(await codeOf(access.verifyToken(key)), /^unauthorized/);
});

test('what runs › ends once, by whichever comes first, and what has stopped is told nothing', (t) => {
  const { state, credentials } = world();
  const clock = createTestClock();
  const watch = createCredentialWatch({ credentials, forget: () => {}, clock });
  const told: string[] = [];
  const begin = (name: string, subject: Partial<Admitted>) =>
    watch.watch({ id: 'a', scopes: [], ...subject }, ({ detail }) => told.push(`${name}: ${detail}`));
  const expiresAt = clock.now() + 40 * 86_400_000;
  begin('both', { credential: 'jti:a', expiresAt });
  begin('late', { credential: 'jti:b', expiresAt });
  begin('neither', {});
  begin('over', { expiresAt: clock.now() });
  begin('stopped', { credential: 'jti:a', expiresAt })();
  state.revoked.add('jti:a');
  begin('gone', { credential: 'jti:a' });
  t.deepEqual(told.splice(0), ['over: The token has expired', 'gone: The token was revoked']);
  state.change(['jti:b']);
  t.deepEqual(told, [], 'what was written of it was no revocation');
  state.change(['jti:a', 'jti:nobody']);
  state.change(['jti:a']);
  t.deepEqual(told.splice(0), ['both: The token was revoked']);
  for (let day = 0; day < 41; day++) clock.advance(86_400_000);
  t.deepEqual(told, ['late: The token has expired']);
});

test('what runs › is looked at again when other read models serve', (t) => {
  const { state, credentials } = world();
  const forgotten: unknown[] = [];
  const watch = createCredentialWatch({ credentials, forget: (names) => forgotten.push(names) });
  const told: string[] = [];
  for (const credential of ['jti:a', 'jti:b', keyCredential(id)])
    watch.watch({ id: 'a', scopes: [], credential }, () => told.push(credential));
  state.revoked.add('jti:a');
  state.ready = false;
  state.change(undefined);
  t.deepEqual(told, []);
  state.ready = true;
  state.change(undefined);
  t.deepEqual(told.splice(0), ['jti:a']);
  t.deepEqual(forgotten, [undefined, undefined]);
  watch.close();
  state.change([keyCredential(id)]);
  t.deepEqual(told, []);
});

test('an answer that is made › is cut when its credential is revoked, and not when it expires', async (t) => {
  const { state, credentials } = world();
  const watch = createCredentialWatch({ credentials, forget: () => {} });
  let cut = 0;
  const res = { destroy: () => ++cut } as unknown as ServerResponse;
  const subject = { id: 'a', scopes: [], credential: 'jti:a', expiresAt: 0 };
  const made = await watch.whileGood({ res, state: { subject } }, async () => {
    t.is(cut, 0);
    state.revoked.add('jti:a');
    state.change(['jti:a']);
    return 'made';
  });
  t.is(made, 'made');
  t.is(cut, 1);
});
