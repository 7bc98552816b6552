import test from 'ava';
import { pullSchema } from '../../src/command/subscription-schemas.ts';
import { defaultTimeouts } from '../../src/gateway/server.ts';
import type { NexusCore } from '../../src/nexus-core.ts';
import { makeGroup, payloadsOf, pullAll } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { request, until } from '../support/rest.ts';

const hub = await openHub();
test.after.always(() => hub.close());

test('pull › answers with what is ready, up to max, in the order in which it was published', async (t) => {
  const group = await makeGroup(hub.url);
  const published = await group.publish(1, 2, 3, 4, 5);
  const first = await group.pull(2);
  t.deepEqual(payloadsOf(first), [1, 2]);
  t.deepEqual(payloadsOf(await pullAll(group, 3)), [3, 4, 5]);
  const [delivery] = first;
  t.is(delivery?.attempt, 1);
  t.like(delivery?.message, {
    messageId: published[0]?.messageId,
    topic: group.topic,
    payload: 1,
    priority: 'NORMAL',
    headers: {},
    publisher: 'local',
    position: published[0]?.position,
  });
  t.like(await group.view(), { inFlight: 5, lagEvents: 5 });
});

test('pull › without a body takes one that is ready, and none when none is', async (t) => {
  const group = await makeGroup(hub.url);
  t.deepEqual((await group.call('POST', '/pull')).body, { deliveries: [] });
  t.deepEqual((await group.call('POST', '/pull', { max: 5, waitMs: 1 })).body, { deliveries: [] });
  await group.publish(1, 2);
  await pullAll(group, 1);
  t.is((await group.pull(1)).length, 1);
});

test('pull › that waits is answered by the first message that comes', async (t) => {
  const group = await makeGroup(hub.url);
  const pulled = group.pull(10);
  await group.publish('first');
  t.deepEqual(payloadsOf(await pulled), ['first']);
});

test('pull › two at once share what comes: each message goes to one of them', async (t) => {
  const group = await makeGroup(hub.url);
  const both = [group.pull(1), group.pull(1)];
  await group.publish('a', 'b');
  const payloads = (await Promise.all(both)).flatMap(payloadsOf);
  t.deepEqual([...payloads].sort(), ['a', 'b']);
});

test('ack › is done once: what was acknowledged does not come again, and a second one is refused', async (t) => {
  const group = await makeGroup(hub.url);
  await group.publish(1, 2);
  const deliveries = await pullAll(group, 2);
  const acked = await group.settle('ack', deliveries);
  t.is(acked.status, 200);
  t.deepEqual(acked.body, { done: 2, refused: [], durable: false });
  t.like(await group.view(), { inFlight: 0, lagEvents: 0 });
  const again = await group.settle('ack', deliveries);
  t.is(again.status, 200);
  t.deepEqual(again.body, {
    done: 0,
    refused: deliveries.map(({ delivery }) => delivery),
    durable: false,
  });
  t.deepEqual(await group.pull(1, 1), []);
});

test('ack › durable waits for the record, and says so', async (t) => {
  const group = await makeGroup(hub.url);
  await group.publish(1);
  const acked = await group.settle('ack', await group.pull(), { durable: true });
  t.deepEqual(acked.body, { done: 1, refused: [], durable: true });
  const { body } = await request(hub.url, 'GET', `/streams/checkpoint-${group.name}`);
  t.like(body, { events: [{ type: 'SubscriptionCheckpointed' }] });
});

test('nak › with a delay of 0 comes back at once, as the next attempt under another name', async (t) => {
  const group = await makeGroup(hub.url);
  await group.publish(1);
  const first = await group.pull();
  t.like((await group.settle('nak', first, { delayMs: 0, reason: 'not now' })).body, { done: 1 });
  const second = await group.pull();
  t.like(second, [{ attempt: 2, message: { messageId: first[0]?.message.messageId } }]);
  t.not(second[0]?.delivery, first[0]?.delivery);
  t.like((await group.settle('ack', first)).body, { done: 0 });
  t.like((await group.settle('ack', second)).body, { done: 1 });
});

test('nak › without a delay waits the backoff, and with one that', async (t) => {
  const group = await makeGroup(hub.url, { backoffMs: [0, 86_400_000] });
  await group.publish(1);
  await group.settle('nak', await group.pull());
  const second = await group.pull();
  t.is(second[0]?.attempt, 2);
  await group.settle('nak', second);
  t.deepEqual(await group.pull(1, 1), []);
  t.like(await group.view(), { inFlight: 1 });
  await group.publish(2);
  const other = await group.pull();
  t.deepEqual(payloadsOf(other), [2]);
  await group.settle('nak', other, { delayMs: 86_400_000 });
  t.deepEqual(await group.pull(1, 1), []);
});

test('a delivery that nobody settles › comes again when ackWaitMs is over, and the late ack is refused', async (t) => {
  const group = await makeGroup(hub.url, { ackWaitMs: 100, backoffMs: [0] });
  await group.publish(1);
  const first = await group.pull();
  const second = await group.pull();
  t.is(second[0]?.attempt, 2);
  t.like((await group.settle('ack', first)).body, { done: 0, refused: [first[0]?.delivery] });
  t.like((await group.settle('extend', first)).body, { done: 0 });
});

test('extend › keeps the delivery, under its name', async (t) => {
  const group = await makeGroup(hub.url);
  await group.publish(1);
  const deliveries = await group.pull();
  t.like((await group.settle('extend', deliveries)).body, { done: 1, refused: [] });
  t.like((await group.settle('ack', deliveries)).body, { done: 1 });
});

test('reset › to the start, now, a position and a time', async (t) => {
  const group = await makeGroup(hub.url);
  const [first] = await group.publish(1, 2, 3);
  await group.settle('ack', await pullAll(group, 3));
  const reset = async (to: string) => {
    const answer = await group.call('POST', '/reset', { to });
    t.is(answer.status, 200);
    t.like(answer.body, { name: group.name, topic: group.topic });
    t.regex(answer.headers.get('x-nexus-position') ?? '', /^[0-9a-f]{16,32}$/);
  };
  await reset('start');
  t.deepEqual(payloadsOf(await pullAll(group, 3)), [1, 2, 3]);
  await reset(first?.position ?? '');
  const behind = await pullAll(group, 2);
  t.deepEqual(payloadsOf(behind), [2, 3]);
  t.is(behind[0]?.attempt, 1);
  await reset('2000-01-01T00:00:00Z');
  t.deepEqual(payloadsOf(await pullAll(group, 3)), [1, 2, 3]);
  await reset('now');
  t.like(await group.view(), { lagEvents: 0, inFlight: 0 });
  await group.publish(4);
  t.deepEqual(payloadsOf(await group.pull()), [4]);
});

test('from › begins at the start, or behind a position or a time', async (t) => {
  const topic = 'from.a';
  const publish = async (payload: number) =>
    (await request(hub.url, 'POST', `/events/${topic}`, { body: { payload } })).body.position;
  const first = await publish(1);
  await publish(2);
  const payloads = async (name: string, from: unknown) => {
    await request(hub.url, 'PUT', `/subscriptions/${name}`, { body: { topic, from } });
    const pull = { body: { max: 1, waitMs: 60_000 } };
    const { body } = await request(hub.url, 'POST', `/subscriptions/${name}/pull`, pull);
    return (body.deliveries as Parameters<typeof payloadsOf>[0]).map(({ message }) => message.payload);
  };
  t.deepEqual(await payloads('from-start', 'start'), [1]);
  t.deepEqual(await payloads('from-position', first), [2]);
  t.deepEqual(await payloads('from-time', '2000-01-01T00:00:00Z'), [1]);
});

test('pause › holds deliveries back, also from a pull that waits, until resume', async (t) => {
  const group = await makeGroup(hub.url);
  const paused = await group.call('POST', '/pause', { reason: 'release' });
  t.is(paused.status, 200);
  t.like(paused.body, { name: group.name, status: 'paused' });
  await group.publish(1);
  t.deepEqual(await group.pull(1, 1), []);
  const waiting = group.pull();
  const resumed = await group.call('POST', '/resume');
  t.like(resumed.body, { status: 'active' });
  t.deepEqual(payloadsOf(await waiting), [1]);
});

/** A hub that tells when a first pull has come to its core and when it has seen that client go, and holds the answer till then. */
const openWatched = async () => {
  const begun = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  let pulls = 0;
  const wrap = (core: NexusCore): NexusCore => ({
    ...core,
    pull: async (name, data, context, signal) => {
      const first = ++pulls === 1;
      if (!first) return core.pull(name, data, context, signal);
      signal?.addEventListener('abort', () => gone.resolve());
      const pulling = core.pull(name, data, context, signal);
      begun.resolve();
      await Promise.all([pulling, gone.promise]);
      return pulling;
    },
  });
  return { hub: await openHub({ wrap }), begun: begun.promise, gone: gone.promise };
};

test('a consumer that goes away while it waits › costs no message an attempt', async (t) => {
  const { hub: watched, begun, gone } = await openWatched();
  t.teardown(() => watched.close());
  const group = await makeGroup(watched.url);
  const leaving = new AbortController();
  const left = request(watched.url, 'POST', `/subscriptions/${group.name}/pull`, {
    body: { max: 1, waitMs: 60_000 },
    signal: leaving.signal,
  });
  await begun;
  leaving.abort();
  await t.throwsAsync(left);
  await gone;
  await group.publish(1);
  t.like(await group.pull(), [{ attempt: 1, message: { payload: 1 } }]);
});

test('deliveries whose answer could not be sent › are given back at once, and no attempt was made', async (t) => {
  const { hub: watched, begun } = await openWatched();
  t.teardown(() => watched.close());
  const group = await makeGroup(watched.url);
  await group.publish(1);
  const leaving = new AbortController();
  const left = request(watched.url, 'POST', `/subscriptions/${group.name}/pull`, {
    body: { max: 1, waitMs: 60_000 },
    signal: leaving.signal,
  });
  await begun;
  // The message is taken already, and its answer is held until the hub has seen that nobody is there.
  await until(group.view, ({ inFlight }) => inFlight === 1);
  leaving.abort();
  await t.throwsAsync(left);
  t.like(await group.pull(), [{ attempt: 1, message: { payload: 1 } }]);
});

test('close › answers a pull that waits with none, and the drain does not wait for it', async (t) => {
  const { hub: watched, begun } = await openWatched();
  const group = await makeGroup(watched.url);
  const waiting = group.call('POST', '/pull', { max: 1, waitMs: 60_000 });
  await begun;
  await watched.close();
  const { status, body, headers } = await waiting;
  t.is(status, 200);
  t.deepEqual(body, { deliveries: [] });
  t.is(headers.get('connection'), 'close');
  t.deepEqual(watched.logged, [], 'nothing had to be cut at the end of the drain');
});

test('a pull never waits as long as the server takes a connection for idle', (t) => {
  t.true(pullSchema.safeParse({ waitMs: 60_000 }).success);
  t.false(pullSchema.safeParse({ waitMs: 60_001 }).success);
  t.true(defaultTimeouts.idleMs > 120_000);
});

test('Idempotency-Key › a change is made once, and the same key with another body is a mismatch', async (t) => {
  const group = await makeGroup(hub.url, { maxDeliver: 1 });
  const headers = { 'idempotency-key': 'k1' };
  const reset = () => group.call('POST', '/reset', { to: 'start' }, headers);
  const [first, second] = [await reset(), await reset()];
  t.is(first.headers.get('idempotent-replayed'), null);
  t.is(second.headers.get('idempotent-replayed'), 'true');
  t.is(second.status, 200);
  t.is(second.headers.get('x-nexus-position'), first.headers.get('x-nexus-position'));
  const other = await group.call('POST', '/reset', { to: 'now' }, headers);
  t.is(other.status, 422);
  t.is(other.body.code, 'idempotency_mismatch');
  // The key belongs to the path.
  t.is((await group.call('POST', '/pause', {}, headers)).status, 200);
  await group.call('POST', '/resume');

  await group.publish(1);
  await group.settle('term', await group.pull());
  await group.lettersWhen(1);
  const redrive = () => group.call('POST', '/dead-letters/redrive', { all: true }, headers);
  t.deepEqual((await redrive()).body, { done: 1 });
  await group.settle('term', await group.pull());
  await group.lettersWhen(1);
  const again = await redrive();
  t.deepEqual(again.body, { done: 1 });
  t.is(again.headers.get('idempotent-replayed'), 'true');
  t.is((await group.letters()).length, 1, 'the second call has redriven nothing');

  const gone = { 'idempotency-key': 'gone' };
  t.is((await group.call('DELETE', '', undefined, gone)).status, 204);
  const twice = await group.call('DELETE', '', undefined, gone);
  t.is(twice.status, 204);
  t.is(twice.headers.get('idempotent-replayed'), 'true');
});

test('Idempotency-Key › a settling answers the same again, and a pull takes none', async (t) => {
  const group = await makeGroup(hub.url);
  await group.publish(1, 2);
  const [one, two] = await pullAll(group, 2);
  const headers = { 'idempotency-key': 'ack-1' };
  const ack = (delivery: string | undefined) =>
    group.call('POST', '/ack', { deliveries: [delivery] }, headers);
  const [first, beside] = await Promise.all([ack(one?.delivery), ack(one?.delivery)]);
  t.deepEqual(first.body, { done: 1, refused: [], durable: false });
  t.deepEqual(beside.body, first.body);
  const again = await ack(one?.delivery);
  t.deepEqual(again.body, first.body);
  t.is(again.headers.get('idempotent-replayed'), 'true');
  const other = await ack(two?.delivery);
  t.is(other.status, 422);
  t.is(other.body.code, 'idempotency_mismatch');
  t.like(await group.view(), { inFlight: 1 });
  // What failed is not kept.
  const fresh = { 'idempotency-key': 'ack-2' };
  t.is((await group.call('POST', '/ack', { deliveries: [] }, fresh)).status, 422);
  t.is((await group.call('POST', '/ack', { deliveries: [two?.delivery] }, fresh)).status, 200);
  const pulled = await group.call('POST', '/pull', {}, headers);
  t.is(pulled.status, 501);
  t.is(pulled.body.code, 'not_supported');
});
