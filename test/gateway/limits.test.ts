import test from 'ava';
import jwt from 'jsonwebtoken';
import { BoundedMap } from '../../src/bounded-map.ts';
import { openHub } from '../support/hub.ts';
import { type Answer, call, exchange } from './client.ts';

const secret = 'a secret of more than thirty-two bytes';
const token = (sub: string): string => jwt.sign({ sub, scope: 'admin' }, secret, { expiresIn: 600 });
const as = (text: string): { headers: Record<string, string> } => ({
  headers: { authorization: `Bearer ${text}` },
});
const refused = (answer: Answer): boolean =>
  answer.status === 429 &&
  (answer.body as { code: string }).code === 'rate_limited' &&
  Number(answer.headers['retry-after']) >= 1 &&
  Number(answer.headers['retry-after']) <= 60;

test('requests beyond the budget › are 429 with Retry-After; the answers before count down', async (t) => {
  const hub = await openHub({ rateLimitMax: 3 });
  t.teardown(() => hub.close());
  for (const remaining of ['2', '1', '0']) {
    const answer = await call(hub.url, 'GET', '/topics');
    t.is(answer.status, 200);
    t.is(answer.headers['ratelimit-limit'], '3');
    t.is(answer.headers['ratelimit-remaining'], remaining);
    const reset = Number(answer.headers['ratelimit-reset']);
    t.true(reset >= 0 && reset <= 60);
  }
  const answer = await call(hub.url, 'GET', '/topics');
  t.true(refused(answer), answer.text);
  t.is(answer.headers['ratelimit-remaining'], '0');
  t.is(answer.headers['content-type'], 'application/problem+json');
});

test('reads, writes and invokes › have budgets apart, of the sizes that are set', async (t) => {
  const hub = await openHub({ rateLimitMax: 3, rateLimitWriteMax: 2, rateLimitInvokeMax: 1 });
  t.teardown(() => hub.close());
  const put = () => call(hub.url, 'PUT', '/state/k', { json: { value: 1 } });
  const invoke = (path: string) => call(hub.url, 'POST', path, { json: { method: 'm' } });
  for (let index = 0; index < 2; index++) t.is((await put()).status, 200 + (index === 0 ? 1 : 0));
  const third = await put();
  t.true(refused(third), third.text);
  t.is(third.headers['ratelimit-limit'], '2');
  t.is((await invoke('/services/none/invoke')).status, 404);
  t.true(refused(await invoke('/services/none/invoke')));
  t.true(refused(await call(hub.url, 'GET', '/proxy/none/')), 'what goes through the proxy is a call too');
  t.is((await call(hub.url, 'GET', '/state/k')).headers['ratelimit-limit'], '3');
  t.is((await call(hub.url, 'POST', '/subscriptions/none/pull', { json: {} })).status, 404);
  t.is((await call(hub.url, 'HEAD', '/topics')).status, 200);
  t.true(refused(await call(hub.url, 'GET', '/topics')));
});

test('GraphQL › counts a query as a read, each field of a mutation as a write, invokeService as an invoke', async (t) => {
  const hub = await openHub({ rateLimitReadMax: 2, rateLimitWriteMax: 2, rateLimitInvokeMax: 2 });
  t.teardown(() => hub.close());
  const ask = (query: string) => call(hub.url, 'POST', '/graphql', { json: { query } });
  const set = (key: string) => `${key}: setState(key: "${key}", value: 1) { version }`;
  const invoked = 'invokeService(name: "none", method: "m") { result }';
  const first = await ask(`mutation { ${set('a')} ...more } fragment more on Mutation { ${set('b')} }`);
  t.is(first.status, 200, first.text);
  t.deepEqual(Object.keys((first.body as { data: object }).data), ['a', 'b']);
  t.true(refused(await ask(`mutation { ${set('c')} }`)));
  t.is((await call(hub.url, 'GET', '/state/c')).status, 404, 'the field that was not paid for did nothing');
  t.true(
    refused(await call(hub.url, 'PUT', '/state/c', { json: { value: 1 } })),
    'both ways share the budget',
  );
  t.true(refused(await ask(`mutation { a: ${invoked} b: ${invoked} c: ${invoked} }`)));
  t.is((await ask('{ health { status } }')).status, 200);
  for (let index = 0; index < 2; index++) {
    t.true(refused(await ask('nonsense')), 'what cannot be parsed counts as a read');
  }
  // Six documents came, and no client within its budgets has more: a seventh is not even read.
  const seventh = await ask('{ health { status } }');
  t.true(refused(seventh));
  t.regex((seventh.body as { detail: string }).detail, /documents/);
});

test('the probes and heartbeats › do not share the budgets of requests', async (t) => {
  const hub = await openHub({ rateLimitMax: 1 });
  t.teardown(() => hub.close());
  const service = { id: 's', name: 's', version: '1.0.0', host: '127.0.0.1', port: 1, ttlSec: 60 };
  t.is((await call(hub.url, 'POST', '/services', { json: service })).status, 201);
  t.true(refused(await call(hub.url, 'PUT', '/state/k', { json: { value: 1 } })));
  t.is((await call(hub.url, 'GET', '/topics')).status, 200);
  t.true(refused(await call(hub.url, 'GET', '/topics')));
  t.is((await call(hub.url, 'GET', '/health/live')).status, 200);
  t.is((await call(hub.url, 'POST', '/services/s/heartbeat', { json: {} })).status, 200);
});

test('heartbeats of services that nobody knows › spend the budget of writes', async (t) => {
  const hub = await openHub({ rateLimitMax: 3 });
  t.teardown(() => hub.close());
  const beat = (id: string) => call(hub.url, 'POST', `/services/${id}/heartbeat`, { json: {} });
  for (const id of ['a', 'b', 'c']) t.is((await beat(id)).status, 404);
  t.true(refused(await beat('d')));
  t.true(refused(await call(hub.url, 'PUT', '/state/k', { json: { value: 1 } })));
});

test('with tokens › each subject has its own budget, whatever token it comes with', async (t) => {
  const hub = await openHub({ rateLimitMax: 2, jwtSecret: secret });
  t.teardown(() => hub.close());
  const first = token('ada');
  const second = jwt.sign({ sub: 'ada', scope: 'admin', jti: 'another' }, secret, { expiresIn: 600 });
  t.is((await call(hub.url, 'GET', '/topics', as(first))).status, 200);
  t.is((await call(hub.url, 'GET', '/topics', as(second))).status, 200);
  t.true(refused(await call(hub.url, 'GET', '/topics', as(first))));
  t.is((await call(hub.url, 'GET', '/topics', as(token('bob')))).status, 200);
});

test('bad tokens › spend the budget of their address; those that are known are served still', async (t) => {
  const hub = await openHub({ rateLimitMax: 3, jwtSecret: secret });
  t.teardown(() => hub.close());
  const known = token('ada');
  t.is((await call(hub.url, 'GET', '/topics', as(known))).status, 200);
  for (let index = 0; index < 3; index++) {
    t.is((await call(hub.url, 'GET', '/topics', as(`bad${index}`))).status, 401);
  }
  t.true(refused(await call(hub.url, 'GET', '/topics', as('bad'))));
  t.true(refused(await call(hub.url, 'GET', '/topics', as(token('bob')))), 'no new token is verified');
  t.is((await call(hub.url, 'GET', '/topics', as(known))).status, 200);
});

test('behind a trusted proxy › each client has its own budget, which a forged hop or Forwarded does not widen', async (t) => {
  const hub = await openHub({ rateLimitMax: 2, jwtSecret: secret, trustedProxies: ['127.0.0.0/8'] });
  t.teardown(() => hub.close());
  const from = (forwarded: string, more: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    call(hub.url, 'GET', '/topics', { headers: { 'x-forwarded-for': forwarded, ...more } });
  t.is((await from('1.1.1.1')).status, 401);
  t.is((await from('9.9.9.1, 1.1.1.1')).status, 401);
  t.true(refused(await from('9.9.9.2, 1.1.1.1')));
  t.true(refused(await from('1.1.1.1', { forwarded: 'for=9.9.9.3' })));
  t.true(refused(await from('1.1.1.1', { 'x-real-ip': '9.9.9.4', 'x-client-ip': '9.9.9.4' })));
  const lines = await exchange(
    hub.port,
    'GET /topics HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 9.9.9.5\r\nX-Forwarded-For: 1.1.1.1\r\nConnection: close\r\n\r\n',
  );
  t.regex(lines, /^HTTP\/1\.1 429 /);
  t.is((await from('2.2.2.2')).status, 401);
});

test('without trusted proxies › X-Forwarded-For widens no budget', async (t) => {
  const hub = await openHub({ rateLimitMax: 2, jwtSecret: secret });
  t.teardown(() => hub.close());
  const from = (forwarded: string): Promise<Answer> =>
    call(hub.url, 'GET', '/topics', { headers: { 'x-forwarded-for': forwarded } });
  for (const address of ['9.9.9.1', '9.9.9.2']) t.is((await from(address)).status, 401);
  t.true(refused(await from('9.9.9.3')));
});

test('a new window › has the whole budget again', async (t) => {
  const hub = await openHub({ rateLimitMax: 5, rateLimitWindowSec: 1 });
  t.teardown(() => hub.close());
  const until = async (wanted: number): Promise<Answer> => {
    for (;;) {
      const answer = await call(hub.url, 'GET', '/topics');
      if (answer.status === wanted) return answer;
    }
  };
  await until(429);
  const answer = await until(200);
  t.is(answer.headers['ratelimit-remaining'], '4');
});

test('BoundedMap › holds its maximum, and lets go of what was set longest ago', (t) => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1).set('b', 2).set('a', 3).set('c', 4);
  t.deepEqual(
    [...map],
    [
      ['a', 3],
      ['c', 4],
    ],
  );
});
