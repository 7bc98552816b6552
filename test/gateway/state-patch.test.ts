import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { type CallOptions, call } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

const merge = 'application/merge-patch+json';
const jsonPatch = 'application/json-patch+json';
const put = (key: string, value: unknown) => call(hub.url, 'PUT', `/state/${key}`, { json: { value } });
const patch = (key: string, type: string, body: unknown, headers: CallOptions['headers'] = {}) =>
  call(hub.url, 'PATCH', `/state/${key}`, {
    raw: JSON.stringify(body),
    headers: { 'content-type': type, ...headers },
  });

test('PATCH /state/{key} › a merge patch and a JSON patch answer as PUT does', async (t) => {
  await put('doc', { a: 1, b: { c: 2 } });
  const merged = await patch('doc', merge, { b: { c: null, d: 3 } });
  t.is(merged.status, 200);
  t.is(merged.headers.etag, '"2"');
  t.like(merged.body as object, { key: 'doc', value: { a: 1, b: { d: 3 } }, version: 2 });
  t.like(merged.body as object, { position: merged.headers['x-nexus-position'] });
  const steps = [
    { op: 'test', path: '/a', value: 1 },
    { op: 'move', from: '/b/d', path: '/e' },
  ];
  const moved = await patch('doc', jsonPatch, steps, { 'if-match': '"2"' });
  t.like(moved.body as object, { value: { a: 1, b: {}, e: 3 }, version: 3 });
  const read = await call(hub.url, 'GET', '/state/doc');
  t.like(read.body as object, { value: { a: 1, b: {}, e: 3 }, version: 3 });
});

test('PATCH /state/{key} › a merge patch makes a key, a JSON patch of none is 404', async (t) => {
  const made = await patch('new', merge, { a: 1 });
  t.is(made.status, 201);
  t.like(made.body as object, { value: { a: 1 }, version: 1 });
  t.is((await patch('none', jsonPatch, [{ op: 'add', path: '/a', value: 1 }])).status, 404);
  t.is((await patch('none', merge, { a: 1 }, { 'if-match': '"4"' })).status, 412);
});

test('PATCH /state/{key} › a patch that does not fit names its operation and changes nothing', async (t) => {
  await put('fit', { a: 1 });
  const failed = await patch('fit', jsonPatch, [
    { op: 'add', path: '/b', value: 2 },
    { op: 'test', path: '/a', value: 2 },
  ]);
  t.is(failed.status, 409);
  t.like(failed.body as object, { code: 'patch_failed', key: 'fit', index: 1, currentVersion: 1 });
  t.like((await call(hub.url, 'GET', '/state/fit')).body as object, { value: { a: 1 }, version: 1 });
});

test('PATCH /state/{key} › what is no patch is refused: type, body, operations', async (t) => {
  await put('typed', {});
  const other = await patch('typed', 'application/json', {});
  t.is(other.status, 415);
  t.is(other.headers['accept-patch'], `${merge}, ${jsonPatch}`);
  t.is((await patch('typed', jsonPatch, { a: 1 })).status, 422);
  t.is((await call(hub.url, 'PATCH', '/state/typed')).status, 422);
  const wrong = await patch('typed', jsonPatch, [
    { op: 'add', path: '/a', value: 1 },
    { op: 'swap', path: '/a' },
  ]);
  t.is(wrong.status, 422);
  t.like((wrong.body as { errors: object[] }).errors[0], { pointer: '/patch/1/op' });
  const many = Array.from({ length: 1_001 }, () => ({ op: 'test', path: '', value: {} }));
  t.is((await patch('typed', jsonPatch, many)).status, 422);
});

test('PATCH /state/{key} › the same Idempotency-Key patches once', async (t) => {
  const headers = { 'idempotency-key': 'once' };
  await put('once', { n: 1 });
  const body = [{ op: 'add', path: '/list', value: [] }];
  const first = await patch('once', jsonPatch, body, headers);
  await put('once', 'something else');
  const again = await patch('once', jsonPatch, body, headers);
  t.is(again.headers['idempotent-replayed'], 'true');
  t.deepEqual(again.body, first.body);
});

test('POST /state/{key}/increment › counts without reading first, and only numbers', async (t) => {
  const count = (json: object) => call(hub.url, 'POST', '/state/hits/increment', { json });
  const first = await count({});
  t.is(first.status, 201);
  t.like(first.body as object, { key: 'hits', value: 1, version: 1 });
  const many = await Promise.all(Array.from({ length: 50 }, () => count({ by: 2 })));
  t.deepEqual([...new Set(many.map(({ status }) => status))], [200]);
  t.like((await call(hub.url, 'GET', '/state/hits')).body as object, { value: 101, version: 51 });
  await put('text', 'one');
  const refused = await call(hub.url, 'POST', '/state/text/increment', { json: {} });
  t.is(refused.status, 409);
  t.like(refused.body as object, { code: 'not_a_number', currentVersion: 1 });
  t.is((await count({ by: 'one' })).status, 422);
});
