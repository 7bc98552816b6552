import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { openWs } from '../support/ws-client.ts';
import { type CallOptions, call } from './client.ts';

// biome-ignore-start lint/suspicious/noThenProperty: lists, by the name that they have on the wire

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

type Body = Readonly<Record<string, unknown>>;

const put = (key: string, value: unknown) => call(hub.url, 'PUT', `/state/${key}`, { json: { value } });
const get = async (key: string) => (await call(hub.url, 'GET', `/state/${key}`)).body as Body;
const transact = (json: object, headers: CallOptions['headers'] = {}) =>
  call(hub.url, 'POST', '/state', { json, headers });

test('POST /state › does every operation of then when all conditions hold, and tells of each', async (t) => {
  await put('a1', 10);
  await put('a2', { n: 1 });
  await put('a4', 'gone');
  const answer = await transact({
    compare: [
      { key: 'a1', version: 1, value: 10, atLeast: 10, atMost: 10 },
      { key: 'a3', exists: false, version: 0 },
    ],
    then: [
      { op: 'increment', key: 'a1', by: -4 },
      { op: 'patch', format: 'merge-patch', key: 'a2', patch: { m: 2 } },
      { op: 'set', key: 'a3', value: null, ttlMs: 3_600_000 },
      { op: 'delete', key: 'a4' },
      { op: 'delete', key: 'a5' },
      { op: 'get', key: 'a6' },
    ],
    else: [{ op: 'set', key: 'a7', value: 1 }],
  });
  t.is(answer.status, 200);
  const body = answer.body as Body;
  t.is(body.succeeded, true);
  t.is(body.position, answer.headers['x-nexus-position']);
  const [one, two, three, ...rest] = body.results as Body[];
  t.deepEqual(one, { op: 'increment', key: 'a1', value: 6, version: 2 });
  t.deepEqual(two, { op: 'patch', key: 'a2', value: { n: 1, m: 2 }, version: 2 });
  t.like(three, { op: 'set', key: 'a3', value: null, version: 1 });
  t.is(typeof three?.expiresAt, 'string');
  t.deepEqual(rest, [
    { op: 'delete', key: 'a4', deleted: true, version: 2 },
    { op: 'delete', key: 'a5', deleted: false, version: 0 },
    { op: 'get', key: 'a6', exists: false, value: null, version: 0 },
  ]);
  t.like(await get('a1'), { value: 6, version: 2 });
  t.is((await call(hub.url, 'GET', '/state/a4')).status, 404);
  t.is((await call(hub.url, 'GET', '/state/a7')).status, 404);
});

test('POST /state › one condition that does not hold does else instead, or nothing', async (t) => {
  await put('b1', 10);
  const wrong: object[] = [
    { key: 'b1', version: 2 },
    { key: 'b1', exists: false },
    { key: 'b1', value: 11 },
    { key: 'b1', atLeast: 11 },
    { key: 'b1', atMost: 9 },
    { key: 'none', value: null },
    { key: 'none', atMost: 1 },
  ];
  for (const [index, compare] of wrong.entries()) {
    const answer = await transact({
      compare: [{ key: 'b1', exists: true }, compare],
      then: [{ op: 'set', key: 'b2', value: index }],
      else: [
        { op: 'set', key: 'b3', value: index },
        { op: 'get', key: 'b1' },
      ],
    });
    t.like(answer.body as Body, { succeeded: false }, JSON.stringify(compare));
    t.deepEqual((answer.body as Body).results, [
      { op: 'set', key: 'b3', value: index, version: index + 1 },
      { op: 'get', key: 'b1', exists: true, value: 10, version: 1 },
    ]);
  }
  const nothing = await transact({
    compare: [{ key: 'b1', version: 7 }],
    then: [{ op: 'delete', key: 'b1' }],
  });
  t.like(nothing.body as Body, { succeeded: false, results: [] });
  t.is((await call(hub.url, 'GET', '/state/b2')).status, 404);
});

test('POST /state › an operation that is refused refuses the whole, and is pointed to', async (t) => {
  await put('c1', 1);
  await put('c2', 'text');
  const cases = [
    [{ op: 'increment', key: 'c2', by: 1 }, 'not_a_number'],
    [{ op: 'set', key: 'c2', value: 1, expectedVersion: 7 }, 'version_conflict'],
    [{ op: 'delete', key: 'c3', expectedVersion: 7 }, 'version_conflict'],
    [{ op: 'patch', key: 'c3', format: 'json-patch', patch: [] }, 'not_found'],
  ] as const;
  for (const [operation, code] of cases) {
    const done = { op: 'increment', key: 'c1', by: 1 };
    const answer = await transact({ then: [done, operation] });
    t.like(answer.body as Body, { code, pointer: '/then/1', key: operation.key });
    const other = await transact({ compare: [{ key: 'c1', version: 9 }], else: [operation, done] });
    t.like(other.body as Body, { code, pointer: '/else/0' });
  }
  t.like(await get('c1'), { value: 1, version: 1 });
});

test('POST /state › a key that is held as a lock refuses the whole', async (t) => {
  const lock = await call(hub.url, 'POST', '/commands', {
    json: { type: 'AcquireLock', data: { key: 'd1', ttlMs: 60_000, holder: 'me' } },
  });
  t.is(lock.status, 200);
  const answer = await transact({
    then: [
      { op: 'set', key: 'd2', value: 1 },
      { op: 'set', key: 'd1', value: 1 },
    ],
  });
  t.is(answer.status, 409);
  t.like(answer.body as Body, { code: 'lock_held', pointer: '/then/1', holder: 'me' });
  t.is((await call(hub.url, 'GET', '/state/d2')).status, 404);
});

test('POST /state › what has the wrong shape is refused by its place', async (t) => {
  const set = { op: 'set', key: 'e', value: 1 };
  const cases: readonly (readonly [object, string])[] = [
    [{}, ''],
    [{ else: [set] }, ''],
    [{ compare: [{ key: 'e' }] }, '/compare/0'],
    [{ then: [set, { op: 'delete', key: 'e' }] }, '/then/1/key'],
    [{ then: [{ op: 'acquire', key: 'e' }] }, '/then/0/op'],
    [{ then: [{ op: 'set', key: 'e' }] }, '/then/0/value'],
    [{ then: [{ ...set, resolver: 'max' }] }, '/then/0'],
    [{ then: [{ op: 'patch', key: 'e', patch: {} }] }, '/then/0/format'],
    [{ then: Array.from({ length: 129 }, (_, n) => ({ ...set, key: `e${n}` })) }, '/then'],
    [{ then: [set], extra: 1 }, ''],
  ];
  for (const [json, pointer] of cases) {
    const { status, body } = await transact(json);
    t.is(status, 422, JSON.stringify(json).slice(0, 100));
    const errors = (body as { readonly errors: readonly { readonly pointer: string }[] }).errors;
    t.is(errors[0]?.pointer, pointer, JSON.stringify(json).slice(0, 100));
  }
  const revision = await call(hub.url, 'POST', '/commands', {
    json: { type: 'TransactState', data: { then: [set] }, expectedRevision: 0 },
  });
  t.is(revision.status, 422);
  t.is((await call(hub.url, 'GET', '/state/e')).status, 404);
});

test('POST /state › with an Idempotency-Key it is done once and answers as the first time', async (t) => {
  const headers = { 'idempotency-key': 'f-1' };
  const json = {
    compare: [{ key: 'f1', exists: false }],
    then: [
      { op: 'get', key: 'f3' },
      { op: 'set', key: 'f1', value: 1 },
      { op: 'delete', key: 'f4' },
      { op: 'increment', key: 'f2', by: 5 },
    ],
    else: [{ op: 'set', key: 'f2', value: 'else' }],
  };
  await put('f4', 0);
  const first = await transact(json, headers);
  t.like(first.body as Body, { succeeded: true });
  await put('f3', 'later');
  await put('f2', 'later');
  const again = await transact(json, headers);
  t.deepEqual(again.body, first.body);
  t.like(await get('f2'), { value: 'later', version: 2 });
  const other = await transact({ ...json, else: [] }, headers);
  t.like(other.body as Body, { code: 'idempotency_mismatch' });

  const failing = { compare: [{ key: 'f1', version: 9 }], else: [{ op: 'delete', key: 'f3' }] };
  const failed = await transact(failing, { 'idempotency-key': 'f-2' });
  t.like(failed.body as Body, { succeeded: false });
  t.deepEqual((await transact(failing, { 'idempotency-key': 'f-2' })).body, failed.body);
});

test('POST /state › events stand side by side and tell their transaction', async (t) => {
  const { body } = await transact({
    then: [
      { op: 'set', key: 'g1', value: 1 },
      { op: 'get', key: 'g3' },
      { op: 'set', key: 'g2', value: 2 },
    ],
  });
  const { position } = body as { readonly position: string };
  const read = async (key: string) => {
    const stream = await call(hub.url, 'GET', `/streams/state-${key}`);
    return (stream.body as { readonly events: readonly Body[] }).events[0];
  };
  const [one, two] = [await read('g1'), await read('g2')];
  t.like(one?.metadata as Body, { transaction: { index: 0, count: 2, succeeded: true } });
  t.like(two?.metadata as Body, { transaction: { index: 1, count: 2, succeeded: true } });
  t.is(two?.position, position);

  // As of a place within the transaction it is not there yet.
  const within = String(one?.position);
  t.is((await call(hub.url, 'GET', `/state/g1?asOf=${within}`)).status, 404);
  t.is((await call(hub.url, 'GET', `/state/g2?asOf=${within}`)).status, 404);
  const list = await call(hub.url, 'GET', `/state?prefix=g&asOf=${within}`);
  t.deepEqual((list.body as Body).entries, []);
  t.true(String((list.body as Body).position) < within);
  t.is((await call(hub.url, 'GET', `/state/g1?asOf=${position}`)).status, 200);
});

test('transactState › over GraphQL and a WebSocket is the same transaction', async (t) => {
  const query = `mutation ($then: [StateOperation!]) {
    transactState(compare: [{ key: "h0", exists: false }], then: $then, else: [{ op: SET, key: "h9", value: 1 }]) {
      success succeeded position results { op key value version exists deleted }
    }
  }`;
  const then = [
    { op: 'SET', key: 'h1', value: null },
    { op: 'PATCH', key: 'h2', patch: { a: 1 } },
    { op: 'PATCH', key: 'h1x', patch: { a: null, b: 2 }, format: 'MERGE_PATCH' },
    { op: 'INCREMENT', key: 'h3' },
    { op: 'DELETE', key: 'h4' },
    { op: 'GET', key: 'h5' },
  ];
  const answer = await call(hub.url, 'POST', '/graphql', { json: { query, variables: { then } } });
  const none = { exists: null, deleted: null };
  const { data } = answer.body as { readonly data: { readonly transactState: Body } };
  t.like(data.transactState, { success: true, succeeded: true });
  t.deepEqual(data.transactState.results, [
    { op: 'SET', key: 'h1', value: null, version: 1, ...none },
    { op: 'PATCH', key: 'h2', value: { a: 1 }, version: 1, ...none },
    { op: 'PATCH', key: 'h1x', value: { b: 2 }, version: 1, ...none },
    { op: 'INCREMENT', key: 'h3', value: 1, version: 1, ...none },
    { op: 'DELETE', key: 'h4', value: null, version: 0, exists: null, deleted: false },
    { op: 'GET', key: 'h5', value: null, version: 0, exists: false, deleted: null },
  ]);

  const socket = await openWs(hub.url);
  await socket.ask({ type: 'watch', prefix: 'h', subscription: 's' });
  const result = await socket.ask({
    type: 'command',
    command: {
      type: 'TransactState',
      data: {
        compare: [{ key: 'h3', value: 1 }],
        then: [
          { op: 'increment', key: 'h3', by: 1 },
          { op: 'delete', key: 'h1' },
        ],
      },
    },
  });
  t.like(result, { type: 'result', result: { succeeded: true } });
  t.is((result.events as readonly Body[]).length, 2);
  t.like(await socket.waitForType('state'), { key: 'h3', value: 2, oldValue: 1 });
  t.like(await socket.waitForType('state'), { key: 'h1', deleted: true, position: result.position });
  const refused = await socket.ask({
    type: 'command',
    command: { type: 'TransactState', data: { then: [{ op: 'increment', key: 'h2', by: 1 }] } },
  });
  t.like(refused, { type: 'error', code: 'not_a_number', pointer: '/then/0' });
  await socket.close();
});
// biome-ignore-end lint/suspicious/noThenProperty: lists, by the name that they have on the wire
