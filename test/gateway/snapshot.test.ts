import test, { type ExecutionContext } from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { entriesIn, sampleEntries, snapshotOf } from '../support/snapshots.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { type Answer, call } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

const json = { 'content-type': 'application/json' };
const load = (raw: string | Buffer, query = '', url = hub.url, headers = {}): Promise<Answer> =>
  call(url, 'POST', `/snapshot${query}`, { raw, headers: { ...json, ...headers } });
const save = (query = '', url = hub.url): Promise<Answer> => call(url, 'GET', `/snapshot${query}`);
const put = (key: string, value: unknown, url = hub.url): Promise<Answer> =>
  call(url, 'PUT', `/state/${encodeURIComponent(key)}`, { json: { value } });
const readValue = async (key: string): Promise<unknown> => {
  const { status, body } = await call(hub.url, 'GET', `/state/${encodeURIComponent(key)}`);
  return status === 200 ? (body as { readonly value: unknown }).value : status;
};
const logPosition = async (url = hub.url): Promise<string> => {
  const { body } = await call(url, 'GET', '/health');
  return (body as { readonly log: { readonly position: string } }).log.position;
};
const codeOf = ({ body }: Answer): unknown => (body as { readonly code?: unknown }).code;

test('a snapshot of 10,000 keys of every kind comes back as it was, and loading it again changes nothing', async (t) => {
  const own = await openHub();
  t.teardown(() => own.close());
  const entries = sampleEntries(10_000);
  const made = await load(await snapshotOf(entries), '', own.url);
  t.like(made.body as object, { entries: 10_000, written: 10_000, unchanged: 0, deleted: 0 });
  const saved = await save('', own.url);
  t.is(saved.headers['x-nexus-position'], (made.body as { readonly position: string }).position);
  const told = new Map(entriesIn(saved.text).map(({ key, value }) => [key, value]));
  t.is(told.size, 10_000);
  t.deepEqual(
    entries.filter(({ key, value }) => JSON.stringify(told.get(key)) !== JSON.stringify(value)),
    [],
  );
  const before = await logPosition(own.url);
  t.like((await load(saved.text, '?mode=replace', own.url)).body as object, {
    written: 0,
    unchanged: 10_000,
    deleted: 0,
  });
  t.is(await logPosition(own.url), before);
});

/** Numbers from 0 to below 1, the same ones each time. */
const draws = (seed: number) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

const assertRefused = async (t: ExecutionContext, own: Hub, raw: string | Buffer, what: string) => {
  const answer = await load(raw, '', own.url);
  t.is(answer.status, 422, `${what}: ${answer.text}`);
  t.is(codeOf(answer), 'bad_snapshot', what);
};

test('a damaged file is refused wherever the damage is, and changes nothing', async (t) => {
  const own = await openHub();
  t.teardown(() => own.close());
  await put('there', 1, own.url);
  const text = await snapshotOf(sampleEntries(40));
  const sound = Buffer.from(text);
  const before = await logPosition(own.url);
  const draw = draws(Number(process.env.NEXUS_TEST_SEED ?? 7));
  const head = text.indexOf('\n');
  const tail = text.lastIndexOf('\n', sound.length - 2);
  // The head and the tail at more places than the lines between.
  const places = [
    ...Array.from({ length: 50 }, () => Math.floor(draw() * head)),
    ...Array.from({ length: 50 }, () => head + Math.floor(draw() * (sound.length - head))),
    ...Array.from({ length: 30 }, () => sound.length - 1 - Math.floor(draw() * 90)),
  ];
  for (const place of places) {
    const damaged = Buffer.from(sound);
    damaged[place] = (damaged[place] ?? 0) ^ (1 << Math.floor(draw() * 8));
    await assertRefused(t, own, damaged, `byte ${place}`);
  }
  for (const length of [
    1,
    head - 1,
    head,
    head + 1,
    head + 30,
    sound.length >> 1,
    tail,
    tail + 5,
    sound.length - 1,
  ])
    await assertRefused(t, own, sound.subarray(0, length), `cut at ${length}`);
  await assertRefused(t, own, text + text, 'twice');
  await assertRefused(t, own, `${text} `, 'more behind it');
  await assertRefused(t, own, text.replace('"version":1', '"version":2'), 'another version');
  const lines = text.split('\n');
  await assertRefused(t, own, [lines[0], lines[2], lines[1], ...lines.slice(3)].join('\n'), 'swapped');
  await assertRefused(t, own, text.replace('"count":40', '"count":39'), 'count');
  t.is(await logPosition(own.url), before);
  t.deepEqual(entriesIn((await save('', own.url)).text), [{ key: 'there', value: 1 }]);
  t.like((await load(text, '', own.url)).body as object, { written: 40 }, 'control');
});

test.serial(
  'a plain JSON object is loaded; what is no object, or has a key or value that PUT would refuse, is not',
  async (t) => {
    await put('plain/same', { a: [1] });
    const done = await load(
      JSON.stringify({ 'plain/same': { a: [1] }, 'plain/ü': null, 'plain/x': [true] }, null, 2),
    );
    t.is(done.status, 200);
    t.like(done.body as object, { entries: 3, written: 2, unchanged: 1, deleted: 0 });
    t.is(done.headers['x-nexus-position'], (done.body as { readonly position: string }).position);
    t.is(await readValue('plain/ü'), null);
    const before = await logPosition();
    for (const raw of [
      '[]',
      '"text"',
      '{',
      '{"a":1}{"b":2}',
      '{"":1}',
      '{"a":1,"b\\u0000":2}',
      '{"a":{"__proto__":1}}',
      `{"a":${'['.repeat(70)}${']'.repeat(70)}}`,
      `{"a":1,"b":"${'x'.repeat(1_000_001)}"}`,
      '{"a":1e999}',
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    ]) {
      const answer = await load(raw);
      t.is(answer.status, 422, `${raw.slice(0, 40)}: ${answer.text}`);
      t.is(codeOf(answer), 'bad_snapshot');
    }
    t.is((await load('')).status, 422);
    t.is((await call(hub.url, 'POST', '/snapshot', { raw: '{}', headers: {} })).status, 415);
    t.is((await load('{}', '?mode=other')).status, 422);
    t.is((await load('{}', '', hub.url, { 'idempotency-key': 'k' })).status, 501);
    t.is(await logPosition(), before);
  },
);

test.serial('replace deletes what the file lacks within its prefix; dryRun only tells', async (t) => {
  for (const key of ['r/a', 'r/b', 'r/c', 'r0']) await put(key, key);
  const text = await snapshotOf(
    [
      { key: 'r/a', value: 'r/a' },
      { key: 'r/b', value: 'new' },
      { key: 'r/z', value: 1 },
    ],
    'r/',
  );
  const before = await logPosition();
  const counts = { entries: 3, written: 2, unchanged: 1, deleted: 1 };
  t.like((await load(text, '?mode=replace&dryRun=true')).body as object, counts);
  t.is(await logPosition(), before);
  t.like((await load(text, '?mode=merge&dryRun=true')).body as object, { ...counts, deleted: 0 });
  t.like((await load(text, '?mode=replace')).body as object, counts);
  t.deepEqual(entriesIn((await save('?prefix=r')).text), [
    { key: 'r/a', value: 'r/a' },
    { key: 'r/b', value: 'new' },
    { key: 'r/z', value: 1 },
    { key: 'r0', value: 'r0' },
  ]);
  // Whoever changes a key after a load can go back to it by the same file.
  await put('r/b', 'changed');
  t.like((await load(text)).body as object, { written: 1, unchanged: 2 });
  t.is(await readValue('r/b'), 'new');
  t.is((await load(text, '?mode=replace&prefix=')).status, 422, 'the file knows nothing of other keys');
  t.like((await load('{"r/a":1}', '?mode=replace&prefix=r%2F')).body as object, { written: 1, deleted: 2 });
  t.is(await readValue('r0'), 'r0');
  t.is((await load('{"x":1}', '?prefix=r%2F')).status, 422);
});

test.serial(
  'what ends keeps its end, what has ended is left out, and a lock is neither saved nor touched',
  async (t) => {
    const lock = { type: 'AcquireLock', data: { key: 'e/lock', ttlMs: 600_000 } };
    t.is((await call(hub.url, 'POST', '/commands', { json: lock })).status, 200);
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const text = await snapshotOf([
      { key: 'e/gone', value: 1, expiresAt: '2020-01-01T00:00:00.000Z' },
      { key: 'e/later', value: 2, expiresAt: later },
      { key: 'e/lock', value: 'mine' },
    ]);
    const counts = { entries: 3, written: 1, unchanged: 0, expired: 1, locked: 1 };
    t.like((await load(text)).body as object, counts);
    t.like((await load(text)).body as object, { ...counts, written: 0, unchanged: 1 });
    const [entry, ...rest] = entriesIn((await save('?prefix=e%2F')).text);
    t.deepEqual(rest, []);
    t.is(entry?.key, 'e/later');
    t.true(Math.abs(Date.parse(entry?.expiresAt ?? '') - Date.parse(later)) < 1_000);
    t.is(codeOf(await put('e/lock', 1)), 'lock_held');
    t.like((await load('{}', '?mode=replace&prefix=e%2F')).body as object, { deleted: 1 }, 'the lock stays');
  },
);

test.serial('a snapshot as of a position or a time shows the state of then', async (t) => {
  await put('past/a', 1);
  const { body } = await put('past/b', 1);
  const { position } = body as { readonly position: string };
  await put('past/a', 2);
  await call(hub.url, 'DELETE', '/state/past%2Fb');
  await put('past/c', 1);
  const then = await save(`?prefix=past%2F&asOf=${position}`);
  t.is(then.headers['x-nexus-position'], position);
  t.deepEqual(entriesIn(then.text), [
    { key: 'past/a', value: 1 },
    { key: 'past/b', value: 1 },
  ]);
  t.is((await save('?asOf=nonsense')).status, 422);
  t.is((await call(hub.url, 'HEAD', '/snapshot')).status, 200);
  t.is((await call(hub.url, 'DELETE', '/snapshot')).status, 405);
});

test('saving needs state:read of the prefix, loading needs admin', async (t) => {
  const own = await openHub({ jwtSecret });
  t.teardown(() => own.close());
  const as = (scope: string) => ({ authorization: `Bearer ${signToken('me', scope)}` });
  const get = async (scope: string, query: string) =>
    (await call(own.url, 'GET', `/snapshot${query}`, { headers: as(scope) })).status;
  const post = async (scope: string) => (await load('{"nexus/x":1,"a/x":2}', '', own.url, as(scope))).status;
  t.is(await post('state:write:* state:read:*'), 403);
  t.is(await post('admin'), 200);
  t.is(await get('state:read:a/*', ''), 403);
  t.is(await get('state:read:a/*', '?prefix=a'), 403);
  t.is(await get('state:read:a/*', '?prefix=a/'), 200);
  t.is(await get('state:write:*', ''), 403);
  const whole = await call(own.url, 'GET', '/snapshot', { headers: as('state:read:*') });
  t.deepEqual(
    entriesIn(whole.text).map(({ key }) => key),
    ['a/x', 'nexus/x'],
  );
});

test('with NDJSON a load tells how far it is, and at last what it did or why it was refused', async (t) => {
  const own = await openHub();
  t.teardown(() => own.close());
  const accept = { accept: 'application/x-ndjson' };
  const done = await load(await snapshotOf(sampleEntries(1_000)), '', own.url, accept);
  t.is(done.headers['content-type'], 'application/x-ndjson');
  const lines = done.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, object>);
  t.like(lines[0]?.progress ?? {}, { entries: 1_000, written: 0 });
  t.like(lines.at(-1)?.result ?? {}, { entries: 1_000, written: 1_000 });
  const bad = await load('{', '', own.url, accept);
  t.is(bad.status, 422);
  t.is(codeOf(bad), 'bad_snapshot');
});
