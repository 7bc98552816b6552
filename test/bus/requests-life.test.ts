import test from 'ava';
import { Dealer } from 'zeromq';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import type { NexusCore } from '../../src/nexus-core.ts';
import type { Delivery } from '../../src/nexus-subscriptions.ts';
import { openHub } from '../support/hub.ts';
import { openResponder } from '../support/responder.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const bearer = (subject: string, scope: string) => ({ authorization: `Bearer ${signToken(subject, scope)}` });

test('scopes › asking needs that of the topic, replying needs the address alone', async (t) => {
  const hub = await openHub({ jwtSecret });
  t.teardown(hub.close);
  const { url } = hub;
  const asker = bearer('ann', 'events:publish:sums.*');
  const responder = await openResponder(url, 'sums.add', { headers: bearer('bob', 'events:read:sums.add') });
  const denied = await request(url, 'POST', '/requests/other', { body: { payload: 1 }, headers: asker });
  t.like({ status: denied.status, ...denied.body }, { status: 403, scope: 'events:publish:other' });
  const answering = request(url, 'POST', '/requests/sums.add', { body: { payload: 1 }, headers: asker });
  const { replyTo } = await responder.next();
  const nobody = await request(url, 'POST', '/replies', { body: { replyTo, payload: 2 } });
  t.is(nobody.status, 401);
  t.like(await responder.ws.ask({ type: 'reply', replyTo, payload: 2 }), { type: 'published' });
  t.like((await answering).body, { payload: 2, publisher: 'bob' });
  await responder.ws.close();
});

test('scopes › readers of every topic see no reply, and those who name the reply topics do', async (t) => {
  const hub = await openHub({ jwtSecret });
  t.teardown(hub.close);
  const { url } = hub;
  const topic = `_reply.${hub.core.node}`;
  const wide = bearer('eve', 'events:read:> events:publish:>');
  const eve = await openWs(url, { headers: wide });
  const auditor = await openWs(url, { headers: bearer('aud', 'events:read:_reply.>') });
  const everything = await eve.ask({ type: 'subscribe', topic: '>' });
  t.is(everything.type, 'subscribed');
  for (const named of ['_reply.>', '_reply.*', topic])
    t.like(await eve.ask({ type: 'subscribe', topic: named }), { type: 'error', code: 'forbidden' });
  t.like(await eve.ask({ type: 'publish', topic, payload: 1 }), { type: 'error', code: 'forbidden' });
  t.is((await request(url, 'GET', `/streams/topic-${topic}`, { headers: wide })).status, 403);
  t.like(await auditor.ask({ type: 'subscribe', topic: '_reply.>' }), { type: 'subscribed' });

  const asker = bearer('ann', 'events:publish:secrets');
  const responder = await openResponder(url, 'secrets', { headers: bearer('bob', 'events:read:secrets') });
  const answering = request(url, 'POST', '/requests/secrets', { body: { payload: 'q' }, headers: asker });
  const { replyTo } = await responder.next();
  await responder.ws.ask({ type: 'reply', replyTo, payload: 'for ann alone' });
  t.like((await answering).body, { payload: 'for ann alone' });
  t.like(await auditor.waitForType('message'), { topic, payload: 'for ann alone' });
  await eve.ask({ type: 'publish', topic: 'secrets', payload: 'end' });
  t.like(await eve.waitForType('message'), { payload: 'q' });
  t.like(await eve.waitForType('message'), { payload: 'end' });
  const page = await request(url, 'GET', '/events?topic=>', { headers: wide });
  t.deepEqual(
    (page.body.events as readonly { readonly payload: unknown }[]).map(({ payload }) => payload),
    ['q', 'end'],
  );
  await Promise.all([eve, auditor, responder.ws].map((ws) => ws.close()));
});

test('a consumer of a durable subscription › replies as a subscriber does, and gets no request whose time is over', async (t) => {
  const hub = await openHub();
  t.teardown(hub.close);
  const { core, url } = hub;
  const context = { subject: { id: 'worker', scopes: ['admin'] }, correlationId: 'c' };
  const data = { name: 'workers', topic: 'work.*', from: 'start' };
  t.like(await core.execute({ type: 'CreateSubscription', data }, context), { ok: true });
  const pull = async (): Promise<readonly Delivery[]> => {
    const pulled = await core.pull('workers', { max: 10, waitMs: 60_000 }, context);
    return pulled.ok ? pulled.value.deliveries : t.fail(pulled.problem.detail);
  };
  const over = await request(url, 'POST', '/requests/work.over', { body: { payload: 'over', timeoutMs: 1 } });
  t.is(over.status, 504);
  const answering = request(url, 'POST', '/requests/work.now', { body: { payload: 'now' } });
  const [delivery, ...others] = await pull();
  t.deepEqual(others, []);
  t.is(delivery?.message.payload, 'now');
  const replyTo = delivery?.message.headers['nexus-reply-to'];
  t.like(await core.reply({ replyTo, payload: 'done' }, context), { ok: true });
  t.like((await answering).body, { payload: 'done', publisher: 'worker' });
  const settled = await core.settle('ack', 'workers', { deliveries: [delivery?.delivery] }, context);
  t.like(settled, { ok: true, value: { done: 1 } });
});

/** A hub that shows when the wait of each request has ended. */
const openWatchedHub = async () => {
  const ends: Promise<unknown>[] = [];
  const hub = await openHub({
    wrap: (core): NexusCore => ({
      ...core,
      request: (...given) => {
        const end = core.request(...given);
        ends.push(end);
        return end;
      },
    }),
  });
  return { hub, ends };
};

const gaveUp = { ok: false, problem: { code: 'no_reply', detail: 'the requester gave up' } } as const;

test('a requester that is gone › waits no longer: its reply is not_found', async (t) => {
  const { hub, ends } = await openWatchedHub();
  t.teardown(hub.close);
  const responder = await openResponder(hub.url, 'gone.*');
  const replyIsRefused = async (replyTo: string) =>
    t.like(await responder.ws.ask({ type: 'reply', replyTo, payload: 1 }), { code: 'not_found' });

  const aborted = new AbortController();
  const rest = request(hub.url, 'POST', '/requests/gone.rest', {
    body: { payload: 1 },
    signal: aborted.signal,
  });
  const first = await responder.next();
  aborted.abort();
  await t.throwsAsync(rest);
  t.like(await ends[0], gaveUp);
  await replyIsRefused(first.replyTo);

  const ws = await openWs(hub.url);
  ws.send({ type: 'request', topic: 'gone.ws', payload: 1 });
  const second = await responder.next();
  ws.socket.terminate();
  t.like(await ends[1], gaveUp);
  await replyIsRefused(second.replyTo);

  const graphql = await openWs(hub.url, { path: '/graphql', protocols: ['graphql-transport-ws'] });
  graphql.send({ type: 'connection_init' });
  await graphql.waitForType('connection_ack');
  const query = 'mutation { request(topic: "gone.graphql", payload: "1") { payload } }';
  graphql.send({ type: 'subscribe', id: '1', payload: { query } });
  const third = await responder.next();
  graphql.socket.terminate();
  t.like(await ends[2], gaveUp);
  await replyIsRefused(third.replyTo);
  await responder.ws.close();
});

test('a responder that dies › leaves the request to the next one, and else to its time', async (t) => {
  const hub = await openHub();
  t.teardown(hub.close);
  const dying = await openResponder(hub.url, 'fragile');
  const lost = request(hub.url, 'POST', '/requests/fragile', { body: { payload: 1, timeoutMs: 100 } });
  const kept = request(hub.url, 'POST', '/requests/fragile', { body: { payload: 2 } });
  const asked = [await dying.next(), await dying.next()];
  dying.ws.socket.terminate();
  await dying.ws.closed;
  t.is((await lost).status, 504);
  const { replyTo } = asked.find(({ payload }) => payload === 2) ?? { replyTo: '' };
  const next = await openWs(hub.url);
  t.like(await next.ask({ type: 'reply', replyTo, payload: 3 }), { type: 'published' });
  t.like((await kept).body, { payload: 3 });
  await next.close();
});

test('a hub that drains › ends what waits with shutting_down, and does not wait for it', async (t) => {
  const hub = await openHub();
  const responder = await openResponder(hub.url, 'drained.*');
  const rest = request(hub.url, 'POST', '/requests/drained.rest', { body: { payload: 1 } });
  await responder.next();
  const query = 'mutation { request(topic: "drained.graphql", payload: "1") { payload } }';
  const graphql = request(hub.url, 'POST', '/graphql', { body: { query } });
  await responder.next();
  const ws = await openWs(hub.url);
  ws.send({ type: 'request', topic: 'drained.ws', payload: 1, id: 'r' });
  await responder.next();
  await hub.close();
  t.like((await rest).body, { status: 503, code: 'shutting_down' });
  const [error] = (await graphql).body.errors as readonly { readonly extensions: object }[];
  t.like(error?.extensions, { code: 'shutting_down' });
  t.like(await ws.waitForType('error'), { id: 'r', code: 'shutting_down' });
  t.is((await ws.closed).code, 1001);
  t.deepEqual(hub.logged, [], 'nothing had to be cut');
});

test('a ZeroMQ socket that closes › tells those who wait, and waits for none of them', async (t) => {
  const hub = await openHub();
  t.teardown(hub.close);
  const zeroMq = await openZeroMq({
    core: hub.core,
    config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
    logger: createLogger('silent'),
  });
  const responder = await openResponder(hub.url, 'zmq.closing');
  const dealer = new Dealer({ linger: 0 });
  dealer.connect(zeroMq.command ?? '');
  await dealer.send(JSON.stringify({ type: 'request', topic: 'zmq.closing', payload: 1, id: 1 }));
  await responder.next();
  await zeroMq.close();
  const answer = JSON.parse(String((await dealer.receive()).at(-1)));
  t.like(answer, { type: 'error', id: 1, code: 'shutting_down' });
  dealer.close();
  await responder.ws.close();
});

test('a core that closes › ends what waits in the process with shutting_down', async (t) => {
  const hub = await openHub();
  const subject = { id: 'local', scopes: ['admin'] };
  const asked = Promise.withResolvers<void>();
  const waiting = hub.core.request(
    'inside',
    { payload: 1 },
    { subject, correlationId: 'c' },
    { onPublished: asked.resolve },
  );
  await asked.promise;
  await hub.close();
  t.like(await waiting, { ok: false, problem: { code: 'shutting_down' } });
  const later = await hub.core.request('inside', { payload: 1 }, { subject, correlationId: 'c' });
  t.like(later, { ok: false, problem: { code: 'shutting_down' } });
});
