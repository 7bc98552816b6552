import test from 'ava';
import { type Delivered, makeGroup, payloadsOf, pullAll } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { type Body, openReplaysOf, replay, replayed, whenOver, withHistory } from '../support/replays.ts';
import { request, until } from '../support/rest.ts';

const hub = await openHub();
test.after.always(() => hub.close());

test('several replays › are carried out one after another, and shown until they are over', async (t) => {
  const { group, positions } = await withHistory(hub.url, [1, 2, 3]);
  await group.call('POST', '/pause', {});
  const first = await replay(group, { from: positions[0] });
  const second = await replay(group, { from: 'start', to: positions[0], speed: 2 });
  const shown = await openReplaysOf(group);
  t.deepEqual(
    shown.map(({ replayId, speed, requestedBy }) => [replayId, speed, requestedBy]),
    [
      [first.replayId, 0, 'local'],
      [second.replayId, 2, 'local'],
    ],
  );
  await group.call('POST', '/resume', {});
  const before = await pullAll(group, 2);
  t.deepEqual(payloadsOf(before), [2, 3]);
  t.deepEqual(await group.pull(1, 1), [], 'the second begins when everything of the first is settled');
  await group.settle('ack', before);
  const behind = await group.pull();
  t.deepEqual(payloadsOf(behind), [1]);
  await group.settle('ack', behind);
  await whenOver(group);
});

test('a replay that waits for its pace › is shown with its place, and DELETE stops it', async (t) => {
  const { group, positions } = await withHistory(hub.url, [1]);
  await request(hub.url, 'POST', `/events/${group.topic}`, { body: { payload: 2 } });
  const late = await group.pull();
  await group.settle('ack', late);
  // At a thousandth of the pace the gap between the two would take for ever.
  const slow = await replay(group, { from: 'start', speed: 0.000_001 });
  const waiting = await replay(group, { from: positions[0] });
  const [first] = await group.pull(1);
  t.is(first?.message.payload, 1);
  await group.settle('ack', first === undefined ? [] : [first], { durable: true });
  await until(
    () => group.call('GET', '/replays'),
    ({ body }) => (body.replays as readonly Body[])[0]?.status === 'running',
  );
  t.like(await openReplaysOf(group), [
    { replayId: slow.replayId, status: 'running', position: positions[0], messages: 1 },
    { replayId: waiting.replayId, status: 'waiting', position: positions[0], messages: 0 },
  ]);
  t.deepEqual(await group.pull(1, 1), []);
  const stopped = await group.call('DELETE', `/replays/${slow.replayId}`);
  t.like(stopped, { status: 200, body: { done: 1 } });
  t.deepEqual(payloadsOf(await group.pull()), [2]);
  const again = await group.call('DELETE', `/replays/${slow.replayId}`);
  t.like(again, { status: 404, body: { code: 'not_found', replayId: slow.replayId } });
});

test('DELETE …/replays › stops all of them, a reset and a deletion too', async (t) => {
  const { group, positions } = await withHistory(hub.url, [1, 2]);
  const slowly = { from: 'start', speed: 0.000_001 };
  for (const end of [
    () => group.call('DELETE', '/replays'),
    () => group.call('POST', '/reset', { to: 'now' }),
    () => group.call('DELETE', ''),
  ]) {
    await replay(group, slowly);
    await replay(group, slowly);
    await group.settle('ack', await group.pull());
    t.true((await end()).status < 300);
    if ((await group.call('PUT', '', { topic: group.topic, from: 'now' })).status >= 300) t.fail();
    t.deepEqual(await openReplaysOf(group), []);
    t.deepEqual(await group.pull(1, 1), []);
    t.deepEqual(await replayed(group, { from: positions[0] }, 1), [2]);
  }
  t.like((await group.call('DELETE', '/replays')).body, { done: 0 });
});

test('a replayed message that dies › is one dead letter, however often, and redriven it says so', async (t) => {
  const { group } = await withHistory(hub.url, [1, 2]);
  await replay(group, { from: 'start' });
  await group.settle('term', await pullAll(group, 2), { reason: 'first' });
  t.like(await group.lettersWhen(2), [
    { replay: true, attempts: 1 },
    { replay: true, attempts: 1 },
  ]);
  await replay(group, { from: 'start' });
  const third = await group.publish(3);
  const deliveries = await pullAll(group, 3);
  t.is(third.length, 1);
  await group.settle('term', deliveries, { reason: 'second' });
  const letters = await group.lettersWhen(3);
  t.deepEqual(
    letters.map(({ errors, replay: marked }) => [(errors as readonly Body[]).at(-1)?.reason, marked]),
    [
      ['second', true],
      ['second', true],
      ['second', undefined],
    ],
  );
  t.like(await group.view(), { deadLetters: 3 });
  const redriven = await group.call('POST', '/dead-letters/redrive', { all: true });
  t.deepEqual(redriven.body, { done: 3 });
  const back = await pullAll(group, 3);
  t.deepEqual(
    back.map(({ message }) => [message.payload, message.replay]),
    [
      [1, true],
      [2, true],
      [3, undefined],
    ],
  );
  await group.settle('ack', back);
  t.like(await group.view(), { deadLetters: 0 });
});

test('a message and its replay that die at once › are counted as one dead letter', async (t) => {
  const group = await makeGroup(hub.url);
  await group.call('POST', '/pause', {});
  await group.publish(1, 2);
  await replay(group, { from: 'start' });
  await group.call('POST', '/resume', {});
  const deliveries = await pullAll(group, 4);
  t.is(deliveries.filter(({ message }) => message.replay === true).length, 2);
  await group.settle('term', deliveries, { reason: 'both' });
  await group.lettersWhen(2);
  await until(
    () => group.call('GET', ''),
    ({ body }) => body.inFlight === 0,
  );
  t.like(await group.view(), { deadLetters: 2 });
  t.like((await group.call('POST', '/dead-letters/discard', { all: true })).body, { done: 2 });
  t.like(await group.view(), { deadLetters: 0 });
});

test('what has expired is not delivered by a replay, what is yet to come neither', async (t) => {
  const group = await makeGroup(hub.url);
  const ahead = new Date(Date.now() + 3_600_000).toISOString();
  for (const body of [
    { payload: 'gone', ttlMs: 1 },
    { payload: 'later', deliverAt: ahead },
    { payload: 'here' },
  ]) {
    await request(hub.url, 'POST', `/events/${group.topic}`, { body });
  }
  const live = await group.pull();
  await group.settle('ack', live);
  t.deepEqual(
    (await replayed(group, { from: 'start' }, 1)).filter((payload) => payload !== 'here'),
    [],
  );
  t.deepEqual(await group.pull(1, 1), []);
});

test('order: key › a replayed message waits for those of its key', async (t) => {
  const group = await makeGroup(hub.url, { order: 'key' });
  for (const payload of [1, 2]) {
    await request(hub.url, 'POST', `/events/${group.topic}`, { body: { payload, key: 'k' } });
    await group.settle('ack', await group.pull());
  }
  await replay(group, { from: 'start' });
  const seen: (readonly Delivered[])[] = [];
  for (let turn = 0; turn < 2; turn++) {
    const deliveries = await group.pull(10);
    seen.push(deliveries);
    await group.settle('ack', deliveries);
  }
  t.deepEqual(seen.map(payloadsOf), [[1], [2]]);
});

test('an Idempotency-Key › asks for one replay, however often it is sent', async (t) => {
  const { group } = await withHistory(hub.url, [1]);
  const send = () => group.call('POST', '/replay', { from: 'start' }, { 'idempotency-key': 'once' });
  const first = await send();
  await group.settle('ack', await group.pull());
  const again = await send();
  t.deepEqual(again.body, first.body);
  t.is(again.headers.get('idempotent-replayed'), 'true');
  t.deepEqual(await group.pull(1, 1), []);
});

test('100 replays of a subscription may wait, and no more', async (t) => {
  const { group } = await withHistory(hub.url, [1, 2]);
  const slowly = { from: 'start', speed: 0.000_001 };
  for (let count = 0; count < 100; count++) await replay(group, slowly);
  t.like(await group.call('POST', '/replay', slowly), { status: 429, body: { code: 'rate_limited' } });
  t.like((await group.call('DELETE', '/replays')).body, { done: 100 });
  await replay(group, slowly);
});
