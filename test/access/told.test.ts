import test from 'ava';
import { openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';

const hub = await openHub({ jwtSecret });
test.after.always(hub.close);

const ask = async (scope: string, method: string, path: string, body: unknown, type = 'application/json') => {
  const response = await fetch(hub.url + path, {
    method,
    headers: { authorization: `Bearer ${signToken('ada', scope)}`, 'content-type': type },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) as Readonly<Record<string, unknown>> };
};
const writes = 'state:write:told/*';
const reads = 'state:read:told/*';
const secret = 'what only readers may know';
const mergePatch = 'application/merge-patch+json';
const jsonPatch = 'application/json-patch+json';

/** A transaction that always does `operations`. */
const transact = (scope: string, operations: readonly object[]) =>
  // biome-ignore lint/suspicious/noThenProperty: the name on the wire
  ask(scope, 'POST', '/state', { then: operations });

const put = (key: string, value: unknown) => ask('admin', 'PUT', `/state/told%2F${key}`, { value });

test('a writer who may not read › is not told the value of a conflict, whichever write it was', async (t) => {
  await put('conflict', secret);
  const path = '/state/told%2Fconflict';
  for (const [method, body, type] of [
    ['PUT', { value: 1, expectedVersion: 9 }],
    ['PATCH', { a: 1 }, mergePatch],
    ['DELETE', { expectedVersion: 9 }],
    ['POST', { by: 1, expectedVersion: 9 }],
  ] as const) {
    const own = method === 'POST' ? `${path}/increment` : path;
    const sent = method === 'PATCH' ? `${own}?resolver=none` : own;
    const blind = await ask(writes, method, sent, body, type);
    t.true(blind.status >= 400, blind.text);
    t.false(blind.text.includes(secret), blind.text);
  }
  const header = await fetch(hub.url + path, {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${signToken('ada', writes)}`,
      'content-type': 'application/json',
      'if-match': '"9"',
    },
    body: JSON.stringify({ value: 1 }),
  });
  t.is(header.status, 412);
  t.false((await header.text()).includes(secret));
  const seen = await ask(`${writes} ${reads}`, 'PUT', path, { value: 1, expectedVersion: 9 });
  t.is(seen.body.code, 'version_conflict');
  t.is(seen.body.currentValue, secret);
});

test('a writer who may not read › is not told the value that a patch or an increment makes', async (t) => {
  await put('patched', { secret });
  await put('count', 41);
  const patch = await ask(writes, 'PATCH', '/state/told%2Fpatched', { a: 1 }, mergePatch);
  t.is(patch.status, 200);
  t.deepEqual(Object.keys(patch.body).toSorted(), ['key', 'position', 'version']);
  const increment = await ask(writes, 'POST', '/state/told%2Fcount/increment', { by: 1 });
  t.is(increment.status, 200);
  t.false(increment.text.includes('42'));
  const seen = await ask(`${writes} ${reads}`, 'POST', '/state/told%2Fcount/increment', { by: 1 });
  t.is(seen.body.value, 43);
  const own = await ask(writes, 'PUT', '/state/told%2Fcount', { value: 7 });
  t.is(own.body.value, 7, 'what it has sent itself is told');
});

test('a writer who may not read › is not told the value that a resolver makes', async (t) => {
  await put('merged', { secret });
  const body = { value: { a: 1 }, expectedVersion: 0, resolver: 'three-way-merge' };
  const merged = await ask(writes, 'PUT', '/state/told%2Fmerged', body);
  t.false(merged.text.includes(secret), merged.text);
});

test('a writer who may not read › is not told values by a transaction, done or refused', async (t) => {
  await put('a', { secret });
  await put('b', 41);
  const operations = [
    { op: 'patch', key: 'told/a', format: 'merge-patch', patch: { x: 1 } },
    { op: 'increment', key: 'told/b' },
    { op: 'set', key: 'told/c', value: 'own' },
  ];
  const done = await transact(writes, operations);
  t.is(done.status, 200, done.text);
  t.false(done.text.includes(secret));
  t.false(done.text.includes('42'));
  t.true(done.text.includes('own'));
  const stale = [{ op: 'set', key: 'told/a', value: 1, expectedVersion: 9 }];
  const refused = await transact(writes, stale);
  t.is(refused.body.code, 'version_conflict');
  t.false(refused.text.includes(secret));
  const seen = await transact(`${writes} ${reads}`, stale);
  t.true(seen.text.includes(secret));
});

test('a writer who may not read › cannot guess a value by the test of a JSON patch', async (t) => {
  await put('guessed', { pin: 1234 });
  const guess = [{ op: 'test', path: '/pin', value: 1 }];
  const path = '/state/told%2Fguessed';
  const blind = await ask(writes, 'PATCH', path, guess, jsonPatch);
  t.is(blind.body.scope, 'state:read:told/guessed');
  const within = [{ op: 'patch', key: 'told/guessed', format: 'json-patch', patch: guess }];
  t.is((await transact(writes, within)).body.scope, 'state:read:told/guessed');
  t.is((await ask(`${writes} ${reads}`, 'PATCH', path, guess, jsonPatch)).body.code, 'patch_failed');
});
