import { once } from 'node:events';
import { createServer } from 'node:http';
import test from 'ava';
import { createAccess } from '../../src/gateway/auth/access.ts';
import { createHotReads } from '../../src/gateway/hot-reads.ts';
import { createRateLimit } from '../../src/gateway/limits/rate-limit.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';

let hub: Hub;
const headers = { authorization: `Bearer ${signToken('reader', 'state:read:* state:write:*')}` };
test.before(async () => {
  hub = await openHub({ jwtSecret });
  for (const key of ['k', 'a/b', 'ä', '%'])
    await request(hub.url, 'PUT', `/state/${encodeURIComponent(key)}`, { body: { value: { key } }, headers });
});
test.after.always(() => hub.close());

/** Asks for nothing else, in a way that only Koa understands. */
const ordinary = { ...headers, accept: 'application/json;q=1, */*;q=0.1' };
const own: ReadonlySet<string> = new Set([
  'x-request-id',
  'date',
  'ratelimit-remaining',
  'ratelimit-reset',
  'vary',
]);

test('hot reads › are answered as others are, field by field', async (t) => {
  for (const path of [
    '/state/k',
    '/state/a%2Fb',
    '/state/%C3%A4',
    '/state/%25',
    '/state/none',
    '/state/%zz',
    '/state/k?x=1',
  ]) {
    const [plain, other] = [
      await request(hub.url, 'GET', path, { headers }),
      await request(hub.url, 'GET', path, { headers: ordinary }),
    ];
    const fields = (answer: typeof plain) => [...answer.headers].filter(([name]) => !own.has(name)).sort();
    t.is(plain.status, other.status, path);
    t.deepEqual(plain.body, other.body, path);
    t.deepEqual(fields(plain), fields(other), path);
    t.truthy(plain.headers.get('x-request-id'), path);
  }
  const named = await request(hub.url, 'GET', '/state/k', {
    headers: { ...headers, 'x-request-id': 'mine' },
  });
  t.is(named.headers.get('x-request-id'), 'mine');
});

test('hot reads › count against the same window as all requests, and end with it', async (t) => {
  const narrow = await openHub({ jwtSecret, rateLimitMax: 6 });
  t.teardown(() => narrow.close());
  await request(narrow.url, 'PUT', '/state/k', { body: { value: 1 }, headers });
  const left: (string | null)[] = [];
  const statuses: number[] = [];
  for (let turn = 0; turn < 8; turn++) {
    const sent = turn % 3 === 2 ? ordinary : headers;
    const answer = await request(narrow.url, 'GET', '/state/k', { headers: sent });
    left.push(answer.headers.get('ratelimit-remaining'));
    statuses.push(answer.status);
  }
  const used = statuses.filter((status) => status === 200).length;
  t.deepEqual(statuses, [...Array(used).fill(200), ...Array(8 - used).fill(429)]);
  t.deepEqual(
    left.slice(0, used),
    Array.from({ length: used }, (_, turn) => String(used - 1 - turn)),
  );
});

test('hot reads › take what is plain, and leave the rest to Koa', async (t) => {
  const { core, config } = hub;
  const access = createAccess(config);
  const rateLimit = createRateLimit(config);
  let draining = false;
  const hotRead = createHotReads({
    core,
    access,
    rateLimit,
    budgetOf: (_, subject) => subject,
    standing: [],
    isDraining: () => draining,
  });
  const server = createServer((incoming, answer) => {
    if (!hotRead(incoming, answer)) answer.writeHead(418, { 'content-length': 2 }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const taken = async (path: string, more: Readonly<Record<string, string>> = {}, method = 'GET') =>
    (await request(url, method, path, { headers: { ...headers, ...more } })).status === 200;

  t.false(await taken('/state/k'), 'a token that nobody has verified');
  access.verifyToken(headers.authorization.slice(7));
  t.false(await taken('/state/k'), 'a client without a window');
  const ctx = { state: { budget: 'reader', spending: 'reads' }, res: { setHeader: () => {} } };
  await rateLimit.middleware(ctx as never, async () => {});
  t.true(await taken('/state/k'));
  t.true(await taken('/state/a%2Fb'));
  t.true(await taken('/state/k', { accept: 'application/json', 'x-request-id': 'r' }));
  for (const path of [
    '/state/none',
    '/state/k?version=1',
    '/state/a/b',
    '/state/k/history',
    '/state/',
    '/state/%zz',
    '/states/k',
  ])
    t.false(await taken(path), path);
  for (const [name, value] of Object.entries({
    accept: 'text/event-stream',
    'if-none-match': '"1"',
    origin: 'https://example.com',
    'x-nexus-consistency': 'strong',
    'x-nexus-min-position': '0',
    authorization: `Bearer ${signToken('reader', 'state:read:other')}`,
  }))
    t.false(await taken('/state/k', { [name]: value }), name);
  t.false(await taken('/state/k', {}, 'HEAD'));
  draining = true;
  t.false(await taken('/state/k'));
});
