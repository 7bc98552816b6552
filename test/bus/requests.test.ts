import test from 'ava';
import { Dealer } from 'zeromq';
import type { LogEvent } from '../../domain/event.ts';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { askGraphql } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';
import { askedOf, openResponder } from '../support/responder.ts';
import { request } from '../support/rest.ts';
import { type Frame, openWs } from '../support/ws-client.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
const { url } = hub;
const replyStream = `topic-_reply.${hub.core.node}`;
const zeroMq = await openZeroMq({
  core: hub.core,
  config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
  logger: createLogger('silent'),
});
test.after.always(async () => {
  await zeroMq.close();
  await hub.close();
});

const eventsOf = async (stream: string): Promise<readonly LogEvent[]> => {
  const { body } = await request(url, 'GET', `/streams/${stream}?direction=backwards&limit=1000`);
  return (body.events ?? []) as readonly LogEvent[];
};

const dataOf = (event: LogEvent | undefined): Frame => (event?.data ?? {}) as Frame;

const repliesTo = async (requestId: unknown): Promise<readonly LogEvent[]> =>
  (await eventsOf(replyStream)).filter(({ metadata }) => metadata.causationId === requestId);

test('REST asks, a WebSocket subscriber replies › the answer is the reply, and both stand in the log', async (t) => {
  const responder = await openResponder(url, 'sums.add');
  const answering = request(url, 'POST', '/requests/sums.add', {
    body: { payload: [1, 2], key: 'k', priority: 'HIGH', headers: { trace: 'x' } },
    headers: { 'x-correlation-id': 'order-1' },
  });
  const asked = await responder.next();
  t.deepEqual(asked.payload, [1, 2]);
  t.is(asked.headers.trace, 'x');
  t.is(asked.headers['nexus-request-id'], asked.messageId);
  const told = await responder.ws.ask({
    type: 'reply',
    replyTo: asked.replyTo,
    payload: { sum: 3 },
    headers: { unit: 'apples' },
  });
  t.like(told, { type: 'published', requestId: asked.messageId });
  const answer = await answering;
  t.is(answer.status, 200);
  t.is(answer.headers.get('x-nexus-position'), told.position as string);
  const { durationMs, ...body } = answer.body;
  t.is(typeof durationMs, 'number');
  t.deepEqual(body, {
    requestId: asked.messageId,
    payload: { sum: 3 },
    headers: { unit: 'apples' },
    publisher: 'local',
    position: told.position,
  });
  const [published] = await eventsOf('topic-sums.add');
  t.like(published?.data, { messageId: asked.messageId, key: 'k', priority: 'HIGH' });
  t.is(typeof dataOf(published).expiresAt, 'string');
  const [reply, ...others] = await repliesTo(asked.messageId);
  t.deepEqual(others, []);
  t.is(reply?.position, told.position as LogEvent['position']);
  t.is(reply?.metadata.correlationId, 'order-1');
  t.like(reply?.data, { messageId: told.messageId, payload: { sum: 3 } });
  await responder.ws.close();
});

test('a WebSocket asks, REST replies › 201, and the asker gets a reply frame', async (t) => {
  const responder = await openResponder(url, 'ws.ask');
  const ws = await openWs(url);
  ws.send({ type: 'request', topic: 'ws.ask', payload: 'how much?', id: 7, correlationId: 'c-9' });
  const { messageId, replyTo } = await responder.next();
  const replied = await request(url, 'POST', '/replies', { body: { replyTo, payload: null } });
  t.is(replied.status, 201);
  t.is(replied.headers.get('x-nexus-position'), replied.body.position as string);
  const frame = await ws.waitForType('reply');
  t.like(frame, { id: 7, requestId: messageId, payload: null, headers: {}, publisher: 'local' });
  t.is(frame.position, replied.body.position);
  t.is((await repliesTo(messageId))[0]?.metadata.correlationId, 'c-9');
  await Promise.all([ws.close(), responder.ws.close()]);
});

test('GraphQL asks and replies', async (t) => {
  const responder = await openResponder(url, 'graph.ask');
  const asking = askGraphql(
    hub,
    'mutation { request(topic: "graph.ask", payload: "{\\"n\\": 1}", timeoutMs: 60000) { success requestId payload headers publisher position durationMs } }',
  );
  const { messageId, replyTo } = await responder.next();
  const reply = await askGraphql(
    hub,
    'mutation ($to: String!) { reply(replyTo: $to, payload: "[2]") { success requestId messageId position } }',
    { to: replyTo },
  );
  const done = reply.data?.reply as Frame;
  t.like(done, { success: true, requestId: messageId });
  const answer = await asking;
  const { durationMs, ...rest }: Frame = { ...(answer.data?.request as Frame | undefined) };
  t.is(typeof durationMs, 'number');
  t.deepEqual(rest, {
    success: true,
    requestId: messageId,
    payload: [2],
    headers: {},
    publisher: 'local',
    position: done.position,
  });
  await responder.ws.close();
});

const openDealer = (): {
  readonly send: (frame: object) => Promise<void>;
  next(): Promise<Frame>;
  close(): void;
} => {
  const dealer = new Dealer({ linger: 0 });
  dealer.connect(zeroMq.command ?? '');
  return {
    send: (frame) => dealer.send(JSON.stringify(frame)),
    next: async () => JSON.parse(String((await dealer.receive()).at(-1))) as Frame,
    close: () => dealer.close(),
  };
};

test('ZeroMQ asks and replies › frames behind a request are not kept waiting', async (t) => {
  const responder = await openResponder(url, 'zmq.ask');
  const [asker, replier] = [openDealer(), openDealer()];
  await asker.send({ type: 'request', topic: 'zmq.ask', payload: 1, id: 'r' });
  await asker.send({
    type: 'command',
    command: { type: 'SetState', data: { key: 'zmq', value: 1 } },
    id: 'c',
  });
  t.like(await asker.next(), { type: 'result', id: 'c' });
  const { messageId, replyTo } = await responder.next();
  await replier.send({ type: 'reply', replyTo, payload: 2, id: 1 });
  t.like(await replier.next(), { type: 'published', id: 1, requestId: messageId });
  t.like(await asker.next(), { type: 'reply', id: 'r', requestId: messageId, payload: 2 });
  asker.close();
  replier.close();
  await responder.ws.close();
});

test('frames behind a request › take effect behind it, and are answered before its reply comes', async (t) => {
  const ws = await openWs(url);
  await ws.ask({ type: 'subscribe', topic: 'busy.*' });
  ws.send({ type: 'publish', topic: 'busy.before', payload: 1 });
  ws.send({ type: 'request', topic: 'busy.ask', payload: 2, id: 'r' });
  ws.send({ type: 'publish', topic: 'busy.after', payload: 3 });
  ws.send({ type: 'command', command: { type: 'SetState', data: { key: 'busy', value: 1 } }, id: 'c' });
  t.like(await ws.waitForMessage(({ id }) => id === 'c'), { type: 'result' });
  const seen = [];
  for (let n = 0; n < 3; n++) seen.push(await ws.waitForType('message'));
  t.deepEqual(
    seen.map(({ payload }) => payload),
    [1, 2, 3],
  );
  const { replyTo } = askedOf(seen[1] ?? {});
  t.like(await ws.ask({ type: 'reply', replyTo, payload: 4 }), { type: 'published' });
  t.like(await ws.waitForType('reply'), { id: 'r', payload: 4 });
  await ws.close();
});

test('nobody replies › 504 no_reply over each protocol, with the request named', async (t) => {
  const rest = await request(url, 'POST', '/requests/nobody', { body: { payload: 1, timeoutMs: 30 } });
  t.is(rest.status, 504);
  t.like(rest.body, { code: 'no_reply', timeoutMs: 30 });
  const ws = await openWs(url);
  const frame = await ws.ask({ type: 'request', topic: 'nobody', payload: 1, timeoutMs: 1 });
  t.like(frame, { type: 'error', code: 'no_reply', timeoutMs: 1 });
  const graphql = await askGraphql(
    hub,
    'mutation { request(topic: "nobody", payload: "1", timeoutMs: 20) { payload } }',
  );
  t.like(graphql.errors[0]?.extensions, { code: 'no_reply', timeoutMs: 20 });
  const dealer = openDealer();
  await dealer.send({ type: 'request', topic: 'nobody', payload: 1, timeoutMs: 5, id: 3 });
  const answer = await dealer.next();
  t.like(answer, { type: 'error', id: 3, code: 'no_reply' });
  dealer.close();
  const messages = (await eventsOf('topic-nobody')).map((event) => dataOf(event).messageId);
  for (const { requestId } of [rest.body, frame, graphql.errors[0]?.extensions ?? {}, answer])
    t.true(messages.includes(requestId));
  await ws.close();
});

test('a reply that tells of an error › is 502 upstream_failed with what it told', async (t) => {
  const responder = await openResponder(url, 'failing');
  const rest = request(url, 'POST', '/requests/failing', { body: { payload: 1 } });
  const first = await responder.next();
  const error = { code: 'out_of_stock', message: 'none left' };
  t.like(await responder.ws.ask({ type: 'reply', replyTo: first.replyTo, error }), { type: 'published' });
  const answer = await rest;
  t.is(answer.status, 502);
  t.like(answer.body, { code: 'upstream_failed', requestId: first.messageId, publisher: 'local', error });
  const ws = await openWs(url);
  ws.send({ type: 'request', topic: 'failing', payload: 2, id: 1 });
  const second = await responder.next();
  await responder.ws.ask({ type: 'reply', replyTo: second.replyTo, error: { message: 'code?' } });
  const frame = await ws.waitForType('error');
  t.like(frame, { id: 1, code: 'upstream_failed', error: { message: 'code?' } });
  await Promise.all([ws.close(), responder.ws.close()]);
});

test('the first reply wins › the same again is told as the first, another is already_replied, and the log has one', async (t) => {
  const responder = await openResponder(url, 'race');
  const answering = request(url, 'POST', '/requests/race', { body: { payload: 1 } });
  const { messageId, replyTo } = await responder.next();
  const answers = await Promise.all(
    [1, 2, 3, 1].map((payload) => request(url, 'POST', '/replies', { body: { replyTo, payload } })),
  );
  const won = (await answering).body.payload;
  const [reply, ...more] = await repliesTo(messageId);
  t.deepEqual(more, []);
  t.is(dataOf(reply).payload, won);
  for (const [index, { status, body }] of answers.entries()) {
    const payload = [1, 2, 3, 1][index];
    if (payload === won) t.like({ status, ...body }, { status: 201, position: reply?.position });
    else t.like({ status, ...body }, { status: 409, code: 'already_replied', requestId: messageId });
  }
  const again = await request(url, 'POST', '/replies', { body: { replyTo, payload: won } });
  t.is(again.status, 201);
  t.is(again.headers.get('idempotent-replayed'), 'true');
  const late = await responder.ws.ask({ type: 'reply', replyTo, payload: 'late' });
  t.like(late, { type: 'error', code: 'already_replied' });
  t.is((await repliesTo(messageId)).length, 1);
  await responder.ws.close();
});

test('an address that is none, altered, guessed, or out of time › is not_found, and nothing is written', async (t) => {
  // Of its own, so that its log stands still.
  const alone = await openHub();
  t.teardown(alone.close);
  const { url, core } = alone;
  const responder = await openResponder(url, 'guarded');
  const ws = await openWs(url);
  ws.send({ type: 'request', topic: 'guarded', payload: 1, id: 1 });
  const { replyTo } = await responder.next();
  const timedOut = await request(url, 'POST', '/requests/guarded', { body: { payload: 2, timeoutMs: 1 } });
  t.is(timedOut.status, 504);
  const expired = (await responder.next()).replyTo;
  const [claims = '', seal = ''] = replyTo.split('.');
  const forged = Buffer.from(JSON.stringify([core.node, 'x', 1, 'c'])).toString('base64url');
  const foreign = Buffer.from(
    JSON.stringify(['another-node', '00000000-0000-7000-8000-000000000000', 9e15, 'c']),
  ).toString('base64url');
  const before = await core.health();
  for (const wrong of [
    'x',
    '.',
    claims,
    `${claims}.`,
    `${claims}.${'A'.repeat(seal.length)}`,
    `${claims}.${seal}A`,
    `${claims}.${seal.slice(0, -1)}`,
    `${claims}x.${seal}`,
    ` ${replyTo}`,
    `${forged}.${seal}`,
    `${foreign}.${seal}`,
    `${Buffer.from('[').toString('base64url')}.${seal}`,
    `${Buffer.from('[[[[{"__proto__":1}]]]]').toString('base64url')}.${seal}`,
    '__proto__',
    'constructor',
    expired,
  ]) {
    const answer = await request(url, 'POST', '/replies', { body: { replyTo: wrong, payload: 'spoof' } });
    t.is(answer.status, 404, wrong);
    t.is(answer.body.code, 'not_found');
  }
  t.is((await core.health()).log.position, before.log.position);
  t.like(await responder.ws.ask({ type: 'reply', replyTo, payload: 'true' }), { type: 'published' });
  t.like(await ws.waitForType('reply'), { payload: 'true' });
  await Promise.all([ws.close(), responder.ws.close()]);
});

test('input of the wrong shape › is invalid, with a pointer, and asks nobody', async (t) => {
  const post = (path: string, body: object) => request(url, 'POST', path, { body });
  const pointersOf = async (path: string, body: object): Promise<unknown> => {
    const answer = await post(path, body);
    t.is(answer.status, 422, JSON.stringify(body));
    return (answer.body.errors as readonly { readonly pointer: string }[]).map(({ pointer }) => pointer);
  };
  t.deepEqual(await pointersOf('/requests/shapes', {}), ['/payload']);
  t.deepEqual(await pointersOf('/requests/shapes', { payload: 1, timeoutMs: 0 }), ['/timeoutMs']);
  t.deepEqual(await pointersOf('/requests/shapes', { payload: 1, timeoutMs: 300_001 }), ['/timeoutMs']);
  t.deepEqual(await pointersOf('/requests/shapes', { payload: 1, ttlMs: 5 }), ['']);
  t.deepEqual(await pointersOf('/requests/shapes', { payload: 1, headers: { 'nexus-reply-to': 'x' } }), [
    '/headers',
  ]);
  t.deepEqual(await pointersOf('/requests/shapes', { payload: 1, topic: 'other' }), ['/topic']);
  t.deepEqual(await pointersOf('/requests/a..b', { payload: 1 }), ['/topic']);
  t.deepEqual(await pointersOf('/replies', { payload: 1 }), ['/replyTo']);
  t.deepEqual(await pointersOf('/replies', { replyTo: 'x' }), ['']);
  t.deepEqual(await pointersOf('/replies', { replyTo: 'x', payload: 1, error: { message: 'm' } }), ['']);
  t.deepEqual(await pointersOf('/replies', { replyTo: 'x', error: { code: 'a b', message: '' } }), [
    '/error/code',
    '/error/message',
  ]);
  t.deepEqual(await pointersOf('/replies', { replyTo: 'x', payload: 1, headers: { 'nexus-reply': 'ok' } }), [
    '/headers',
  ]);
  t.is((await request(url, 'GET', '/streams/topic-shapes')).status, 404);
  const keyed = await request(url, 'POST', '/requests/shapes', {
    body: { payload: 1 },
    headers: { 'idempotency-key': 'k' },
  });
  t.like(keyed.body, { code: 'not_supported' });
  const ws = await openWs(url);
  t.like(await ws.ask({ type: 'request', payload: 1 }), { type: 'error', code: 'invalid' });
  t.like(await ws.ask({ type: 'request', topic: 'shapes', payload: 1, causationId: ' ' }), {
    code: 'invalid',
  });
  t.like(await ws.ask({ type: 'reply', replyTo: 5, payload: 1 }), { type: 'error', code: 'invalid' });
  await ws.close();
});

test('600 requests of three askers, replied to in another order › each gets its own reply', async (t) => {
  const responder = await openResponder(url, 'many.*');
  const askers = await Promise.all([openWs(url), openWs(url), openWs(url)]);
  const each = 200;
  for (let n = 0; n < each; n++)
    for (const [index, asker] of askers.entries())
      asker.send({
        type: 'request',
        topic: `many.${index}`,
        payload: `${index}-${n}`,
        timeoutMs: 300_000,
        id: n,
      });
  const asked = [];
  while (asked.length < each * askers.length) asked.push(await responder.next());
  asked.sort((a, b) => a.replyTo.localeCompare(b.replyTo)).reverse();
  for (const { replyTo, payload } of asked) responder.ws.send({ type: 'reply', replyTo, payload: [payload] });
  for (const [index, asker] of askers.entries()) {
    for (let n = 0; n < each; n++) {
      const { id, payload } = await asker.waitForType('reply');
      t.deepEqual(payload, [`${index}-${id}`]);
    }
  }
  const topics = await request(url, 'GET', '/topics', {
    headers: { 'x-nexus-min-position': (await hub.core.health()).log.position ?? '' },
  });
  const replyTopics = (
    topics.body.topics as readonly { readonly topic: string; readonly messages: number }[]
  ).filter(({ topic }) => topic.startsWith('_reply'));
  t.deepEqual(
    replyTopics.map(({ topic }) => topic),
    [`_reply.${hub.core.node}`],
  );
  t.true((replyTopics[0]?.messages ?? 0) >= each * askers.length);
  await Promise.all([...askers, responder.ws].map((ws) => ws.close()));
});

test('what is published beside the hub under the reply topic › ends no wait', async (t) => {
  const responder = await openResponder(url, 'spoofed');
  const ws = await openWs(url);
  ws.send({ type: 'request', topic: 'spoofed', payload: 1, id: 1 });
  const { messageId, replyTo } = await responder.next();
  const headers = { 'nexus-request-id': messageId, 'nexus-reply-to': replyTo, 'nexus-reply': 'ok' };
  const spoof = { type: 'publish', topic: `_reply.${hub.core.node}`, payload: 'spoof', headers };
  t.like(await responder.ws.ask(spoof), { type: 'published' });
  t.like(await responder.ws.ask({ ...spoof, messageId }), { type: 'published' });
  t.like(await responder.ws.ask({ type: 'reply', replyTo, payload: 'true' }), { type: 'published' });
  t.like(await ws.waitForType('reply'), { payload: 'true' });
  await Promise.all([ws.close(), responder.ws.close()]);
});
