import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import { Dealer, Request, Subscriber } from 'zeromq';
import { openZeroMq, type ZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger, type Logger } from '../../src/logger.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { jwtSecret } from '../support/token.ts';
import { openSubscriber as openHeardSubscriber } from '../support/zeromq.ts';

const silent = createLogger('silent');
const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };
const free = 'tcp://127.0.0.1:*';

const hub = await openHub();
const zeroMq = await openZeroMq({
  core: hub.core,
  config: { zmqPublish: free, zmqCommand: free, jwtSecret: null },
  logger: silent,
});
test.after.always(async () => {
  await zeroMq.close();
  await hub.close();
});

const publish = async ({ core }: Hub, topic: string, payload: unknown): Promise<string> => {
  const done = await core.execute({ type: 'PublishMessage', data: { topic, payload } }, context);
  if (!done.ok) throw new Error(done.problem.detail);
  return done.value.position;
};

type Answer = Readonly<Record<string, unknown>>;
const parse = (frame: Buffer | undefined): Answer => JSON.parse(String(frame)) as Answer;

/** A subscriber to which the hub's messages flow: libzmq loses those of the first moments, so it is asked until one comes. */
const openSubscriber = async (
  from: Hub,
  { publish: endpoint }: ZeroMq,
  prefix: string,
  probe: string,
): Promise<Subscriber> => {
  const subscriber = new Subscriber({ linger: 0 });
  subscriber.connect(endpoint ?? '');
  subscriber.subscribe(prefix, probe);
  const first = subscriber.receive();
  let flows = false;
  first.then(
    () => {
      flows = true;
    },
    () => {},
  );
  let last = '';
  while (!flows) last = await publish(from, probe, 'probe');
  let [, body] = await first;
  while (parse(body).position !== last) [, body] = await subscriber.receive();
  subscriber.unsubscribe(probe);
  return subscriber;
};

test('a subscriber by prefix › gets each message in order, with epoch and the position before it on its topic', async (t) => {
  const before = await publish(hub, 'zmq.a', 'before');
  const subscriber = await openSubscriber(hub, zeroMq, 'zmq.', 'probe.prefix');
  const positions = [];
  for (const [topic, payload] of [
    ['zmq.a', 1],
    ['zmq.b', 2],
    ['other', 3],
    ['zmq.a', { four: 4 }],
  ] as const) {
    positions.push(await publish(hub, topic, payload));
  }
  const frames = [];
  for (let index = 0; index < 3; index++) {
    const [topic, body] = await subscriber.receive();
    frames.push({ topic: String(topic), ...parse(body) });
  }
  const [one, two, three] = frames;
  t.like(one, {
    topic: 'zmq.a',
    payload: 1,
    position: positions[0],
    prevPosition: before,
    publisher: 'local',
    priority: 'NORMAL',
  });
  t.like(two, { topic: 'zmq.b', payload: 2, position: positions[1], prevPosition: null });
  t.like(three, { topic: 'zmq.a', payload: { four: 4 }, position: positions[3], prevPosition: positions[0] });
  const epochs = new Set(frames.map((frame) => (frame as Answer).epoch));
  t.is(epochs.size, 1);
  subscriber.close();
});

test('a reply that is told to one asker › is not published', async (t) => {
  const subscriber = await openHeardSubscriber(zeroMq.publish ?? '', ['_reply.', 'fence.']);
  await publish(hub, '_reply.node.a', 'secret');
  await publish(hub, 'fence.a', 1);
  t.is((await subscriber.next()).topic, 'fence.a');
  subscriber.close();
});

test('a subscriber that keeps up › gets 5,000 messages without a gap in prevPosition', async (t) => {
  const subscriber = await openSubscriber(hub, zeroMq, 'many.', 'probe.many');
  let previous: unknown = null;
  for (let from = 0; from < 5_000; from += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => publish(hub, 'many.a', from + index)));
    for (let n = from; n < from + 100; n++) {
      const [, body] = await subscriber.receive();
      const { payload, position, prevPosition } = parse(body);
      if (payload !== n || prevPosition !== previous)
        t.fail(`${String(payload)} behind ${String(prevPosition)}`);
      previous = position;
    }
  }
  t.pass();
  subscriber.close();
});

test('publish and command › of a DEALER are answered in one frame, with its id, once durable', async (t) => {
  const dealer = new Dealer({ linger: 0 });
  dealer.connect(zeroMq.command ?? '');
  await dealer.send(JSON.stringify({ type: 'publish', id: 1, topic: 'cmd.a', payload: { x: 1 }, key: 'k' }));
  const frames = await dealer.receive();
  t.is(frames.length, 1);
  const published = parse(frames[0]);
  t.like(published, { type: 'published', id: 1 });
  const page = await hub.core.messages({ topic: 'cmd.a' }, context);
  t.true(
    page.ok && page.value.events.length === 1 && page.value.events[0]?.messageId === published.messageId,
  );

  const command = { type: 'SetState', data: { key: 'cmd/a', value: 1, expectedVersion: 0 } };
  await dealer.send(JSON.stringify({ type: 'command', id: 'two', command }));
  t.like(parse((await dealer.receive())[0]), {
    type: 'result',
    id: 'two',
    result: { key: 'cmd/a', version: 1 },
  });
  await dealer.send(JSON.stringify({ type: 'command', id: 3, command }));
  t.like(parse((await dealer.receive())[0]), {
    type: 'error',
    id: 3,
    code: 'version_conflict',
    currentVersion: 1,
  });
  dealer.close();
});

test('a REQ › gets its answer behind the empty frame that it expects', async (t) => {
  const request = new Request({ linger: 0 });
  request.connect(zeroMq.command ?? '');
  for (const payload of [1, 2]) {
    await request.send(JSON.stringify({ type: 'publish', topic: 'cmd.req', payload }));
    t.like(parse((await request.receive())[0]), { type: 'published' });
  }
  request.close();
});

test('frames of one peer › take effect in order without waiting for answers, those of many all get one', async (t) => {
  const peers = 4;
  const each = 300;
  const answered = await Promise.all(
    Array.from({ length: peers }, async (_, peer) => {
      const dealer = new Dealer({ linger: 0 });
      dealer.connect(zeroMq.command ?? '');
      for (let n = 0; n < each; n++) {
        await dealer.send(JSON.stringify({ type: 'publish', id: n, topic: `cmd.order-${peer}`, payload: n }));
        if (n % 100 === 50) {
          const command = {
            type: 'PublishMessage',
            data: { topic: `cmd.order-${peer}`, payload: `command ${n}` },
          };
          await dealer.send(JSON.stringify({ type: 'command', id: `c${n}`, command }));
        }
      }
      const ids = new Set<unknown>();
      while (ids.size < each + 3) ids.add(parse((await dealer.receive())[0]).id);
      dealer.close();
      return ids.size;
    }),
  );
  t.deepEqual(
    answered,
    Array.from({ length: peers }, () => each + 3),
  );
  const expected = Array.from({ length: each }, (_, n) =>
    n % 100 === 50 ? [n, `command ${n}`] : [n],
  ).flat();
  for (let peer = 0; peer < peers; peer++) {
    const page = await hub.core.messages({ topic: `cmd.order-${peer}`, limit: 1_000 }, context);
    t.deepEqual(page.ok && page.value.events.map(({ payload }) => payload), expected);
  }
});

test('a frame that is none of publish and command › gets an error with its code, and the socket goes on', async (t) => {
  const dealer = new Dealer({ linger: 0 });
  dealer.connect(zeroMq.command ?? '');
  const bad: readonly (readonly [frame: string | Buffer, code: string])[] = [
    ['nonsense', 'bad_json'],
    ['', 'bad_json'],
    [Buffer.from([0xff, 0xfe]), 'bad_json'],
    ['{"type":"publish","topic":"a","payload":{"__proto__":1}}', 'bad_json'],
    ['[]', 'invalid'],
    ['{"type":"what"}', 'invalid'],
    ['{"type":"subscribe","topic":"a"}', 'not_supported'],
    ['{"type":"ping"}', 'not_supported'],
    ['{"type":"publish","topic":"a.*","payload":1}', 'invalid'],
    ['{"type":"command","command":{"type":"Nothing","data":{}}}', 'invalid'],
  ];
  for (const [frame, code] of bad) {
    await dealer.send(frame);
    t.is(parse((await dealer.receive())[0]).code, code, String(frame));
  }
  await dealer.send(['{"type":"what"}', '{"type":"publish","topic":"cmd.multi","payload":1,"id":9}']);
  const frames = await dealer.receive();
  t.like(parse(frames.at(-1)), { type: 'published', id: 9 });
  dealer.close();
});

test('a frame over 1 MiB › costs its sender the connection, and the others nothing', async (t) => {
  const large = new Dealer({ linger: 0, reconnectInterval: -1 });
  const disconnected = new Promise<void>((resolve) => {
    large.events.on('disconnect', () => resolve());
  });
  large.connect(zeroMq.command ?? '');
  await large.send('x'.repeat(1_048_577));
  await disconnected;
  large.close();
  const other = new Dealer({ linger: 0 });
  other.connect(zeroMq.command ?? '');
  await other.send(JSON.stringify({ type: 'publish', id: 1, topic: 'cmd.after', payload: 1 }));
  t.like(parse((await other.receive())[0]), { type: 'published' });
  other.close();
});

test('bytes that are no ZMTP › do no harm', async (t) => {
  const port = Number(new URL(zeroMq.command ?? '').port);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  socket.end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(10));
  await once(socket, 'close');
  const dealer = new Dealer({ linger: 0 });
  dealer.connect(zeroMq.command ?? '');
  await dealer.send(JSON.stringify({ type: 'publish', id: 1, topic: 'cmd.http', payload: 1 }));
  t.like(parse((await dealer.receive())[0]), { type: 'published' });
  dealer.close();
});

test('an endpoint › says where it is bound, and one that is taken or remote stops the start, a default one is only warned of', async (t) => {
  t.regex(zeroMq.publish ?? '', /^tcp:\/\/127\.0\.0\.1:\d+$/);
  t.is(zeroMq.ports.length, 2);
  const open = (zmqPublish: string, zmqCommand: string, logger: Logger = silent) =>
    openZeroMq({ core: hub.core, config: { zmqPublish, zmqCommand, jwtSecret: null }, logger });
  const taken = zeroMq.publish ?? '';
  await t.throwsAsync(open(taken, 'none'), {
    message: /zmqPublish tcp:\/\/127\.0\.0\.1:\d+ cannot be bound/,
  });
  // The publish socket that was opened before is closed again: its port can be had at once.
  await t.throwsAsync(open(free, taken), { message: /zmqCommand/ });
  for (const remote of [
    'tcp://0.0.0.0:5556',
    'tcp://*:5556',
    'tcp://192.0.2.1:5556',
    'ipc:///tmp/x',
    'nonsense',
  ]) {
    await t.throwsAsync(open(remote, 'none'), { message: /zmqPublish/ });
    await t.throwsAsync(open('none', remote), { message: /zmqCommand/ });
  }
  const warned: string[] = [];
  const logger: Logger = { ...silent, info: () => {}, warn: (_facts, message) => warned.push(message) };
  const first = await open('tcp://127.0.0.1:5556', 'tcp://127.0.0.1:5557', logger);
  const second = await open('tcp://127.0.0.1:5556', 'tcp://127.0.0.1:5557', logger);
  t.deepEqual(second.ports, []);
  t.true(warned.length >= 2);
  await second.close();
  await first.close();
  const off = await open('none', 'none');
  t.deepEqual(off.ports, []);
  await off.close();
});

test('with authentication on and no CURVE key › neither socket is there, and that is said', async (t) => {
  const told: string[] = [];
  const logger: Logger = { ...silent, info: (_facts, message) => told.push(message) };
  const guarded = await openZeroMq({
    core: hub.core,
    config: { zmqPublish: free, zmqCommand: free, jwtSecret },
    logger,
  });
  t.is(guarded.command, undefined);
  t.is(guarded.publish, undefined);
  t.deepEqual(guarded.ports, []);
  t.regex(told.join(), /authentication is on, and there is no zmqCurveSecretKey/);
  await guarded.close();
});

test('closing › answers what was taken', async (t) => {
  const own = await openHub();
  const sockets = await openZeroMq({
    core: own.core,
    config: { zmqPublish: free, zmqCommand: free, jwtSecret: null },
    logger: silent,
  });
  const dealer = new Dealer({ linger: 0 });
  dealer.connect(sockets.command ?? '');
  const watching = await own.core.watchMessages('>', { signal: AbortSignal.timeout(30_000) }, context);
  if (!watching.ok) return t.fail(watching.problem.detail);
  await dealer.send(JSON.stringify({ type: 'publish', id: 1, topic: 'closing', payload: 1 }));
  for await (const step of watching.value.items) if (step.type === 'items') break;
  await sockets.close();
  t.like(parse((await dealer.receive())[0]), { type: 'published', id: 1 });
  dealer.close();
  await own.close();
});
