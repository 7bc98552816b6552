import test from 'ava';
import { makeGroup, payloadsOf, pullAll } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';
import { type Body, replay, replayed, whenOver, withHistory } from '../support/replays.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

test('POST …/replay › answers what it is, and brings the range once more, marked', async (t) => {
  const { group, positions } = await withHistory(hub.url, [1, 2, 3]);
  const told = await replay(group, { from: 'start' });
  t.like(told, { subscription: group.name, topic: group.topic, speed: 0, from: '0000000000000000' });
  t.is(typeof told.replayId, 'string');
  t.true(String(told.to) >= (positions[2] ?? ''));
  const deliveries = await pullAll(group, 3);
  t.deepEqual(
    deliveries.map(({ attempt, message }) => [attempt, message.payload, message.replay, message.position]),
    [1, 2, 3].map((payload, index) => [1, payload, true, positions[index]]),
  );
  await group.settle('ack', deliveries);
  await whenOver(group);
  t.like(await group.view(), { inFlight: 0, lagEvents: 0, deadLetters: 0 });
  const [fresh] = await group.publish('new').then(() => group.pull());
  t.is(fresh?.message.payload, 'new');
  t.false('replay' in (fresh?.message ?? {}));
});

test('a range › from a position is behind it, to a position is up to it', async (t) => {
  const { group, positions } = await withHistory(hub.url, [1, 2, 3, 4]);
  const [first, , third, last] = positions;
  t.deepEqual(await replayed(group, { from: first, to: third }, 2), [2, 3]);
  t.deepEqual(await replayed(group, { from: first, to: last }, 3), [2, 3, 4]);
  t.deepEqual(await replayed(group, { from: first, to: first }, 0), []);
});

test('a range › by time holds what was recorded at either end', async (t) => {
  const { group, positions } = await withHistory(hub.url, [1, 2, 3, 4]);
  const { body } = await request(hub.url, 'GET', `/events?topic=${group.topic}`);
  const times = (body.events as readonly Body[]).map(({ publishedAt }) => String(publishedAt));
  const [from = '', to = ''] = [times[1], times[2]];
  const meant = [1, 2, 3, 4].filter((_, index) => (times[index] ?? '') >= from && (times[index] ?? '') <= to);
  t.true(meant.includes(2) && meant.includes(3));
  t.deepEqual(await replayed(group, { from, to }, meant.length), meant);
  // Beyond the end of the log there is nothing to wait for.
  const ahead = '9999-12-31T23:59:59.999Z';
  t.deepEqual(await replayed(group, { from: positions[2], to: ahead }, 1), [4]);
  t.deepEqual(await replayed(group, { from: ahead, to: ahead }, 0), []);
});

test('a pattern › within the subscription’s own narrows what is replayed', async (t) => {
  const group = await makeGroup(hub.url, { topic: 'shop.*.paid' });
  for (const [topic, payload] of [
    ['shop.a.paid', 1],
    ['shop.b.paid', 2],
    ['shop.a.open', 3],
    ['shop.a.paid', 4],
  ] as const) {
    await request(hub.url, 'POST', `/events/${topic}`, { body: { payload } });
  }
  await group.settle('ack', await pullAll(group, 3));
  t.deepEqual(await replayed(group, { topic: 'shop.a.paid', from: 'start' }, 2), [1, 4]);
  t.deepEqual(await replayed(group, { from: 'start' }, 3), [1, 2, 4]);
  const wider = await group.call('POST', '/replay', { topic: 'shop.>', from: 'start' });
  t.like(wider, { status: 422, body: { code: 'invalid' } });
  t.like(wider.body.errors, [{ pointer: '/topic' }]);
});

test('what is no range › is refused, and nothing is recorded', async (t) => {
  const { group, positions } = await withHistory(hub.url, [1, 2]);
  const recorded = async () => (await request(hub.url, 'GET', `/streams/subscription-${group.name}`)).body;
  const before = await recorded();
  for (const [body, pointer] of [
    [{}, '/from'],
    [{ from: 'yesterday' }, '/from'],
    [{ from: 'start', to: 'tomorrow' }, '/to'],
    [{ from: positions[1], to: positions[0] }, '/to'],
    [{ from: 'start', speed: -1 }, '/speed'],
    [{ from: 'start', speed: 1_001 }, '/speed'],
    [{ from: 'start', speed: null }, '/speed'],
    [{ from: 'start', topic: 'a..b' }, '/topic'],
    [{ from: 'start', dryRun: true }, ''],
  ] as const) {
    const answer = await group.call('POST', '/replay', body);
    t.is(answer.status, 422, JSON.stringify(body));
    t.is((answer.body.errors as readonly Body[])[0]?.pointer, pointer, JSON.stringify(body));
  }
  t.is(
    (await request(hub.url, 'POST', '/subscriptions/nobody/replay', { body: { from: 'start' } })).status,
    404,
  );
  t.deepEqual(await recorded(), before);
});

test('two consumers › share a replay; other groups and live tails get none of it', async (t) => {
  const payloads = Array.from({ length: 400 }, (_, index) => index);
  const { group } = await withHistory(hub.url, payloads);
  const other = await makeGroup(hub.url, { topic: group.topic });
  const tail = await openWs(hub.url);
  await tail.ask({ type: 'subscribe', topic: group.topic });
  const consumers = [await openWs(hub.url), await openWs(hub.url)];
  const got: unknown[][] = [[], []];
  const all = Promise.withResolvers<void>();
  consumers.forEach((ws, index) => {
    ws.onFrame((frame) => {
      if (frame.type !== 'message' || frame.payload === 'live') return;
      got[index]?.push(frame.payload);
      ws.send({ type: 'ack', delivery: frame.delivery });
      t.true(frame.replay);
      if (got.flat().length === payloads.length) all.resolve();
    });
    ws.send({ type: 'subscribe', group: group.name, max: 10 });
  });
  await replay(group, { from: 'start' });
  await all.promise;
  t.deepEqual(
    got.flat().toSorted((left, right) => Number(left) - Number(right)),
    payloads,
  );
  for (const part of got) t.true(part.length > 0);
  await whenOver(group);
  await group.publish('live');
  t.like(await tail.waitForType('message'), { payload: 'live' });
  t.deepEqual(payloadsOf(await other.pull()), ['live']);
  for (const ws of [tail, ...consumers]) await ws.close();
});

test('who may not read the subscription’s topics › may not replay to it, nor see or stop its replays', async (t) => {
  const as = (scope: string) => ({ authorization: `Bearer ${signToken('ann', scope)}` });
  const path = '/subscriptions/secret';
  const call = (method: string, route: string, scope: string, body?: object) =>
    request(guarded.url, method, path + route, {
      headers: as(scope),
      ...(body === undefined ? {} : { body }),
    });
  t.is((await call('PUT', '', 'admin', { topic: 'pay.>' })).status, 201);
  for (const [method, route, body] of [
    ['POST', '/replay', { from: 'start' }],
    ['POST', '/replay', { from: 'start', topic: 'pay.a' }],
    ['GET', '/replays', undefined],
    ['DELETE', '/replays', undefined],
  ] as const) {
    const scope = 'events:read:pay.a events:publish:> state:write:*';
    t.like(await call(method, route, scope, body), { status: 403, body: { code: 'forbidden' } });
    t.is((await call(method, route, 'events:read:pay.>', body)).status, 200, route);
  }
});

test('/commands and GraphQL › ask for replays and stop them as REST does', async (t) => {
  const { group } = await withHistory(hub.url, [1, 2]);
  const run = (type: string, data: object) =>
    request(hub.url, 'POST', '/commands', { body: { type, data: { name: group.name, ...data } } });
  const asked = await run('ReplayMessages', { from: 'start', speed: 0.000_001 });
  t.like(asked, {
    status: 200,
    body: { result: { subscription: group.name }, events: [{ type: 'ReplayRequested' }] },
  });
  const ask = async (query: string) =>
    (await request(hub.url, 'POST', '/graphql', { body: { query } })).body as { readonly data: Body };
  const { replayId } = asked.body.result as Body;
  const { data } = await ask(
    `{ replays(subscription: "${group.name}") { replayId topic speed status position messages } }`,
  );
  t.like(data.replays, [{ replayId, topic: group.topic, speed: 0.000_001 }]);
  t.like(await ask(`mutation { stopReplays(subscription: "${group.name}") { success done } }`), {
    data: { stopReplays: { success: true, done: 1 } },
  });
  await group.settle('ack', await group.pull());
  t.like(
    await ask(
      `mutation { replay(subscription: "${group.name}", from: "start") { success replayId from to speed } }`,
    ),
    {
      data: { replay: { success: true, speed: 0, from: '0000000000000000' } },
    },
  );
  const deliveries = await pullAll(group, 2);
  t.deepEqual(payloadsOf(deliveries), [1, 2]);
  await group.settle('ack', deliveries);
  await whenOver(group);
  t.like(await run('StopReplays', {}), { status: 200, body: { result: { done: 0 } } });
});
