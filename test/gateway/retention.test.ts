import test from 'ava';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { askGraphql, eventsOf } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { request, until } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

const put = (pattern: string, limits: object) =>
  request(hub.url, 'PUT', `/retention/${encodeURIComponent(pattern)}`, { body: limits });

const publish = async (topic: string, from: number, to: number): Promise<readonly string[]> => {
  const positions: string[] = [];
  for (let n = from; n < to; n++) {
    const { body } = await request(hub.url, 'POST', `/events/${topic}`, { body: { payload: n } });
    positions.push(String(body.position));
  }
  return positions;
};

const pageOf = (topic: string, after = 'start', { url }: Pick<Hub, 'url'> = hub) =>
  request(url, 'GET', `/events?topic=${encodeURIComponent(topic)}&after=${after}`);

/** A topic of 20 messages of which the newest 5 are left; the positions of all. */
const trimmedTopic = async (topic: string): Promise<readonly string[]> => {
  const positions = await publish(topic, 0, 20);
  await put(topic, { maxMessages: 5 });
  await until(
    () => pageOf(topic),
    ({ body }) => Array.isArray(body.events) && body.events.length === 5,
  );
  return positions;
};

const start = '0'.repeat(16);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

test('a policy is set, read, replaced, listed and removed by its pattern', async (t) => {
  const first = await put('rest.*.>', { maxMessages: 100 });
  t.is(first.status, 201);
  t.like(first.body, { topic: 'rest.*.>', maxMessages: 100, maxAgeSec: null, maxBytes: null });
  t.is(first.headers.get('x-nexus-position'), String(first.body.position));
  const second = await put('rest.*.>', { maxAgeSec: 60, maxBytes: 1_000 });
  t.is(second.status, 200);
  const wanted = { topic: 'rest.*.>', maxAgeSec: 60, maxMessages: null, maxBytes: 1_000 };
  const raw = await request(hub.url, 'GET', '/retention/rest.*.%3E');
  t.deepEqual(raw.body, wanted);
  const again = await put('rest.*.>', { maxAgeSec: 60, maxBytes: 1_000 });
  t.is(again.status, 200);
  const list = await request(hub.url, 'GET', '/retention');
  const { policies } = list.body as { policies: { topic: string }[] };
  t.deepEqual(
    policies.filter(({ topic }) => topic === wanted.topic),
    [wanted],
  );
  t.true('lastRun' in (list.body.maintenance as object));
  t.is((await request(hub.url, 'DELETE', '/retention/rest.*.%3E')).status, 204);
  t.is((await request(hub.url, 'GET', '/retention/rest.*.%3E')).status, 404);
  t.is((await request(hub.url, 'DELETE', '/retention/rest.*.%3E')).status, 404);
});

for (const [claim, pattern, limits, pointer] of [
  ['no limit at all', 'bad', {}, ''],
  ['only nulls', 'bad', { maxBytes: null }, ''],
  ['a limit of nothing', 'bad', { maxMessages: 0 }, '/maxMessages'],
  ['part of a message', 'bad', { maxMessages: 1.5 }, '/maxMessages'],
  ['an age as text', 'bad', { maxAgeSec: '1h' }, '/maxAgeSec'],
  ['a limit that is unknown', 'bad', { maxMessage: 1 }, ''],
  ['a pattern that is none', 'bad..topic', { maxMessages: 1 }, '/topic'],
  ['a pattern that goes on behind >', '>.bad', { maxMessages: 1 }, '/topic'],
] as const) {
  test(`a policy of ${claim} is invalid`, async (t) => {
    const { status, body } = await put(pattern, limits);
    t.is(status, 422);
    const errors = body.errors as { pointer: string }[];
    t.true(errors.some((error) => error.pointer === pointer));
  });
}

test('a policy needs admin; reading it the scope of its topics, or that of the log', async (t) => {
  const as = (scope: string) => ({ authorization: `Bearer ${signToken('ada', scope)}` });
  const call = (method: string, path: string, scope: string, body?: object) =>
    request(guarded.url, method, path, { headers: as(scope), ...(body === undefined ? {} : { body }) });
  const limits = { maxMessages: 1 };
  const refused = await call('PUT', '/retention/orders.*', 'events:publish:> events:read:> log:read', limits);
  t.is(refused.status, 403);
  t.is(refused.body.scope, 'admin');
  t.is((await call('PUT', '/retention/orders.*', 'admin', limits)).status, 201);
  t.is((await call('DELETE', '/retention/orders.*', 'events:read:>')).status, 403);
  t.is((await call('GET', '/retention/orders.*', 'events:read:orders.>')).status, 200);
  t.is((await call('GET', '/retention/orders.*', 'log:read')).status, 200);
  t.is((await call('GET', '/retention/orders.*', 'events:read:orders.eu')).status, 403);
  t.is((await call('GET', '/retention', 'events:read:orders.>')).status, 403);
  t.is((await call('GET', '/retention', 'events:read:>')).status, 200);
});

test('a page that begins before what was removed says so; one behind it does not', async (t) => {
  const positions = await trimmedTopic('page.one');
  await publish('page.other', 0, 1);
  for (const pattern of ['page.one', 'page.*', 'page.>']) {
    const { body } = await pageOf(pattern);
    t.deepEqual(body.gap, { from: start, to: positions[14] }, pattern);
    const middle = positions[7] ?? '';
    t.deepEqual((await pageOf(pattern, middle)).body.gap, { from: middle, to: positions[14] });
    t.false('gap' in (await pageOf(pattern, positions[14])).body);
  }
  t.false('gap' in (await pageOf('page.other')).body);
});

test('WebSocket › a subscription that begins before what was removed gets a gap, then what is left', async (t) => {
  const positions = await trimmedTopic('ws.one');
  for (const [topic, after] of [
    ['ws.one', 'start'],
    ['ws.*', 'start'],
    ['ws.one', positions[3]],
  ] as const) {
    const ws = await openWs(hub.url);
    ws.send({ type: 'subscribe', topic, after, subscription: 's' });
    const first = await ws.waitForMessage(({ type }) => type === 'gap' || type === 'message');
    const from = after === 'start' ? start : after;
    t.deepEqual(first, { type: 'gap', subscription: 's', from, to: positions[14] });
    for (let n = 15; n < 20; n++) t.is((await ws.waitForType('message')).payload, n);
    await ws.waitForType('caughtUp');
    await ws.close();
  }
});

test('server-sent events › the same', async (t) => {
  const positions = await trimmedTopic('sse.one');
  for (const topic of ['sse.one', 'sse.*']) {
    const ending = new AbortController();
    const response = await fetch(`${hub.url}/events?topic=${topic}&after=start`, {
      headers: { accept: 'text/event-stream' },
      signal: ending.signal,
    });
    const seen: unknown[] = [];
    for await (const { event, data } of eventsOf(response)) {
      seen.push(event === 'message' ? JSON.parse(data).payload : [event, JSON.parse(data)]);
      if (event === 'caughtUp') break;
    }
    t.deepEqual(seen.slice(0, 6), [['gap', { from: start, to: positions[14] }], 15, 16, 17, 18, 19]);
    ending.abort();
  }
});

test('GraphQL › a subscription tells a gap as an error of one result, and goes on', async (t) => {
  const positions = await trimmedTopic('gql.one');
  const client = createClient({
    url: `${hub.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
  });
  for (const topic of ['gql.one', 'gql.*']) {
    const query = `subscription { messages(topic: "${topic}", after: "start") { payload } }`;
    const seen: unknown[] = [];
    for await (const { data, errors } of client.iterate({ query })) {
      seen.push(errors === undefined ? data?.messages : errors.map(({ extensions }) => extensions));
      if (seen.length === 6) break;
    }
    t.deepEqual(seen, [
      [{ code: 'gap', from: start, to: positions[14] }],
      ...[15, 16, 17, 18, 19].map((payload) => ({ payload })),
    ]);
  }
  await client.dispose();
});

test('GraphQL › sets, lists and removes policies', async (t) => {
  const set = await askGraphql(
    hub,
    'mutation { setRetention(topic: "gq.>", maxMessages: 9) { success topic maxMessages maxBytes position } }',
  );
  t.like(set.data, { setRetention: { success: true, topic: 'gq.>', maxMessages: 9, maxBytes: null } });
  const one = await askGraphql(hub, '{ retention(topic: "gq.>") { topic maxMessages } }');
  t.deepEqual(one.data, { retention: [{ topic: 'gq.>', maxMessages: 9 }] });
  const all = await askGraphql(hub, '{ retention { topic } }');
  t.true(JSON.stringify(all.data).includes('{"topic":"gq.>"}'));
  const removed = await askGraphql(hub, 'mutation { removeRetention(topic: "gq.>") { success } }');
  t.deepEqual(removed.data, { removeRetention: { success: true } });
  t.deepEqual((await askGraphql(hub, '{ retention(topic: "gq.>") { topic } }')).data, { retention: [] });
  const bad = await askGraphql(hub, 'mutation { setRetention(topic: "gq.>") { success } }');
  t.is(bad.errors[0]?.extensions.code, 'invalid');
});

test('a client that stops reading while its backlog is removed › is told of a gap, with nothing lost in front of it', async (t) => {
  const topic = 'slow.one';
  const total = 8_000;
  const ws = await openWs(hub.url);
  const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };
  for (let from = 0; from < total; from += 500) {
    const done = Array.from({ length: 500 }, (_, n) =>
      hub.core.execute(
        { type: 'PublishMessage', data: { topic, payload: { n: from + n, pad: 'x'.repeat(4_000) } } },
        context,
      ),
    );
    for (const { ok } of await Promise.all(done)) t.true(ok);
  }
  ws.socket.pause();
  ws.send({ type: 'subscribe', topic, after: 'start', subscription: 's' });
  await put(topic, { maxMessages: 10 });
  await until(
    () => pageOf(topic),
    ({ body }) => Array.isArray(body.events) && body.events.length === 10,
  );
  const numbers: number[] = [];
  let gapAt: number | undefined;
  let gaps = 0;
  let lastPosition = start;
  const done = new Promise<void>((resolve) => {
    ws.onFrame((frame) => {
      if (frame.type === 'gap') {
        gaps++;
        gapAt = numbers.length;
        t.is(frame.from, lastPosition);
      }
      if (frame.type === 'message') {
        numbers.push((frame.payload as { n: number }).n);
        lastPosition = String(frame.position);
      }
      if (numbers.at(-1) === total - 1) resolve();
    });
  });
  ws.socket.resume();
  await done;
  t.is(gaps, 1);
  t.true(numbers.length < total);
  const hole = numbers.length - 10;
  t.deepEqual(numbers, [...range(0, hole), ...range(total - 10, total)]);
  t.true(gapAt !== undefined && gapAt <= hole, 'told before the hole');
  await ws.close();
});

test('a durable subscription tells of what was taken before it was delivered, also after a restart of its lanes', async (t) => {
  const positions = await trimmedTopic('durable.a');
  const path = '/subscriptions/durable';
  const made = await request(hub.url, 'PUT', path, { body: { topic: 'durable.*', from: 'start' } });
  t.is(made.status, 201);
  const body = { max: 20, waitMs: 60_000 };
  const pulled = await request(hub.url, 'POST', `${path}/pull`, { body });
  const deliveries = pulled.body.deliveries as readonly { readonly message: { readonly payload: number } }[];
  t.deepEqual(
    deliveries.map(({ message }) => message.payload),
    range(15, 20),
  );
  t.like((await request(hub.url, 'GET', path)).body, { gap: { from: start, to: positions[14] } });
  const reset = await request(hub.url, 'POST', `${path}/reset`, { body: { to: positions[15] } });
  t.is(reset.status, 200);
  t.like((await request(hub.url, 'GET', path)).body, { gap: null });
});
