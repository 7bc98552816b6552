import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { type Answer, call, openEvents, type ServerEvent } from './client.ts';

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

const publish = (topic: string, payload: unknown, more: object = {}): Promise<Answer> =>
  call(hub.url, 'POST', `/events/${topic}`, { json: { payload, ...more } });
const page = async (query: string): Promise<{ events: Message[]; position: string; more: boolean }> => {
  const answer = await call(hub.url, 'GET', `/events?${query}`);
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.body as { events: Message[]; position: string; more: boolean };
};
type Message = { readonly topic: string; readonly payload: unknown; readonly position: string };
const payloads = (events: readonly Message[]): unknown[] => events.map(({ payload }) => payload);
const parse = (event: ServerEvent | undefined): Message => JSON.parse(event?.data ?? 'null') as Message;

test('POST /events/{topic} › answers 201 with id, topic and position; the message is there as sent', async (t) => {
  const more = { priority: 'HIGH', key: 'k', headers: { a: 'b' }, messageId: 'm-1' };
  const answer = await publish('once.made', { a: 1 }, more);
  t.is(answer.status, 201);
  const position = answer.headers['x-nexus-position'] ?? '';
  t.deepEqual(answer.body, { messageId: 'm-1', topic: 'once.made', position });
  const { events } = await page('topic=once.made');
  t.is(events.length, 1);
  t.like(events[0], { topic: 'once.made', payload: { a: 1 }, position, publisher: 'local', ...more });
});

test('POST /events/{topic} › with a messageId that was used gives the first answer and appends nothing', async (t) => {
  const first = await publish('once.repeated', 1, { messageId: 'same' });
  const again = await publish('once.repeated', 2, { messageId: 'same' });
  t.is(again.status, 200);
  t.deepEqual(again.body, first.body);
  t.deepEqual(payloads((await page('topic=once.repeated')).events), [1]);
});

for (const [what, topic, json] of [
  ['a wildcard', '*', { payload: 1 }],
  ['an empty segment', 'a..b', { payload: 1 }],
  ['a topic of 33 segments', Array.from({ length: 33 }, () => 'a').join('.'), { payload: 1 }],
  ['no payload', 'a', {}],
  ['an unknown priority', 'a', { payload: 1, priority: 'URGENT' }],
  ['headers that are no texts', 'a', { payload: 1, headers: { a: 1 } }],
] as const) {
  test(`POST /events/{topic} › with ${what} is invalid`, async (t) => {
    const answer = await call(hub.url, 'POST', `/events/${topic}`, { json });
    t.like(answer.body as object, { code: 'invalid', status: 422 });
  });
}

test('GET /events › pages by pattern from a position on, in log order', async (t) => {
  for (const index of [1, 2, 3]) await publish(`paged.${index % 2 === 0 ? 'even' : 'odd'}`, index);
  await publish('paged.deep.er', 4);
  t.deepEqual(payloads((await page('topic=paged.*')).events), [1, 2, 3]);
  t.deepEqual(payloads((await page('topic=paged.%3E')).events), [1, 2, 3, 4]);
  const first = await page('topic=paged.%3E&limit=2');
  t.deepEqual(payloads(first.events), [1, 2]);
  t.true(first.more);
  const rest = await page(`topic=paged.%3E&after=${first.position}`);
  t.deepEqual(payloads(rest.events), [3, 4]);
  t.false(rest.more);
  t.deepEqual(payloads((await page('topic=paged.%3E&from=2001-01-01T00:00:00Z')).events), [1, 2, 3, 4]);
  t.deepEqual(payloads((await page('topic=paged.%3E&from=2999-01-01T00:00:00Z')).events), []);
});

test('GET /events › clamps the limit to 1,000 and refuses what is none', async (t) => {
  t.is((await call(hub.url, 'GET', '/events?limit=1000000')).status, 200);
  for (const query of [
    'limit=0',
    'limit=-1',
    'limit=many',
    'limit=1.5',
    'limit=',
    'limit=1&limit=2',
    'limt=1',
  ]) {
    const answer = await call(hub.url, 'GET', `/events?${query}`);
    t.like(answer.body as object, { code: 'invalid', status: 422 }, query);
  }
});

test('GET /topics › counts what each topic holds', async (t) => {
  await publish('counted', 1);
  await publish('counted', 2);
  const { topics } = (await call(hub.url, 'GET', '/topics')).body as {
    topics: { topic: string; messages: number }[];
  };
  t.like(
    topics.find(({ topic }) => topic === 'counted'),
    { messages: 2 },
  );
});

test('a live tail › begins at now and hands on each message once, its position being its id', async (t) => {
  await publish('tail.now', 'before');
  const tail = await openEvents(`${hub.url}/events?topic=tail.now`);
  t.teardown(() => tail.close());
  t.is(tail.status, 200);
  t.is(tail.headers.get('content-type'), 'text/event-stream');
  const published = await publish('tail.now', 'after');
  let event = await tail.next();
  if (event?.event === 'caughtUp') event = await tail.next();
  t.is(event?.event, 'message');
  t.is(event?.id, published.headers['x-nexus-position']);
  t.is(parse(event).payload, 'after');
});

test('a live tail › that was cut before its first message resumes where it began', async (t) => {
  const tail = await openEvents(`${hub.url}/events?topic=tail.cut`);
  const first = await tail.next();
  t.is(first?.event, 'caughtUp');
  const { lastId } = tail;
  t.truthy(lastId);
  tail.close();
  await publish('tail.cut', 'missed');
  const again = await openEvents(`${hub.url}/events?topic=tail.cut`, { 'last-event-id': lastId ?? '' });
  t.teardown(() => again.close());
  t.is(parse(await again.next()).payload, 'missed');
});

test('a live tail › resumes from Last-Event-ID: nothing is missed and nothing comes twice', async (t) => {
  const total = 200;
  const url = `${hub.url}/events?topic=tail.resumed&after=start`;
  const seen: unknown[] = [];
  let lastId = '';
  const publishing = (async () => {
    for (let index = 0; index < total; index++) await publish('tail.resumed', index);
  })();
  while (seen.length < total) {
    const tail = await openEvents(url, lastId === '' ? {} : { 'last-event-id': lastId });
    for (let read = 0; read < 30 && seen.length < total; ) {
      const event = await tail.next();
      if (event === undefined) break;
      lastId = event.id ?? lastId;
      if (event.event !== 'message') continue;
      seen.push(parse(event).payload);
      read++;
    }
    tail.close();
  }
  await publishing;
  t.deepEqual(
    seen,
    Array.from({ length: total }, (_, index) => index),
  );
});

test('a live tail › says once that it has caught up with the past', async (t) => {
  await publish('tail.past', 1);
  await publish('tail.past', 2);
  const tail = await openEvents(`${hub.url}/events?topic=tail.past&after=start`);
  t.teardown(() => tail.close());
  const kinds: unknown[] = [];
  for (let index = 0; index < 3; index++) kinds.push((await tail.next())?.event);
  t.deepEqual(kinds, ['message', 'message', 'caughtUp']);
});

for (const query of ['topic=a..b', 'after=soon', 'from=2030-01-01T00:00:00Z', 'limit=5', 'topic=a&topic=b']) {
  test(`a live tail › with ${query} is invalid before anything streams`, async (t) => {
    const answer = await call(hub.url, 'GET', `/events?${query}`, {
      headers: { accept: 'text/event-stream' },
    });
    t.like(answer.body as object, { code: 'invalid', status: 422 });
  });
}

test('a live tail › ends when the hub drains, and the hub does not wait for its reader', async (t) => {
  const short = await openHub();
  const tail = await openEvents(`${short.url}/events?topic=x`);
  t.is((await tail.next())?.event, 'caughtUp');
  const ended = (async () => {
    for (;;) if ((await tail.next()) === undefined) return true;
  })();
  await short.close();
  t.true(await ended);
  t.deepEqual(short.logged, [], 'its connection ended by itself, and was not cut');
});
