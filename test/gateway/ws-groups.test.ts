import test from 'ava';
import { makeGroup, payloadsOf } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { until } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { type Frame, openWs, type WsClient } from '../support/ws-client.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

/** The next `count` messages of a socket. */
const take = async (ws: WsClient, count: number): Promise<readonly Frame[]> => {
  const messages: Frame[] = [];
  while (messages.length < count) messages.push(await ws.waitForType('message'));
  return messages;
};
const deliveriesOf = (messages: readonly Frame[]) => messages.map(({ delivery }) => delivery);
const quiet = { inFlight: 0, lagEvents: 0 };

/** Resolves when nothing more is owed to the client: what was sent before has been answered. */
const settled = (ws: WsClient) => ws.ask({ type: 'ping' });

test('subscribe with group › is confirmed with the topic and the place, and brings deliveries', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  const confirmed = await ws.ask({ type: 'subscribe', group: group.name, subscription: 'mine' });
  const { position, ...rest } = confirmed;
  t.deepEqual(rest, {
    type: 'subscribed',
    id: confirmed.id,
    subscription: 'mine',
    topic: group.topic,
    group: group.name,
  });
  t.regex(String(position), /^[0-9a-f]{16,32}$/);
  const [published] = await group.publish({ order: 1 });
  const { delivery, publishedAt, ...message } = await ws.waitForType('message');
  t.is(typeof delivery, 'string');
  t.deepEqual(message, {
    type: 'message',
    subscription: 'mine',
    attempt: 1,
    messageId: published?.messageId,
    topic: group.topic,
    payload: { order: 1 },
    priority: 'NORMAL',
    headers: {},
    publisher: 'local',
    position: published?.position,
  });
  t.deepEqual(await ws.ask({ type: 'ack', delivery }), { type: 'done', id: 'ask-2' });
  t.like(await group.view(), quiet);
  await ws.close();
});

test('ack › without an id is not answered, one by one or as a list', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  await group.publish(1, 2, 3);
  const [first, ...others] = await take(ws, 3);
  ws.send({ type: 'ack', delivery: first?.delivery });
  ws.send({ type: 'ack', deliveries: deliveriesOf(others) });
  await until(group.view, ({ inFlight }) => inFlight === 0);
  const frames: Frame[] = [];
  ws.onFrame((frame) => frames.push(frame));
  ws.send({ type: 'ping' });
  await until(async () => frames.length, Boolean);
  t.deepEqual(frames, [{ type: 'pong' }]);
  await ws.close();
});

test('nak, term, extend › do what they do over REST', async (t) => {
  const group = await makeGroup(hub.url, { backoffMs: [86_400_000] });
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  await group.publish(1);
  const first = await ws.waitForType('message');
  t.like(await ws.ask({ type: 'nak', delivery: first.delivery, delayMs: 0, reason: 'busy' }), {
    type: 'done',
  });
  const second = await ws.waitForType('message');
  t.like(second, { attempt: 2, messageId: first.messageId });
  t.like(await ws.ask({ type: 'extend', delivery: second.delivery }), { type: 'done' });
  t.like(await ws.ask({ type: 'extend', delivery: second.delivery }), { type: 'done' });
  t.like(await ws.ask({ type: 'term', delivery: second.delivery, reason: 'no such order' }), {
    type: 'done',
  });
  t.like(await group.lettersWhen(1), [
    { attempts: 2, errors: [{ reason: 'busy' }, { reason: 'no such order' }] },
  ]);
  const late = await ws.ask({ type: 'nak', delivery: first.delivery, delayMs: 1 });
  t.like(late, { type: 'error', code: 'stale_delivery', deliveries: [first.delivery] });
  const wrong = await ws.ask({ type: 'ack', delivery: second.delivery, delayMs: 1 });
  t.is(wrong.type, 'error');
  await ws.close();
});

test('a redriven message › comes to the group’s consumer again', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  await group.publish('a');
  const { delivery } = await ws.waitForType('message');
  ws.send({ type: 'term', delivery });
  await group.lettersWhen(1);
  await group.call('POST', '/dead-letters/redrive', { all: true, payload: 'b' });
  t.like(await ws.waitForType('message'), { payload: 'b', attempt: 1 });
  await ws.close();
});

test('a stale settling › is told with an id and without, and is no bad frame, however many there are', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  await group.publish(1, 2);
  const [first, second] = deliveriesOf(await take(ws, 2));
  await ws.ask({ type: 'ack', delivery: first });
  t.like(await ws.ask({ type: 'ack', delivery: first }), {
    type: 'error',
    code: 'stale_delivery',
    deliveries: [first],
  });
  ws.send({ type: 'nak', delivery: first });
  const told = await ws.waitForType('error');
  t.is(told.id, undefined);
  t.like(told, { code: 'stale_delivery', deliveries: [first] });
  const part = await ws.ask({ type: 'ack', deliveries: [first, second, 'never'] });
  t.like(part, { type: 'error', code: 'stale_delivery', deliveries: [first, 'never'] });
  t.like(await group.view(), quiet);
  for (let n = 0; n < 1_000; n++) ws.send({ type: 'ack', delivery: `late-${n}` });
  for (let n = 0; n < 1_000; n++) t.like(await ws.waitForType('error'), { deliveries: [`late-${n}`] });
  t.like(await settled(ws), { type: 'pong' });
  await ws.close();
});

test('a delivery that timed out › is another’s, and the late ack is refused', async (t) => {
  const group = await makeGroup(hub.url, { ackWaitMs: 100, backoffMs: [0] });
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name, max: 1 });
  await group.publish(1);
  const first = await ws.waitForType('message');
  const second = await ws.waitForType('message');
  t.is(second.attempt, 2);
  t.like(await ws.ask({ type: 'ack', delivery: first.delivery }), { code: 'stale_delivery' });
  await ws.close();
});

test('settling frames of one packet › extend before what is settled behind them, and settle nothing twice', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  await group.publish(1, 2);
  const [first, second] = deliveriesOf(await take(ws, 2));
  ws.send({ type: 'ack', delivery: first, id: 'ack-1' });
  ws.send({ type: 'extend', delivery: second, id: 'extend-2' });
  ws.send({ type: 'extend', delivery: second, id: 'again-2' });
  ws.send({ type: 'ack', delivery: second, id: 'ack-2' });
  ws.send({ type: 'nak', delivery: second, id: 'nak-2' });
  const answerTo = (id: string) => ws.waitForMessage((frame) => frame.id === id);
  for (const id of ['ack-1', 'extend-2', 'again-2', 'ack-2'])
    t.deepEqual(await answerTo(id), { type: 'done', id });
  t.like(await answerTo('nak-2'), { type: 'error', code: 'stale_delivery' });
  t.like(await group.view(), quiet);
  await ws.close();
});

test('max › is as many as a consumer may hold: 100 unless given, and one more for each that it settles', async (t) => {
  const payloads = Array.from({ length: 105 }, (_, index) => index);
  const group = await makeGroup(hub.url);
  await group.publish(...payloads);
  await group.call('POST', '/reset', { to: 'start' });
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  const held = await take(ws, 100);
  t.like(await group.view(), { inFlight: 100, lagEvents: 105 });
  const few = await openWs(hub.url);
  await few.ask({ type: 'subscribe', group: group.name, max: 2 });
  await take(few, 2);
  t.like(await group.view(), { inFlight: 102 });
  ws.send({ type: 'ack', deliveries: deliveriesOf(held.slice(0, 3)) });
  const more = await take(ws, 3);
  t.deepEqual(
    more.map(({ payload }) => payload),
    [102, 103, 104],
  );
  await Promise.all([ws.close(), few.close()]);
});

test('two consumers › share, and what one held goes to the other at once when its connection breaks', async (t) => {
  const group = await makeGroup(hub.url, { ackWaitMs: 86_400_000 });
  const [one, other] = [await openWs(hub.url), await openWs(hub.url)];
  await one.ask({ type: 'subscribe', group: group.name, max: 3 });
  await group.publish(1, 2, 3);
  const held = await take(one, 3);
  await other.ask({ type: 'subscribe', group: group.name });
  one.send({ type: 'ack', delivery: held[0]?.delivery });
  one.socket.terminate();
  const moved = await take(other, 2);
  t.deepEqual(
    moved.map(({ payload, attempt }) => [payload, attempt]),
    [
      [2, 2],
      [3, 2],
    ],
  );
  t.like(await other.ask({ type: 'ack', deliveries: deliveriesOf(moved) }), { type: 'done' });
  t.like(await group.view(), quiet);
  await other.close();
});

test('unsubscribe › gives back what is held as it was, behind what was settled before', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name, subscription: 's' });
  await group.publish(1, 2, 3);
  const held = await take(ws, 3);
  ws.send({ type: 'ack', delivery: held[0]?.delivery });
  t.deepEqual(await ws.ask({ type: 'unsubscribe', subscription: 's' }), {
    type: 'unsubscribed',
    id: 'ask-2',
    subscription: 's',
  });
  t.like(await ws.ask({ type: 'ack', delivery: held[1]?.delivery }), { code: 'stale_delivery' });
  const back = await group.pull();
  t.deepEqual(payloadsOf(back), [2, 3]);
  t.is(back[0]?.attempt, 1);
  // The name is free again, and the socket may join again.
  t.like(await ws.ask({ type: 'subscribe', group: group.name, subscription: 's' }), { type: 'subscribed' });
  await ws.close();
});

test('what was acknowledged just before the socket closed › is done', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  const payloads = Array.from({ length: 50 }, (_, index) => index);
  await group.publish(...payloads);
  const held = await take(ws, 50);
  for (const { delivery } of held) ws.send({ type: 'ack', delivery });
  await ws.close();
  await until(group.view, ({ inFlight }) => inFlight === 0);
  t.like(await group.view(), quiet);
});

test('several groups, and several consumers of one, on one socket › each settles its own', async (t) => {
  const [one, two] = [await makeGroup(hub.url), await makeGroup(hub.url)];
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: one.name, subscription: 'one', max: 2 });
  await ws.ask({ type: 'subscribe', group: one.name, subscription: 'more of one', max: 2 });
  await ws.ask({ type: 'subscribe', group: two.name, subscription: 'two' });
  await one.publish(1, 2, 3, 4);
  await two.publish(5, 6);
  const messages = await take(ws, 6);
  const count = (name: string) => messages.filter(({ subscription }) => subscription === name).length;
  t.deepEqual([count('one'), count('more of one'), count('two')], [2, 2, 2]);
  t.like(await ws.ask({ type: 'ack', deliveries: deliveriesOf(messages) }), { type: 'done' });
  t.like(await one.view(), quiet);
  t.like(await two.view(), quiet);
  await ws.close();
});

test('durable › is answered when what was settled is recorded', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  await ws.ask({ type: 'tail', stream: `checkpoint-${group.name}` });
  await group.publish(1);
  const { delivery } = await ws.waitForType('message');
  t.like(await ws.ask({ type: 'ack', delivery, durable: true }), { type: 'done' });
  t.like(await ws.waitForType('event'), { eventType: 'SubscriptionCheckpointed' });
  await ws.close();
});

test('pause, resume and reset › hold for those who consume', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name });
  await group.call('POST', '/pause');
  await group.publish(1);
  t.like(await settled(ws), { type: 'pong' });
  t.like(await group.view(), { inFlight: 0, lagEvents: 1 });
  await group.call('POST', '/resume');
  const first = await ws.waitForType('message');
  await group.call('POST', '/reset', { to: 'start' });
  const again = await ws.waitForType('message');
  t.like(again, { payload: 1, attempt: 1 });
  t.like(await ws.ask({ type: 'ack', delivery: first.delivery }), { code: 'stale_delivery' });
  t.like(await ws.ask({ type: 'ack', delivery: again.delivery }), { type: 'done' });
  await ws.close();
});

test('a subscription that is deleted › ends its consumers, which are told', async (t) => {
  const group = await makeGroup(hub.url);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'subscribe', group: group.name, subscription: 's' });
  await group.call('DELETE', '');
  const ended = await ws.waitForType('error');
  t.like(ended, { subscription: 's', code: 'not_found' });
  t.is(ended.id, undefined);
  t.like(await ws.ask({ type: 'subscribe', group: group.name }), { type: 'error', code: 'not_found' });
  t.like(await settled(ws), { type: 'pong' });
  await ws.close();
});

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

test('a token › must cover the whole pattern, and one that does no longer ends the consumer', async (t) => {
  const name = 'guarded-group';
  const wide = signToken('ada', 'events:read:guard.> events:publish:guard.> log:read');
  const owner = await openWs(guarded.url, bearer(wide));
  const create = { type: 'CreateSubscription', data: { name, topic: 'guard.>' } };
  t.like(await owner.ask({ type: 'command', command: create }), { type: 'result' });
  const narrow = await openWs(guarded.url, bearer(signToken('eve', 'events:read:guard.*')));
  t.like(await narrow.ask({ type: 'subscribe', group: name }), {
    type: 'error',
    code: 'forbidden',
    scope: 'events:read:guard.>',
  });
  await owner.ask({ type: 'subscribe', group: name, subscription: 'mine' });
  await owner.ask({ type: 'publish', topic: 'guard.a', payload: 1 });
  const { delivery } = await owner.waitForType('message');
  const other = await openWs(guarded.url, bearer(wide));
  await other.ask({ type: 'subscribe', group: name });
  const renewed = signToken('ada', 'events:publish:guard.>');
  t.like(await owner.ask({ type: 'auth', token: renewed }), { type: 'authenticated' });
  t.like(await owner.waitForType('error'), { subscription: 'mine', code: 'forbidden' });
  // Nobody failed: the other gets it as the first attempt.
  t.like(await other.waitForType('message'), { payload: 1, attempt: 1 });
  t.like(await owner.ask({ type: 'ack', delivery }), { code: 'stale_delivery' });
  await Promise.all([owner.close(), narrow.close(), other.close()]);
});

test('a consumer that stops reading › holds one batch and no more: the others get the rest', async (t) => {
  const group = await makeGroup(hub.url, { ackWaitMs: 86_400_000 });
  const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };
  const total = 400;
  const slow = await openWs(hub.url);
  await slow.ask({ type: 'subscribe', group: group.name, max: 1_000 });
  await group.call('POST', '/pause');
  // 16 MB: more than the sockets' buffers take beside one batch.
  const payload = 'x'.repeat(40_000);
  const publish = { type: 'PublishMessage', data: { topic: group.topic, payload } };
  await Promise.all(Array.from({ length: total }, () => hub.core.execute(publish, context)));
  slow.socket.pause();
  await group.call('POST', '/resume');
  await until(group.view, ({ inFlight }) => Number(inFlight) > 0);
  const quick = await openWs(hub.url);
  await quick.ask({ type: 'subscribe', group: group.name });
  quick.onFrame(({ delivery }) => {
    if (delivery !== undefined) quick.send({ type: 'ack', delivery });
  });
  const { inFlight } = await until(group.view, (view) => view.inFlight === view.lagEvents);
  t.true(Number(inFlight) > 0 && Number(inFlight) <= 256, `${inFlight} are held`);
  slow.socket.terminate();
  await until(group.view, ({ lagEvents }) => lagEvents === 0);
  await quick.close();
});

test('no frame of the above › made the hub log an error', (t) => {
  t.deepEqual(
    [...hub.logged, ...guarded.logged].filter(({ level }) => level === 'error'),
    [],
  );
});
