import test from 'ava';
import { openHub } from '../support/hub.ts';
import { openWs } from '../support/ws-client.ts';

const hub = await openHub();
test.after.always(() => hub.close());

const topicOf = (name: string): string => `frames.${name}`;

test('publish › is answered once durable, with the id of the frame, and can be read', async (t) => {
  const ws = await openWs(hub.url);
  const topic = topicOf('publish');
  const answer = await ws.ask({
    type: 'publish',
    topic,
    payload: { n: 1 },
    key: 'k',
    headers: { a: 'b' },
    priority: 'HIGH',
  });
  t.like(answer, { type: 'published' });
  const page = await hub.core.messages(
    { topic },
    { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' },
  );
  t.true(page.ok);
  if (!page.ok) return;
  const [message] = page.value.events;
  t.like(message, {
    topic,
    payload: { n: 1 },
    key: 'k',
    headers: { a: 'b' },
    priority: 'HIGH',
    publisher: 'local',
  });
  t.is(message?.messageId, answer.messageId as string);
  t.is<unknown, unknown>(message?.position, answer.position);
  await ws.close();
});

test('publish › without an id is answered without one', async (t) => {
  const ws = await openWs(hub.url);
  ws.send({ type: 'publish', topic: topicOf('no-id'), payload: null });
  const answer = await ws.waitForType('published');
  t.false('id' in answer);
  t.is(typeof answer.messageId, 'string');
  await ws.close();
});

test('subscribe › brings what is published from then on, and nothing after unsubscribed', async (t) => {
  const ws = await openWs(hub.url);
  const topic = topicOf('subscribe');
  await ws.ask({ type: 'publish', topic, payload: 'before' });
  const subscribed = await ws.ask({ type: 'subscribe', topic });
  t.like(subscribed, { type: 'subscribed', topic });
  await ws.ask({ type: 'publish', topic, payload: 'while' });
  const message = await ws.waitForType('message');
  t.like(message, { subscription: subscribed.subscription as string, topic, payload: 'while' });
  const { subscription } = subscribed;
  t.like(await ws.ask({ type: 'unsubscribe', subscription }), {
    type: 'unsubscribed',
    subscription: subscription as string,
  });
  await ws.ask({ type: 'publish', topic, payload: 'after' });
  // The pong stands behind everything that the publish could have brought.
  ws.send({ type: 'ping' });
  await ws.waitForType('pong');
  const late = await hub.core.messages(
    { topic },
    { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' },
  );
  t.is(late.ok && late.value.events.length, 3);
  const frames: unknown[] = [];
  ws.onFrame((frame) => frames.push(frame));
  t.deepEqual(frames, []);
  await ws.close();
});

test('subscribe › to a pattern brings matching topics alone, under the name the client chose', async (t) => {
  const ws = await openWs(hub.url);
  const subscription = 'mine';
  t.like(await ws.ask({ type: 'subscribe', topic: 'pattern.*', subscription }), { subscription });
  await ws.ask({ type: 'publish', topic: 'pattern.a.b', payload: 1 });
  await ws.ask({ type: 'publish', topic: 'pattern.a', payload: 2 });
  t.like(await ws.waitForType('message'), { subscription, topic: 'pattern.a', payload: 2 });
  t.like(await ws.ask({ type: 'subscribe', topic: 'pattern.>', subscription }), {
    type: 'error',
    code: 'invalid',
  });
  await ws.close();
});

test('subscribe › after start brings history, then caughtUp, then what is new', async (t) => {
  const ws = await openWs(hub.url);
  const topic = topicOf('history');
  for (const payload of [1, 2, 3]) await ws.ask({ type: 'publish', topic, payload });
  const { subscription } = await ws.ask({ type: 'subscribe', topic, after: 'start' });
  const seen: unknown[] = [];
  for (let index = 0; index < 4; index++) {
    const frame = await ws.waitForMessage(({ type }) => type === 'message' || type === 'caughtUp');
    t.is(frame.subscription, subscription);
    seen.push(frame.type === 'message' ? frame.payload : 'caughtUp');
  }
  t.deepEqual(seen, [1, 2, 3, 'caughtUp']);
  await ws.ask({ type: 'publish', topic, payload: 4 });
  t.like(await ws.waitForType('message'), { payload: 4 });
  await ws.close();
});

test('watch › a key brings each change with the value before it', async (t) => {
  const ws = await openWs(hub.url);
  const key = 'frames/watched';
  t.like(await ws.ask({ type: 'watch', key }), { type: 'watching', key });
  const set = (value: unknown) =>
    ws.ask({ type: 'command', command: { type: 'SetState', data: { key, value } } });
  await set(1);
  await set({ two: 2 });
  await ws.ask({ type: 'command', command: { type: 'DeleteState', data: { key } } });
  t.like(await ws.waitForType('state'), { key, value: 1, oldValue: null, version: 1, deleted: false });
  t.like(await ws.waitForType('state'), { key, value: { two: 2 }, oldValue: 1, version: 2, deleted: false });
  t.like(await ws.waitForType('state'), {
    key,
    value: null,
    oldValue: { two: 2 },
    version: 3,
    deleted: true,
  });
  await ws.close();
});

test('watch › a prefix brings its keys alone', async (t) => {
  const ws = await openWs(hub.url);
  t.like(await ws.ask({ type: 'watch', prefix: 'frames/p/' }), { type: 'watching', prefix: 'frames/p/' });
  for (const key of ['frames/q', 'frames/p/1']) {
    await ws.ask({ type: 'command', command: { type: 'SetState', data: { key, value: key } } });
  }
  t.like(await ws.waitForType('state'), { key: 'frames/p/1' });
  await ws.close();
});

test('tail › a stream, a category, everything: the type of the event is told beside that of the frame', async (t) => {
  const ws = await openWs(hub.url);
  const topic = topicOf('tail');
  const published = await ws.ask({ type: 'publish', topic, payload: 'x' });
  const selectors = [{ stream: `topic-${topic}` }, { category: 'topic' }, { all: true }];
  for (const selector of selectors) {
    const subscription = JSON.stringify(selector);
    t.like(await ws.ask({ type: 'tail', ...selector, after: 'start', subscription }), {
      type: 'tailing',
      ...selector,
    });
    const event = await ws.waitForMessage(
      (frame) => frame.subscription === subscription && frame.position === published.position,
    );
    t.like(event, { type: 'event', eventType: 'MessagePublished', stream: `topic-${topic}`, revision: 0 });
    t.like(event.data, { messageId: published.messageId as string });
    await ws.ask({ type: 'unsubscribe', subscription });
  }
  await ws.close();
});

test('watchServices › brings registrations and the end of them', async (t) => {
  const ws = await openWs(hub.url);
  t.like(await ws.ask({ type: 'watchServices', name: 'frames' }), { type: 'watching', name: 'frames' });
  const data = { id: 'frames-1', name: 'frames', version: '1.0.0', host: '127.0.0.1', port: 9 };
  const registered = await ws.ask({ type: 'command', command: { type: 'RegisterService', data } });
  t.like(registered, { type: 'result', result: { service: { id: 'frames-1', status: 'healthy' } } });
  await ws.ask({ type: 'command', command: { type: 'DeregisterService', data: { id: 'frames-1' } } });
  t.like(await ws.waitForType('service'), {
    change: 'registered',
    service: { id: 'frames-1', name: 'frames' },
  });
  t.like(await ws.waitForType('service'), { change: 'deregistered', service: { id: 'frames-1' } });
  await ws.close();
});

test('command › answers what it did, and a refusal with its facts', async (t) => {
  const ws = await openWs(hub.url);
  const command = (type: string, data: object, more: object = {}) =>
    ws.ask({ type: 'command', command: { type, data, ...more } });
  const done = await command('SetState', { key: 'frames/c', value: 1 }, { commandId: 'c-1' });
  t.like(done, { type: 'result', commandId: 'c-1', result: { key: 'frames/c', version: 1 } });
  t.is((done.events as readonly object[]).length, 1);
  t.like(await command('SetState', { key: 'frames/c', value: 2, expectedVersion: 7 }), {
    type: 'error',
    code: 'version_conflict',
    expectedVersion: 7,
    currentVersion: 1,
    currentValue: 1,
  });
  t.like(await command('SetState', { key: 'frames/c', value: 2 }, { expectedRevision: 9 }), {
    type: 'error',
    code: 'revision_conflict',
  });
  t.like(await command('Nothing', {}), { type: 'error', code: 'invalid' });
  await ws.close();
});

test('frames of one socket › take effect in the order in which they were sent, without waiting for answers', async (t) => {
  const ws = await openWs(hub.url);
  const topic = topicOf('order');
  ws.send({ type: 'publish', topic, payload: -1 });
  ws.send({ type: 'subscribe', topic, id: 'new' });
  const expected: string[] = [];
  for (let index = 0; index < 300; index++) {
    if (index % 50 === 25) {
      ws.send({
        type: 'command',
        command: { type: 'SetState', data: { key: 'frames/order', value: index } },
      });
      expected.push(`state ${index}`);
    }
    ws.send({ type: 'publish', topic, payload: index, id: index });
    expected.push(`message ${index}`);
  }
  const { position } = await ws.waitForMessage(({ id }) => id === 'new');
  await ws.waitForMessage(({ id, type }) => id === 299 && type === 'published');
  const log = await hub.core.log(
    { after: position as string, limit: 1_000 },
    { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' },
  );
  if (!log.ok) return t.fail(log.problem.detail);
  const stood = log.value.events
    .filter(({ stream }) => stream === `topic-${topic}` || stream === 'state-frames/order')
    .map(({ data }) => {
      const { payload, value } = data as { readonly payload?: number; readonly value?: number };
      return value === undefined ? `message ${payload}` : `state ${value}`;
    });
  t.deepEqual(stood, expected);
  // The subscription was made behind -1 and before 0.
  for (let index = 0; index < 300; index++) t.is((await ws.waitForType('message')).payload, index);
  await ws.close();
});

test('what was sent before the client closed › takes effect', async (t) => {
  const ws = await openWs(hub.url);
  const watcher = await openWs(hub.url);
  const topic = topicOf('parting');
  await watcher.ask({ type: 'subscribe', topic });
  for (let index = 0; index < 20; index++) ws.send({ type: 'publish', topic, payload: index });
  await ws.close();
  for (let index = 0; index < 20; index++) t.is((await watcher.waitForType('message')).payload, index);
  await watcher.close();
});

const bad: readonly (readonly [name: string, frame: object | string | Buffer, code: string])[] = [
  ['no JSON', '{"type":', 'bad_json'],
  ['a refused key', '{"type":"publish","topic":"a","payload":{"__proto__":1}}', 'bad_json'],
  [
    'a depth of 65',
    `{"type":"publish","topic":"a","payload":${'['.repeat(64)}${']'.repeat(64)}}`,
    'bad_json',
  ],
  ['a binary frame', Buffer.from('{"type":"ping"}'), 'bad_request'],
  ['an array', '[]', 'invalid'],
  ['null', 'null', 'invalid'],
  ['no type', {}, 'invalid'],
  ['a type that is no text', { type: 7 }, 'invalid'],
  ['an unknown type', { type: 'constructor' }, 'invalid'],
  ['an id that is an object', { type: 'ping', id: {} }, 'invalid'],
  ['an id that is too long', { type: 'ping', id: 'x'.repeat(129) }, 'invalid'],
  ['a topic that is none', { type: 'subscribe', topic: 'a..b' }, 'invalid'],
  ['a subscription without topic', { type: 'subscribe' }, 'invalid'],
  ['a wildcard to publish on', { type: 'publish', topic: 'a.*', payload: 1 }, 'invalid'],
  ['a message without payload', { type: 'publish', topic: 'a' }, 'invalid'],
  ['a message with an unknown field', { type: 'publish', topic: 'a', payload: 1, what: 1 }, 'invalid'],
  ['an after that is no position', { type: 'subscribe', topic: 'a', after: 'yesterday' }, 'invalid'],
  ['an after that is a number', { type: 'subscribe', topic: 'a', after: 1 }, 'invalid'],
  [
    'a subscription name that is too long',
    { type: 'subscribe', topic: 'a', subscription: 'x'.repeat(129) },
    'invalid',
  ],
  ['a group that is none', { type: 'subscribe', group: 'a/b' }, 'invalid'],
  ['a group with a topic', { type: 'subscribe', group: 'g', topic: 'a' }, 'invalid'],
  ['a group with a place', { type: 'subscribe', group: 'g', after: 'start' }, 'invalid'],
  ['a group with a max of 0', { type: 'subscribe', group: 'g', max: 0 }, 'invalid'],
  ['a group that is not there', { type: 'subscribe', group: 'nope' }, 'not_found'],
  ['an ack of nothing', { type: 'ack' }, 'invalid'],
  ['an ack of both', { type: 'ack', delivery: 'd', deliveries: ['e'] }, 'invalid'],
  ['an ack of an empty list', { type: 'ack', deliveries: [] }, 'invalid'],
  ['a nak with a delay of the past', { type: 'nak', delivery: 'd', delayMs: -1 }, 'invalid'],
  ['a term with a reason that is no text', { type: 'term', delivery: 'd', reason: {} }, 'invalid'],
  ['an extend of what is not there', { type: 'extend', delivery: 'd' }, 'stale_delivery'],
  ['a watch of both', { type: 'watch', key: 'a', prefix: 'b' }, 'invalid'],
  ['a watch of nothing', { type: 'watch' }, 'invalid'],
  ['a watch of a key with a control character', { type: 'watch', key: 'a\u0000' }, 'invalid'],
  ['a tail of nothing', { type: 'tail' }, 'invalid'],
  ['a tail of a category that is none', { type: 'tail', category: 'cars' }, 'invalid'],
  ['a tail of all: false', { type: 'tail', all: false }, 'invalid'],
  ['an unsubscribe of what is not there', { type: 'unsubscribe', subscription: 'nope' }, 'not_found'],
  ['an unsubscribe of nothing', { type: 'unsubscribe' }, 'invalid'],
  ['a command that is none', { type: 'command', command: [] }, 'invalid'],
  [
    'a command with an unknown field',
    { type: 'command', command: { type: 'SetState', data: {}, x: 1 } },
    'invalid',
  ],
  ['a command without data', { type: 'command', command: { type: 'SetState' } }, 'invalid'],
  ['an auth without authentication', { type: 'auth', token: 'x' }, 'unauthorized'],
  ['an auth without token', { type: 'auth' }, 'invalid'],
];

test('a bad frame › of each kind gets its code, and the socket stays open', async (t) => {
  const ws = await openWs(hub.url);
  for (const [name, frame, code] of bad) {
    ws.send(frame);
    const answer = await ws.waitForType('error');
    t.is(answer.code, code, name);
    t.is(typeof answer.message, 'string', name);
  }
  t.like(await ws.ask({ type: 'ping' }), { type: 'pong' });
  t.deepEqual(hub.logged, []);
  await ws.close();
});

test('command › points at the fault in the frame that was sent', async (t) => {
  const ws = await openWs(hub.url);
  const pointersOf = async (frame: Readonly<Record<string, unknown>>) => {
    const { errors } = (await ws.ask(frame)) as unknown as { errors: { pointer: string }[] };
    return errors.map(({ pointer }) => pointer);
  };
  const command = (type: string, data: unknown) => ({ type: 'command', command: { type, data } });
  t.deepEqual(await pointersOf(command('SetState', { key: '', value: 1 })), ['/command/data/key']);
  t.deepEqual(await pointersOf(command('Nothing', {})), ['/command/type']);
  t.deepEqual(await pointersOf({ type: 'publish', topic: '*', payload: 1 }), ['/topic']);
  await ws.close();
});

test('tail › of what is no name of a stream is invalid, and is not confirmed first', async (t) => {
  const ws = await openWs(hub.url);
  for (const stream of ['Upper', 'state-a\nb', `state-${'x'.repeat(600)}`, '\ud800']) {
    t.like(await ws.ask({ type: 'tail', stream }), { type: 'error', code: 'invalid' });
  }
  await ws.close();
});
