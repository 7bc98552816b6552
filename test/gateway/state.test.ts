import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { type Answer, type CallOptions, call } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

const put = (key: string, json: unknown, headers: CallOptions['headers'] = {}): Promise<Answer> =>
  call(hub.url, 'PUT', `/state/${key}`, { json, headers });
const get = (path: string, headers: CallOptions['headers'] = {}): Promise<Answer> =>
  call(hub.url, 'GET', `/state${path}`, { headers });

test('PUT /state/{key} › makes with 201, replaces with 200, and names version and position', async (t) => {
  const made = await put('made', { value: { a: [1] } });
  t.is(made.status, 201);
  const position = made.headers['x-nexus-position'];
  t.deepEqual(made.body, { key: 'made', value: { a: [1] }, version: 1, position });
  t.is(made.headers.etag, '"1"');
  const replaced = await put('made', { value: null });
  t.is(replaced.status, 200);
  t.like(replaced.body as object, { value: null, version: 2 });
  const read = await get('/made');
  t.deepEqual(Object.keys(read.body as object), [
    'key',
    'value',
    'version',
    'updatedAt',
    'updatedBy',
    'position',
  ]);
  t.like(read.body as object, { key: 'made', value: null, version: 2, updatedBy: 'local' });
});

test('PUT /state/{key} › with If-Match replaces that version only; otherwise 412 tells the current one', async (t) => {
  await put('matched', { value: 'first' });
  t.is((await put('matched', { value: 'second' }, { 'if-match': '"1"' })).status, 200);
  const stale = await put('matched', { value: 'third' }, { 'if-match': '"1"' });
  t.is(stale.status, 412);
  t.is(stale.headers['content-type'], 'application/problem+json');
  t.like(stale.body as object, {
    status: 412,
    code: 'version_conflict',
    expectedVersion: 1,
    currentVersion: 2,
    currentValue: 'second',
  });
});

test('PUT /state/{key} › with If-None-Match: * makes only what is not there', async (t) => {
  t.is((await put('fresh', { value: 1 }, { 'if-none-match': '*' })).status, 201);
  const there = await put('fresh', { value: 2 }, { 'if-none-match': '*' });
  t.is(there.status, 412);
  t.like(there.body as object, {
    code: 'version_conflict',
    expectedVersion: 0,
    currentVersion: 1,
    currentValue: 1,
  });
});

test('PUT /state/{key} › with expectedVersion in the body conflicts as 409', async (t) => {
  await put('bodied', { value: 1 });
  t.is((await put('bodied', { value: 2, expectedVersion: 1 })).status, 200);
  const stale = await put('bodied', { value: 3, expectedVersion: 1 });
  t.is(stale.status, 409);
  t.like(stale.body as object, {
    status: 409,
    code: 'version_conflict',
    expectedVersion: 1,
    currentVersion: 2,
  });
});

for (const [what, headers, json] of [
  ['If-Match that is no version', { 'if-match': '"abc"' }, { value: 1 }],
  ['If-Match of several versions', { 'if-match': '"1", "2"' }, { value: 1 }],
  ['a weak If-Match', { 'if-match': 'W/"1"' }, { value: 1 }],
  ['If-None-Match of a version', { 'if-none-match': '"1"' }, { value: 1 }],
  ['both header fields', { 'if-match': '"1"', 'if-none-match': '*' }, { value: 1 }],
  ['a header and a body that differ', { 'if-match': '"1"' }, { value: 1, expectedVersion: 2 }],
  ['an expectedVersion that is no number', {}, { value: 1, expectedVersion: '1' }],
  ['a key in the body that is not the one in the path', {}, { value: 1, key: 'other' }],
  ['no value', {}, {}],
  ['a member that nobody knows', {}, { value: 1, valeu: 2 }],
] as const) {
  test(`PUT /state/{key} › with ${what} is invalid and writes nothing`, async (t) => {
    const answer = await put('untouched', json, headers);
    t.is(answer.status, 422, answer.text);
    const { code, errors } = answer.body as { code: string; errors: { pointer: string; detail: string }[] };
    t.is(code, 'invalid');
    t.true(errors.length > 0 && errors.every(({ pointer, detail }) => pointer.length >= 0 && detail !== ''));
    t.is((await get('/untouched')).status, 404);
  });
}

test('500 concurrent PUT with one If-Match › one wins, 499 get 412 with the current version', async (t) => {
  await put('contested', { value: 'start' });
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, index) => put('contested', { value: index }, { 'if-match': '"1"' })),
  );
  const won = answers.filter(({ status }) => status === 200);
  const lost = answers.filter(({ status }) => status === 412);
  t.is(won.length, 1);
  t.is(lost.length, 499);
  const winner = won[0]?.body as { value: number; version: number };
  t.is(winner.version, 2);
  for (const { body } of lost) t.like(body as object, { currentVersion: 2, currentValue: winner.value });
  const history = await get('/contested/history');
  t.is((history.body as { history: unknown[] }).history.length, 2);
});

test('GET /state/{key} › carries the version as ETag, and is 304 for who has it', async (t) => {
  await put('tagged', { value: 1 });
  const read = await get('/tagged');
  t.is(read.headers.etag, '"1"');
  for (const tag of ['"1"', 'W/"1"', '"7", "1"', '*']) {
    const fresh = await get('/tagged', { 'if-none-match': tag });
    t.is(fresh.status, 304, tag);
    t.is(fresh.text, '');
    t.is(fresh.headers.etag, '"1"');
  }
  t.is((await get('/tagged', { 'if-none-match': '"2"' })).status, 200);
});

test('GET /state/{key} › shows a former version, and the state as of a position or a time', async (t) => {
  const first = await put('aged', { value: 'old' });
  const second = await put('aged', { value: 'new' });
  const { position } = first.body as { position: string };
  t.like((await get('/aged?version=1')).body as object, { value: 'old', version: 1 });
  t.is((await get('/aged?version=3')).status, 404);
  t.like((await get(`/aged?asOf=${position}`)).body as object, { value: 'old', version: 1 });
  const { updatedAt } = (await get('/aged')).body as { updatedAt: string };
  t.like((await get(`/aged?asOf=${encodeURIComponent(updatedAt)}`)).body as object, { value: 'new' });
  t.is((await get('/aged?asOf=2001-01-01T00:00:00Z')).status, 404);
  t.is((await get('/aged?asOf=yesterday')).status, 422);
  t.not(second.headers['x-nexus-position'], position);
});

test('DELETE /state/{key} › removes with 204; versions go on when the key is made again', async (t) => {
  await put('gone', { value: 1 });
  t.is((await call(hub.url, 'DELETE', '/state/gone', { headers: { 'if-match': '"9"' } })).status, 412);
  const removed = await call(hub.url, 'DELETE', '/state/gone', { headers: { 'if-match': '"1"' } });
  t.is(removed.status, 204);
  t.regex(removed.headers['x-nexus-position'] ?? '', /^[0-9a-f]+$/);
  t.is((await get('/gone')).status, 404);
  t.is((await call(hub.url, 'DELETE', '/state/gone')).status, 404);
  const again = await put('gone', { value: 2 });
  t.is(again.status, 201);
  t.like(again.body as object, { version: 3 });
});

test('GET /state › lists by prefix, page by page', async (t) => {
  for (const index of [1, 2, 3]) await put(`list%2F${index}`, { value: index });
  await put('other', { value: 0 });
  const seen: unknown[] = [];
  let cursor: string | undefined;
  do {
    const page = await get(`?prefix=list%2F&limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`);
    t.is(page.status, 200, page.text);
    const body = page.body as { entries: unknown[]; cursor?: string; position: string };
    t.true(body.entries.length <= 2);
    seen.push(...body.entries);
    cursor = body.cursor;
  } while (cursor !== undefined);
  t.deepEqual(
    seen,
    [1, 2, 3].map((index) => ({ key: `list/${index}`, value: index, version: 1 })),
  );
});

test('GET /state/{key}/history › is newest first, deletions included, and goes on before a version', async (t) => {
  await put('storied', { value: 1 });
  await call(hub.url, 'DELETE', '/state/storied');
  await put('storied', { value: 3 });
  const { history } = (await get('/storied/history')).body as {
    history: { version: number; value: unknown; deleted: boolean; eventId: string }[];
  };
  t.deepEqual(
    history.map(({ version, value, deleted }) => [version, value, deleted]),
    [
      [3, 3, false],
      [2, null, true],
      [1, 1, false],
    ],
  );
  const older = (await get('/storied/history?before=2&limit=1')).body as { history: { version: number }[] };
  t.deepEqual(
    older.history.map(({ version }) => version),
    [1],
  );
  t.is((await get('/never/history')).status, 404);
});

test('a key › may hold slashes, percent-encoded or raw, and every character but controls', async (t) => {
  for (const [path, key] of [
    ['a%2Fb', 'a/b'],
    ['raw/b', 'raw/b'],
    ['raw//b/', 'raw//b/'],
    ['%C3%A4%20%F0%9F%98%80', 'ä 😀'],
    ['..%2F..', '../..'],
    ['x%2Fhistory', 'x/history'],
    ['%25', '%'],
  ] as const) {
    const made = await put(path, { value: path });
    t.is(made.status, 201, made.text);
    t.like((await get(`/${path}`)).body as object, { key, value: path });
  }
  t.is((await put('%00', { value: 1 })).status, 422);
  t.is((await put('a'.repeat(513), { value: 1 })).status, 422);
});

test('a raw /history at the end › is the history, and cannot be written', async (t) => {
  const answer = await put('x/history', { value: 1 });
  t.is(answer.status, 405);
  t.is(answer.headers.allow, 'HEAD, GET');
});

test('X-Nexus-Min-Position › waits for what was written, and must be a position', async (t) => {
  const made = await put('awaited', { value: 1 });
  const position = made.headers['x-nexus-position'] ?? '';
  t.is((await get('/awaited', { 'x-nexus-min-position': position })).status, 200);
  const bad = await get('/awaited', { 'x-nexus-min-position': 'soon' });
  t.like(bad.body as object, { code: 'invalid', status: 422 });
});

test('HEAD /state/{key} › is GET without the body; OPTIONS names the methods', async (t) => {
  await put('headed', { value: 1 });
  const full = await get('/headed');
  const head = await call(hub.url, 'HEAD', '/state/headed');
  t.is(head.status, 200);
  t.is(head.text, '');
  t.is(head.headers['content-length'], full.headers['content-length']);
  const options = await call(hub.url, 'OPTIONS', '/state/headed');
  t.is(options.status, 204);
  t.is(options.headers.allow, 'HEAD, GET, PUT, PATCH, DELETE, OPTIONS');
});

test('DELETE /state/{key} › takes the expected version of its body, and never passes it over', async (t) => {
  await put('guarded', { value: 1 });
  const remove = (json: unknown, headers: CallOptions['headers'] = {}) =>
    call(hub.url, 'DELETE', '/state/guarded', { json, headers });
  const stale = await remove({ expectedVersion: 7 });
  t.is(stale.status, 409);
  t.like(stale.body as object, { code: 'version_conflict', expectedVersion: 7, currentVersion: 1 });
  t.is((await remove({ expectedVersion: 1 }, { 'if-match': '"2"' })).status, 422);
  t.is((await remove({ version: 1 })).status, 422);
  t.is((await remove({ expectedVersion: 1 })).status, 204);
});

for (const tag of ['*', 'W/"1"', '"1", "2"', '"1', '1"', '""', '"-1"', '"1e0"']) {
  test(`PUT /state/{key} › with If-Match: ${tag} is invalid, and writes nothing`, async (t) => {
    const key = `tag-${encodeURIComponent(tag).replaceAll('%', '_')}`;
    await put(key, { value: 'first' });
    const answer = await put(key, { value: 'second' }, { 'if-match': tag });
    t.is(answer.status, 422);
    t.like((await get(`/${key}`)).body as object, { value: 'first', version: 1 });
  });
}

test('GET /state › a limit of any size above the greatest is clamped, one below 1 is invalid', async (t) => {
  await put('clamped', { value: 1 });
  for (const limit of ['1001', '1000000000', '9'.repeat(40)]) {
    t.is((await get(`?limit=${limit}`)).status, 200, limit);
  }
  for (const limit of ['0', '-1', '1.5', '1e9', '']) t.is((await get(`?limit=${limit}`)).status, 422, limit);
});

test('X-Nexus-Consistency › strong is taken by a read, anything else is invalid', async (t) => {
  await call(hub.url, 'PUT', '/state/strong', { json: { value: 1 } });
  for (const path of ['/state/strong', '/state?prefix=strong', '/state/strong/history', '/services']) {
    const strong = await call(hub.url, 'GET', path, { headers: { 'x-nexus-consistency': 'strong' } });
    t.is(strong.status, 200, path);
    const weak = await call(hub.url, 'GET', path, { headers: { 'x-nexus-consistency': 'weak' } });
    t.is(weak.status, 422, path);
  }
});
