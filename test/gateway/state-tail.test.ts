import test from 'ava';
import { openHub } from '../support/hub.ts';
import { call, type EventStream, openEvents } from './client.ts';

const hub = await openHub();
test.after.always(() => hub.close());

const put = async (key: string, value: unknown): Promise<string> => {
  const answer = await call(hub.url, 'PUT', `/state/${encodeURIComponent(key)}`, { json: { value } });
  return answer.headers['x-nexus-position'] ?? '';
};

type Change = Readonly<Record<string, unknown>>;

/** The next `count` changes, each with the id of its event; what else the stream tells is passed over. */
const changes = async (tail: EventStream, count: number): Promise<(Change & { readonly id: unknown })[]> => {
  const found: (Change & { readonly id: unknown })[] = [];
  while (found.length < count) {
    const event = await tail.next();
    if (event === undefined) throw new Error('the stream has ended');
    if (event.event === 'message') found.push({ ...(JSON.parse(event.data) as Change), id: event.id });
  }
  return found;
};

test('a live tail of a key › tells each change with what was there before, its position being its id', async (t) => {
  const key = 'tail/one';
  const tail = await openEvents(`${hub.url}/state/${encodeURIComponent(key)}`);
  t.teardown(() => tail.close());
  t.is(tail.status, 200);
  t.is(tail.headers.get('content-type'), 'text/event-stream');
  const first = await put(key, { a: 1 });
  await put('tail/other', 1);
  await call(hub.url, 'PATCH', '/state/tail%2Fone', {
    headers: { 'content-type': 'application/merge-patch+json' },
    raw: '{"b":2}',
  });
  await call(hub.url, 'DELETE', '/state/tail%2Fone');
  const last = await put(key, 'again');
  const told = await changes(tail, 4);
  t.deepEqual(
    told.map(({ id: _, position: __, ...rest }) => rest),
    [
      { key, value: { a: 1 }, oldValue: null, version: 1, deleted: false },
      { key, value: { a: 1, b: 2 }, oldValue: { a: 1 }, version: 2, deleted: false },
      { key, value: null, oldValue: { a: 1, b: 2 }, version: 3, deleted: true },
      { key, value: 'again', oldValue: null, version: 4, deleted: false },
    ],
  );
  t.deepEqual(
    told.map(({ id }) => id),
    told.map(({ position }) => position),
  );
  t.is(told[0]?.id, first);
  t.is(told[3]?.id, last);
});

test('a live tail of a prefix › tells what lies below it and nothing else, from the start when asked', async (t) => {
  await put('below/a', 1);
  await put('beside', 1);
  await put('below/b', 2);
  const tail = await openEvents(`${hub.url}/state?prefix=below/&after=start`);
  t.teardown(() => tail.close());
  t.deepEqual(
    (await changes(tail, 2)).map(({ key }) => key),
    ['below/a', 'below/b'],
  );
  t.is((await tail.next())?.event, 'caughtUp');
  await put('below/c', 3);
  t.is((await changes(tail, 1))[0]?.key, 'below/c');
});

test('a live tail of all keys › needs no prefix', async (t) => {
  const tail = await openEvents(`${hub.url}/state`);
  t.teardown(() => tail.close());
  const position = await put('all/one', 1);
  let [change] = await changes(tail, 1);
  while (change?.id !== position) [change] = await changes(tail, 1);
  t.is(change?.key, 'all/one');
});

test('a live tail of a key › goes on behind Last-Event-ID, whatever its URL says', async (t) => {
  const seen = await put('resumed', 1);
  await put('resumed', 2);
  const tail = await openEvents(`${hub.url}/state/resumed?after=start`, { 'last-event-id': seen });
  t.teardown(() => tail.close());
  t.like((await changes(tail, 1))[0], { value: 2, oldValue: 1, version: 2 });
});

for (const [path, fault] of [
  ['/state?prefix=a&limit=5', '/limit'],
  ['/state/a?asOf=2030-01-01T00:00:00Z', '/asOf'],
  ['/state/a?version=1', '/version'],
  ['/state/a?after=soon', '/after'],
]) {
  test(`a live tail › of ${path} is invalid before anything streams`, async (t) => {
    const { body } = await call(hub.url, 'GET', path ?? '', { headers: { accept: 'text/event-stream' } });
    t.like(body as object, { code: 'invalid', errors: [{ pointer: fault }] });
  });
}

test('a page › does not take after, which is for a tail', async (t) => {
  t.is((await call(hub.url, 'GET', '/state?after=start')).status, 422);
});

test('a history › is no tail', async (t) => {
  await put('past', 1);
  const headers = { accept: 'text/event-stream' };
  t.is((await call(hub.url, 'GET', '/state/past/history', { headers })).status, 406);
});
