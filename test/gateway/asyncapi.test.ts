import { Parser } from '@asyncapi/parser';
import test from 'ava';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { parseFrame } from '../../src/gateway/ws/frame.ts';
import { createLogger } from '../../src/logger.ts';
import { openHub } from '../support/hub.ts';
import { createSchemaCheck, pointerOf } from '../support/schema-check.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { type Frame, openWs, type WsClient } from '../support/ws-client.ts';
import { openDealer, openSubscriber } from '../support/zeromq.ts';
import { call, openEvents } from './client.ts';

type Message = { readonly name: string; readonly examples?: readonly { readonly payload: Frame }[] };
type Document = {
  readonly channels: Readonly<Record<string, { readonly messages: Readonly<Record<string, unknown>> }>>;
  readonly components: { readonly messages: Readonly<Record<string, Message>> };
};

const admin = { authorization: `Bearer ${signToken('ann', 'admin')}` };
const hub = await openHub({ jwtSecret });
const local = await openHub();
const free = 'tcp://127.0.0.1:*';
const zeroMq = await openZeroMq({
  core: local.core,
  config: { zmqPublish: free, zmqCommand: free, jwtSecret: null },
  logger: createLogger('silent'),
});
const answered = await call(hub.url, 'GET', '/asyncapi.json', { headers: admin });
const document = JSON.parse(answered.text) as Document;
const check = createSchemaCheck(document);
const { messages } = document.components;

test.after.always(async () => {
  await hub.close();
  await zeroMq.close();
  await local.close();
});

const faultsOf = (name: string, payload: unknown): readonly string[] =>
  name in messages
    ? check.faults(pointerOf('components', 'messages', name, 'payload'), payload)
    : [`${name} is not in the document`];

/** `result` tells of a command, or of a heartbeat. */
const hubName = (frame: Frame): string =>
  `hub.${frame.type === 'result' && 'service' in frame ? 'heard' : String(frame.type)}`;

const examples = Object.entries(messages).flatMap(([name, { examples: list = [] }]) =>
  list.map(({ payload }) => ({ name, payload })),
);

test('the AsyncAPI document › has no error and no warning of a validator', async (t) => {
  const { diagnostics } = await new Parser().parse(answered.text);
  t.deepEqual(
    diagnostics.map(({ code, message, path }) => [code, message, path]),
    [],
  );
});

test('the AsyncAPI document › needs a token and names no host of a request', async (t) => {
  t.is(answered.status, 200);
  t.is((await call(hub.url, 'GET', '/asyncapi.json')).status, 401);
  const elsewhere = await call(hub.url, 'GET', '/asyncapi.json', {
    headers: { ...admin, host: 'evil.example' },
  });
  t.false(elsewhere.text.includes('evil.example'));
});

/** Values that a member of a frame may be given in place of its own. */
const strange: readonly unknown[] = [
  null,
  true,
  '',
  0,
  -1,
  1.5,
  2_000_000_000,
  [],
  {},
  'x'.repeat(600),
  'a b',
  ['x'],
  [1],
  [''],
  Array.from({ length: 1_001 }, () => 'x'),
  'start',
  { message: '' },
  { message: 'm', code: '' },
];
/** Which of several members must be there is said in words: schemas of frames cannot tell it. */
const oneOf: Readonly<Record<string, readonly string[]>> = {
  subscribe: ['topic', 'group', 'max', 'after'],
  watch: ['key', 'prefix'],
  tail: ['stream', 'category', 'all'],
  ack: ['delivery', 'deliveries'],
  nak: ['delivery', 'deliveries'],
  term: ['delivery', 'deliveries'],
  extend: ['delivery', 'deliveries'],
};
/** What holds their members is another schema, which the core applies. */
const byCore = ['publish', 'request', 'reply', 'command', 'heartbeat', 'serve', 'replay'];

test('the schema of a frame › says of each changed example what the hub says of it', (t) => {
  let compared = 0;
  const faults: string[] = [];
  for (const { name, payload } of examples) {
    t.deepEqual(faultsOf(name, payload), [], name);
    t.true(parseFrame(payload as never).frame.ok, name);
    const type = String(payload.type);
    const { properties = {} } = messages[name] === undefined ? {} : schemaOf(name);
    for (const member of Object.keys(properties)) {
      // A number that is no JSON, or another type of frame, is another question.
      if (member === 'type' || member === 'command' || byCore.includes(type)) continue;
      for (const value of strange) {
        const frame = { ...payload, [member]: value } as Frame;
        if (oneOf[type]?.includes(member) && !(member in payload)) continue;
        const understood = parseFrame(frame as never);
        const fits = faultsOf(name, frame).length === 0;
        if (understood.frame.ok !== fits)
          faults.push(`${JSON.stringify(frame).slice(0, 300)}: ${faultsOf(name, frame)}`);
        compared++;
      }
    }
  }
  t.deepEqual(faults, []);
  t.true(compared > 500, String(compared));
});

function schemaOf(name: string): { readonly properties?: Readonly<Record<string, unknown>> } {
  return (messages[name] as unknown as { payload: { properties?: Readonly<Record<string, unknown>> } })
    .payload;
}

test('every example of a frame › is answered over a WebSocket as the document says', async (t) => {
  const faults: string[] = [];
  const seen = new Set<string>();
  const openClient = async (): Promise<WsClient> => {
    const client = await openWs(hub.url, { headers: admin });
    t.teardown(() => client.close());
    client.socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      const name = hubName(frame);
      seen.add(name);
      faults.push(...faultsOf(name, frame).map((fault) => `${name} ${fault}: ${String(data)}`));
    });
    return client;
  };
  const socket = await openClient();
  const dry = await openClient();
  const consumer = await openClient();

  let replyTo = '';
  let invoked: Promise<unknown> = Promise.resolve();
  const invoke = (): Promise<unknown> =>
    call(hub.url, 'POST', '/services/adder/invoke', {
      headers: admin,
      json: { method: 'add', data: { a: 1, b: 2 } },
    });
  const deliveries: unknown[] = [];
  const filled = async (name: string, payload: Frame): Promise<Frame> => {
    switch (name) {
      case 'client.auth':
        return { ...payload, token: signToken('ann', 'admin') };
      case 'client.reply':
        return { ...payload, replyTo };
      case 'client.callResult':
      case 'client.callFailed': {
        invoked = invoke();
        const { call: number } = await socket.waitForType('call');
        return { ...payload, call: number };
      }
      case 'client.ack':
      case 'client.nak':
      case 'client.term':
      case 'client.extend':
        return { ...payload, delivery: name === 'client.extend' ? deliveries[0] : deliveries.shift() };
      default:
        return payload;
    }
  };

  for (const { name, payload } of examples) {
    if (name === 'client.reply') continue;
    if (name === 'client.extend') {
      for (const order of [19, 20])
        await socket.ask({ type: 'publish', topic: 'orders.created', payload: { order } });
      await consumer.ask({ type: 'subscribe', group: 'billing', subscription: 'billing' });
      for (let count = 0; count < 4; count++) {
        const { delivery } = await consumer.waitForMessage((frame) => frame.delivery !== undefined);
        deliveries.push(delivery);
      }
    }
    const settles = /ack|nak|term|extend/.test(name);
    const client = settles ? consumer : /replay|finish/.test(name) ? dry : socket;
    const frame = await filled(name, payload);
    client.send(frame);
    if (name === 'client.request') {
      const { headers } = await socket.waitForMessage(
        ({ type, topic }) => type === 'message' && topic === 'sums.add',
      );
      replyTo = (headers as Readonly<Record<string, string>>)['nexus-reply-to'] ?? '';
      for (const { payload: answer } of examples.filter((one) => one.name === 'client.reply')) {
        const told = await client.ask(await filled('client.reply', answer));
        t.is(told.type, 'published');
      }
    }
    if (frame.id === undefined) {
      await invoked;
      continue;
    }
    const answer = await client.waitForMessage(({ id }) => id === frame.id, name);
    if (answer.type === 'error') faults.push(`${name}: ${JSON.stringify(answer)}`);
    const replies = JSON.stringify(operationOf(`socket.${name.slice('client.'.length)}`));
    t.true(
      replies.includes(`"#/channels/socket/messages/${hubName(answer)}"`),
      `${name}: ${hubName(answer)}`,
    );
    if (name === 'client.replay') await dry.waitForType('replayed');
  }
  t.deepEqual(faults, []);
  const unseen = Object.keys(messages).filter((name) => name.startsWith('hub.') && !seen.has(name));
  t.deepEqual(unseen.sort(), ['hub.callCancelled', 'hub.error', 'hub.gap']);
  t.deepEqual(hub.logged, []);
});

const operationOf = (name: string): unknown =>
  (document as unknown as { operations: Readonly<Record<string, { reply?: unknown }>> }).operations[name]
    ?.reply;

test('every example of the command socket › is answered over ZeroMQ, and the publish socket sends what the document says', async (t) => {
  const { publish = '', command = '' } = zeroMq;
  const subscriber = await openSubscriber(publish, ['orders.']);
  const dealer = openDealer(command);
  t.teardown(() => {
    subscriber.close();
    dealer.close();
  });
  const faults: string[] = [];
  for (const { name, payload } of examples) {
    if (!(name in (document.channels.commands?.messages ?? {})) || name === 'client.reply') continue;
    if (name === 'client.request') {
      const watched = await openWs(local.url);
      t.teardown(() => watched.close());
      await watched.ask({ type: 'subscribe', topic: 'sums.*' });
      const asked = dealer.ask(payload);
      const { headers } = await watched.waitForType('message');
      const replyTo = (headers as Readonly<Record<string, string>>)['nexus-reply-to'];
      const other = openDealer(command);
      t.teardown(() => other.close());
      for (const { payload: reply } of examples.filter((one) => one.name === 'client.reply')) {
        const told = await other.ask({ ...reply, replyTo });
        faults.push(...faultsOf(hubName(told), told));
        t.is(told.type, 'published');
      }
      const told = await asked;
      faults.push(...faultsOf(hubName(told), told));
      t.is(told.type, 'reply');
      continue;
    }
    const answer = await dealer.ask(payload);
    if (answer.type === 'error') faults.push(`${name}: ${JSON.stringify(answer)}`);
    faults.push(...faultsOf(hubName(answer), answer));
  }
  for (let count = 0; count < 2; count++) {
    const { topic, body } = await subscriber.next();
    t.is(topic, 'orders.created');
    faults.push(...faultsOf('published', body));
  }
  t.deepEqual(faults, []);
});

test('live tails › send what the AsyncAPI document says', async (t) => {
  await call(local.url, 'PUT', '/state/tailed', { json: { value: 1 } });
  await call(local.url, 'POST', '/events/tailed', { json: { payload: 1 } });
  for (const [path, name] of [
    ['/events?topic=tailed&after=start', 'message'],
    ['/state?prefix=tailed&after=start', 'stateChange'],
    ['/state/tailed?after=start', 'stateChange'],
  ] as const) {
    const tail = await openEvents(local.url + path);
    t.teardown(() => tail.close());
    const item = await tail.next();
    t.deepEqual(faultsOf(name, JSON.parse(item?.data ?? 'null')), [], path);
  }
});
