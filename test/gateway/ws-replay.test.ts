import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { type Frame, openWs, type WsClient } from '../support/ws-client.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

const admin = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

/** What is recorded from now on is recorded at another time than what was. */
const nextMs = async (): Promise<void> => {
  for (const before = Date.now(); Date.now() <= before; ) await nextTurn();
};

/** Publishes one message for each payload, and tells their positions. */
const publish = async (
  topic: string,
  payloads: readonly unknown[],
  own: Hub = hub,
): Promise<readonly string[]> => {
  const positions: string[] = [];
  for (const payload of payloads) {
    const done = await own.core.execute({ type: 'PublishMessage', data: { topic, payload } }, admin);
    if (!done.ok) throw new Error(done.problem.detail);
    positions.push(done.value.position);
  }
  return positions;
};

/** Everything that comes of a subscription up to `replayed`, which is the last. */
const upToReplayed = async (ws: WsClient, subscription: unknown): Promise<readonly Frame[]> => {
  const frames: Frame[] = [];
  do
    frames.push(
      await ws.waitForMessage((frame) => frame.subscription === subscription && frame.id === undefined),
    );
  while (frames.at(-1)?.type !== 'replayed');
  return frames;
};

const replay = async (ws: WsClient, body: object) => {
  const told = await ws.ask({ type: 'replay', ...body });
  if (told.type !== 'replaying') throw new Error(JSON.stringify(told));
  const frames = await upToReplayed(ws, told.subscription);
  const messages = frames.filter(({ type }) => type === 'message');
  return { told, messages, last: frames.at(-1), payloads: messages.map(({ payload }) => payload) };
};

test('replay › confirms the stretch, brings each message of it, marked, and says that it is over', async (t) => {
  const positions = await publish('over.a', [1, 2, 3]);
  const ws = await openWs(hub.url);
  const told = await ws.ask({ type: 'replay', topic: 'over.*', from: 'start', subscription: 'mine' });
  t.like(told, {
    type: 'replaying',
    subscription: 'mine',
    topic: 'over.*',
    from: '0000000000000000',
    speed: 0,
  });
  const frames = await upToReplayed(ws, 'mine');
  t.deepEqual(
    frames.map(({ type, payload, replay: marked, position }) => [type, payload, marked, position]),
    [
      ...[1, 2, 3].map((payload, index) => ['message', payload, true, positions[index]]),
      ['replayed', undefined, undefined, told.to],
    ],
  );
  t.is(frames.at(-1)?.messages, 3);
  // The name is free again, and nothing live comes.
  await publish('over.a', ['live']);
  t.deepEqual((await replay(ws, { topic: 'over.a', from: positions[1], subscription: 'mine' })).payloads, [
    3,
    'live',
  ]);
  await ws.close();
});

test('replay › edges are those of a replay to a subscription, by position and by time', async (t) => {
  const positions = await publish('edge.a', [1, 2, 3, 4]);
  const ws = await openWs(hub.url);
  const payloads = async (body: object) => (await replay(ws, { topic: 'edge.a', ...body })).payloads;
  t.deepEqual(await payloads({ from: positions[0], to: positions[2] }), [2, 3]);
  t.deepEqual(await payloads({ from: positions[0], to: positions[0] }), []);
  t.deepEqual(await payloads({ from: 'now' }), []);
  const { messages } = await replay(ws, { topic: 'edge.a', from: 'start' });
  const times = messages.map(({ publishedAt }) => String(publishedAt));
  const within = messages.filter(
    (_, index) => (times[index] ?? '') >= (times[1] ?? '') && (times[index] ?? '') <= (times[2] ?? ''),
  );
  t.deepEqual(
    await payloads({ from: times[1], to: times[2] }),
    within.map(({ payload }) => payload),
  );
  t.deepEqual(await payloads({ from: positions[1], to: '2100-01-01T00:00:00Z' }), [3, 4]);
  await ws.close();
});

test('replay › at a pace keeps the order, and several run side by side', async (t) => {
  await publish('pace.a', [1, 2, 3, 4, 5]);
  const ws = await openWs(hub.url);
  const both = await Promise.all([
    replay(ws, { topic: 'pace.a', from: 'start', speed: 1, subscription: 'one' }),
    replay(ws, { topic: 'pace.>', from: 'start', speed: 1_000, subscription: 'two' }),
  ]);
  for (const { payloads } of both) t.deepEqual(payloads, [1, 2, 3, 4, 5]);
  await ws.close();
});

test('unsubscribe › ends a replay that waits for its pace, and nothing of it comes behind', async (t) => {
  const positions = await publish('stop.a', [1]);
  await nextMs();
  await publish('stop.a', [2]);
  const ws = await openWs(hub.url);
  await ws.ask({ type: 'replay', topic: 'stop.a', from: 'start', speed: 0.000_001, subscription: 's' });
  t.like(await ws.waitForType('message'), { payload: 1 });
  t.like(await ws.ask({ type: 'unsubscribe', subscription: 's' }), { type: 'unsubscribed' });
  t.like(await ws.ask({ type: 'unsubscribe', subscription: 's' }), { type: 'error', code: 'not_found' });
  t.deepEqual((await replay(ws, { topic: 'stop.a', from: positions[0] })).payloads, [2]);
  await ws.close();
});

test('a client that does not read › is fed at its own pace, and others are not held up', async (t) => {
  const pad = 'x'.repeat(2_000);
  const count = 3_000;
  for (let sent = 0; sent < count; sent += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        hub.core.execute(
          { type: 'PublishMessage', data: { topic: 'slow.a', payload: { n: sent + index, pad } } },
          admin,
        ),
      ),
    );
  }
  const slow = await openWs(hub.url);
  slow.send({ type: 'replay', topic: 'slow.a', from: 'start', subscription: 's' });
  slow.socket.pause();
  const quick = await openWs(hub.url);
  const all = await replay(quick, { topic: 'slow.a', from: 'start' });
  t.is(all.messages.length, count);
  slow.socket.resume();
  await slow.waitForType('replaying');
  const frames = await upToReplayed(slow, 's');
  t.deepEqual(
    frames.slice(0, -1).map(({ position }) => position),
    all.messages.map(({ position }) => position),
  );
  await Promise.all([slow.close(), quick.close()]);
});

test('hostile frames › are refused one by one, and a good one works behind them', async (t) => {
  await publish('good.a', [1]);
  const ws = await openWs(hub.url);
  for (const [frame, pointer] of [
    [{}, '/topic'],
    [{ topic: 'a..b', from: 'start' }, '/topic'],
    [{ topic: 7, from: 'start' }, '/topic'],
    [{ topic: 'a' }, '/from'],
    [{ topic: 'a', from: 7 }, '/from'],
    [{ topic: 'a', from: 'x'.repeat(10_000) }, '/from'],
    [{ topic: 'a', from: 'start', to: 'never' }, '/to'],
    [{ topic: 'a', from: 'now', to: 'start' }, '/to'],
    [{ topic: 'a', from: 'start', speed: '1' }, '/speed'],
    [{ topic: 'a', from: 'start', speed: 1e9 }, '/speed'],
    [{ topic: 'a', from: 'start', after: 'start' }, ''],
    [{ topic: 'a', from: 'start', subscription: '' }, '/subscription'],
    [{ topic: 'a', from: 'start', dryRun: 1 }, '/dryRun'],
    [{ topic: 'a', from: 'start', actor: 'bob' }, '/actor'],
    [{ topic: 'a', from: 'start', dryRun: true, actor: '' }, '/actor'],
    [{ topic: 'a', from: 'start', dryRun: true, actor: { id: 'bob' } }, '/actor'],
  ] as const) {
    const answer = await ws.ask({ type: 'replay', ...frame });
    t.like(answer, { type: 'error', code: 'invalid' }, JSON.stringify(frame));
    t.is((answer.errors as readonly Frame[])[0]?.pointer, pointer, JSON.stringify(frame));
  }
  for (const frame of [{}, { subscription: 7 }]) {
    t.like(await ws.ask({ type: 'finish', ...frame }), { type: 'error', code: 'invalid' });
  }
  t.like(await ws.ask({ type: 'finish', subscription: 'none' }), { type: 'error', code: 'not_found' });
  t.deepEqual((await replay(ws, { topic: 'good.a', from: 'start' })).payloads, [1]);
  await ws.close();
});

test('one connection › has 16 replays at a time, and one name for one of them', async (t) => {
  await publish('many.a', [1]);
  await nextMs();
  await publish('many.a', [2]);
  const ws = await openWs(hub.url);
  const frame = { type: 'replay', topic: 'many.a', from: 'start', speed: 0.000_001 };
  for (let count = 0; count < 16; count++) {
    t.is((await ws.ask({ ...frame, subscription: `r${count}` })).type, 'replaying');
  }
  t.like(await ws.ask(frame), { type: 'error', code: 'rate_limited' });
  t.like(await ws.ask({ ...frame, subscription: 'r3' }), { type: 'error', code: 'invalid' });
  await ws.ask({ type: 'unsubscribe', subscription: 'r3' });
  t.is((await ws.ask(frame)).type, 'replaying');
  await ws.close();
});

test('a token › must cover the whole pattern, and a replay ends when it no longer does', async (t) => {
  await publish('pay.a', [1], guarded);
  await publish('pay.b', [2], guarded);
  const open = (scope: string) =>
    openWs(guarded.url, { headers: { authorization: `Bearer ${signToken('bob', scope)}` } });
  const narrow = await open('events:read:pay.a');
  for (const topic of ['pay.*', '>', 'pay.b']) {
    t.like(await narrow.ask({ type: 'replay', topic, from: 'start' }), { type: 'error', code: 'forbidden' });
  }
  t.deepEqual((await replay(narrow, { topic: 'pay.a', from: 'start' })).payloads, [1]);
  const wide = await open('events:read:pay.>');
  await wide.ask({ type: 'replay', topic: 'pay.*', from: 'start', speed: 0.000_001, subscription: 's' });
  await wide.ask({ type: 'auth', token: signToken('bob', 'events:read:pay.a') });
  t.like(await wide.waitForMessage(({ subscription, type }) => subscription === 's' && type === 'error'), {
    code: 'forbidden',
  });
  await Promise.all([narrow.close(), wide.close()]);
});

test('what retention has removed › is told before what is left', async (t) => {
  await publish('kept.a', [1, 2, 3]);
  const set = await request(hub.url, 'PUT', '/retention/kept.a', { body: { maxMessages: 1 } });
  if (set.status >= 300) return t.fail(JSON.stringify(set.body));
  const ws = await openWs(hub.url);
  for (;;) {
    const { told, messages } = await replay(ws, { topic: 'kept.a', from: 'start' });
    if (messages.length > 1) continue;
    t.deepEqual(
      messages.map(({ payload }) => payload),
      [3],
    );
    t.like(await replayFrames(ws, 'kept.*'), [
      { type: 'gap', from: told.from },
      { type: 'message', payload: 3 },
      { type: 'replayed', messages: 1 },
    ]);
    break;
  }
  await ws.close();
});

const replayFrames = async (ws: WsClient, topic: string): Promise<readonly Frame[]> => {
  const told = await ws.ask({ type: 'replay', topic, from: 'start' });
  return upToReplayed(ws, told.subscription);
};

test('a socket that closes in the middle of a dry run › makes room for others', async (t) => {
  await publish('gone.a', [1]);
  const frame = { type: 'replay', topic: 'gone.a', from: 'start', dryRun: true };
  for (let round = 0; round < 10; round++) {
    const ws = await openWs(hub.url);
    // Two at a time of one subject, and the hub hears of a cut connection a moment later.
    while ((await ws.ask(frame)).code === 'overloaded') await nextTurn();
    ws.socket.terminate();
    await ws.closed;
  }
  const pair = [await openWs(hub.url), await openWs(hub.url)];
  for (const ws of pair) while ((await ws.ask(frame)).code === 'overloaded') await nextTurn();
  const third = await openWs(hub.url);
  t.like(await third.ask(frame), { type: 'error', code: 'overloaded' });
  for (const ws of [...pair, third]) await ws.close();
});
