import test from 'ava';
import { applyPatch, type PatchOperation } from '../../domain/json-patch.ts';
import { askGraphql } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { type Answer, request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

const put = async (path: string, value: unknown): Promise<string> =>
  String((await request(hub.url, 'PUT', `/state/${path}`, { body: { value } })).body.position);
const diff = (path: string, query: string): Promise<Answer> =>
  request(hub.url, 'GET', `/state/${path}/diff${query}`);

test('GET /state/{key}/diff › is the JSON patch between versions, positions and times', async (t) => {
  const before = await put('other', 1);
  const [first, second] = [
    { a: 1, list: [1, 2] },
    { a: 2, list: [1, 2, 3], b: null },
  ];
  const one = await put('doc', first);
  const two = await put('doc', second);
  const { body } = await diff('doc', '?from=1&to=2');
  t.deepEqual(body, {
    key: 'doc',
    from: { version: 1, position: one },
    to: { version: 2, position: two },
    patch: [
      { op: 'replace', path: '/a', value: 2 },
      { op: 'add', path: '/list/2', value: 3 },
      { op: 'add', path: '/b', value: null },
    ],
  });
  t.deepEqual(applyPatch(first, body.patch as PatchOperation[]), { ok: true, value: second });
  t.deepEqual((await diff('doc', '?from=1')).body, body, 'to is now');
  t.deepEqual((await diff('doc', `?from=${one}&to=${two}`)).body, body);
  t.deepEqual((await diff('doc', '?from=2&to=2')).body.patch, []);
  const back = (await diff('doc', '?from=2&to=1')).body;
  t.deepEqual(applyPatch(second, back.patch as PatchOperation[]), { ok: true, value: first });
  t.like((await diff('doc', `?from=${before}`)).body, {
    from: { version: 0, position: before },
    patch: [{ op: 'add', path: '', value: second }],
  });
  const { body: past } = await request(hub.url, 'GET', '/state/doc/history');
  const [newest] = past.history as readonly { readonly updatedAt: string }[];
  const at = encodeURIComponent(newest?.updatedAt ?? '');
  t.like((await diff('doc', `?from=2001-01-01T00:00:00Z&to=${at}`)).body, { from: { version: 0 } });
  t.like((await diff('doc', `?from=1&to=${at}`)).body, { to: { version: 2 } });
});

test('GET /state/{key}/diff › a side where the key did not exist has version 0', async (t) => {
  await put('gone', 1);
  await request(hub.url, 'DELETE', '/state/gone');
  t.like((await diff('gone', '?from=1')).body, { from: { version: 1 }, to: { version: 0 } });
  t.deepEqual((await diff('gone', '?from=1')).body.patch, [{ op: 'remove', path: '' }]);
  t.deepEqual((await diff('gone', '?from=2')).body.patch, []);
  t.deepEqual((await diff('gone', '?from=0&to=1')).body.patch, [{ op: 'add', path: '', value: 1 }]);
  t.deepEqual((await diff('never', '?from=0')).body.patch, []);
  t.is((await diff('gone', '?from=3')).status, 404);
  t.is((await diff('never', '?from=1')).status, 404);
});

test('GET /state/{key}/diff › what is no version, position or time is 422 at its name', async (t) => {
  await put('strict', 1);
  for (const [query, pointer] of [
    ['', '/from'],
    ['?from=', '/from'],
    ['?from=-1', '/from'],
    ['?from=1&to=now', '/to'],
    ['?from=1&to=01a', '/to'],
    ['?from=1&until=2', '/until'],
    [`?from=1&to=${'z'.repeat(16)}`, '/to'],
  ] as const) {
    const { status, body } = await diff('strict', query);
    t.is(status, 422, query);
    t.like(body, { errors: [{ pointer }] });
  }
});

test('/diff › is the difference when it is raw, and part of the key when it is encoded', async (t) => {
  const made = await request(hub.url, 'PUT', '/state/a%2Fdiff', { body: { value: 1 } });
  t.is(made.body.key, 'a/diff');
  t.is((await request(hub.url, 'GET', '/state/a%2Fdiff')).body.value, 1);
  t.like((await request(hub.url, 'GET', '/state/a%2Fdiff/diff?from=0')).body, { key: 'a/diff' });
  for (const method of ['PUT', 'DELETE', 'PATCH', 'POST']) {
    const { status, headers } = await request(hub.url, method, '/state/a/diff', { body: { value: 2 } });
    t.is(status, 405);
    t.is(headers.get('allow'), 'HEAD, GET');
  }
});

test('stateDifference of GraphQL › is the same', async (t) => {
  await put('graph', [1, 2]);
  await put('graph', [1, 3]);
  const query = `{ stateDifference(key: "graph", from: "1") { key from { version } to { version } patch } }`;
  t.deepEqual((await askGraphql(hub, query)).data, {
    stateDifference: {
      key: 'graph',
      from: { version: 1 },
      to: { version: 2 },
      patch: [{ op: 'replace', path: '/1', value: 3 }],
    },
  });
  const none = await askGraphql(hub, '{ stateDifference(key: "graph", from: "7") { key } }');
  t.deepEqual(none.data, { stateDifference: null });
});

test('a difference › needs state:read of the key', async (t) => {
  const guarded = await openHub({ jwtSecret });
  t.teardown(() => guarded.close());
  const ask = (scope: string) =>
    request(guarded.url, 'GET', '/state/k/diff?from=0', {
      headers: { authorization: `Bearer ${signToken('ann', scope)}` },
    });
  t.is((await ask('state:read:other')).status, 403);
  t.is((await ask('state:read:k')).status, 200);
});
