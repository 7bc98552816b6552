import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { openHub } from '../support/hub.ts';
import { pythonZmqInstalled, startPythonClient } from '../support/python-zmq.ts';
import { skipped } from '../support/skip.ts';
import { type KeyPair, makeKeys } from '../support/zeromq.ts';

const silent = createLogger('silent');
const local = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };
const free = 'tcp://127.0.0.1:*';
const server = makeKeys();

const withPython = (name: string, run: (t: ExecutionContext) => Promise<void>): void =>
  test(name, (t) =>
    pythonZmqInstalled ? run(t) : skipped(t, name, 'python3-zmq is not installed for /usr/bin/python3'),
  );

type Entry = { readonly keys: KeyPair; readonly subject: string; readonly scope: string };

const openServed = async (t: ExecutionContext, entries?: readonly Entry[]) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-python-'));
  const file = join(folder, 'clients.json');
  const list = (entries ?? []).map(({ keys, ...rest }) => ({ publicKey: keys.publicKey, ...rest }));
  await writeFile(file, JSON.stringify(list));
  const hub = await openHub();
  const zeroMq = await openZeroMq({
    core: hub.core,
    config: {
      zmqPublish: free,
      zmqCommand: free,
      jwtSecret: null,
      ...(entries === undefined ? {} : { zmqCurveSecretKey: server.secretKey, zmqCurveClients: file }),
    },
    logger: silent,
  });
  t.teardown(async () => {
    await zeroMq.close();
    await hub.close();
    await rm(folder, { recursive: true, force: true });
  });
  const open = {
    do: 'open',
    publish: zeroMq.publish,
    command: zeroMq.command,
    http: hub.url,
  };
  const publish = async (topic: string, payload: unknown): Promise<void> => {
    const done = await hub.core.execute({ type: 'PublishMessage', data: { topic, payload } }, local);
    if (!done.ok) throw new Error(done.problem.detail);
  };
  return { hub, zeroMq, open, publish };
};

type Message = { readonly payload: unknown; readonly publisher: string };
type Read = Readonly<Record<string, unknown>>;
const messagesOf = ({ messages }: Read): readonly Message[] => messages as readonly Message[];
const payloads = (read: Read): readonly unknown[] => messagesOf(read).map(({ payload }) => payload);

withPython(
  'a Python client › publishes durably, subscribes, and reads what a gap hid from the log',
  async (t) => {
    const { hub, open, publish } = await openServed(t);
    const client = startPythonClient();
    await client.ask(open);
    t.deepEqual(await client.ask({ do: 'subscribe', prefix: 'py.' }), { settled: true });

    const one = await client.ask({
      do: 'ask',
      frame: { type: 'publish', id: 1, topic: 'py.a', payload: { n: 1 }, priority: 'HIGH' },
    });
    t.like(one, { type: 'published', id: 1 });
    const page = await hub.core.messages({ topic: 'py.a' }, local);
    t.deepEqual(page.ok && page.value.events.map(({ messageId }): unknown => messageId), [one.messageId]);
    const set = { type: 'SetState', data: { key: 'py', value: 7 } };
    t.like(await client.ask({ do: 'ask', req: true, frame: { type: 'command', id: 2, command: set } }), {
      type: 'result',
      id: 2,
      result: { version: 1 },
    });
    t.like(await client.ask({ do: 'ask', frame: { type: 'publish', id: 3, topic: '*', payload: 1 } }), {
      type: 'error',
      id: 3,
      code: 'invalid',
    });
    await publish('py.a', 2);
    const whole = await client.ask({ do: 'read', count: 2 });
    t.deepEqual(payloads(whole), [{ n: 1 }, 2]);
    t.is(whole.gaps, 0);

    t.deepEqual(await client.ask({ do: 'unsubscribe', prefix: 'py.' }), { settled: true });
    for (const payload of [3, 4, 5]) await publish('py.a', payload);
    t.deepEqual(await client.ask({ do: 'subscribe', prefix: 'py.' }), { settled: true });
    await publish('py.a', 6);
    const healed = await client.ask({ do: 'read', count: 4 });
    t.deepEqual(payloads(healed), [3, 4, 5, 6]);
    t.is(healed.gaps, 1);
    t.is(await client.close(), 0);
  },
);

withPython(
  'a Python client with a CURVE key › acts as its subject, and one whose key is not known gets nothing',
  async (t) => {
    const known = makeKeys();
    const unknown = makeKeys();
    const entries = [{ keys: known, subject: 'py', scope: 'events:publish:py.> events:read:py.>' }];
    const { hub, zeroMq, open, publish } = await openServed(t, entries);
    const keys = ({ publicKey, secretKey }: KeyPair) => ({
      server: server.publicKey,
      public: publicKey,
      secret: secretKey,
    });

    const client = startPythonClient();
    await client.ask({ ...open, ...keys(known) });
    t.deepEqual(await client.ask({ do: 'subscribe', prefix: '' }), { settled: true });
    t.like(await client.ask({ do: 'ask', frame: { type: 'publish', id: 1, topic: 'py.a', payload: 1 } }), {
      type: 'published',
      id: 1,
    });
    t.like(
      await client.ask({
        do: 'ask',
        req: true,
        frame: { type: 'publish', id: 2, topic: 'other.a', payload: 1 },
      }),
      { type: 'error', id: 2, code: 'forbidden', scope: 'events:publish:other.a' },
    );
    await publish('other.a', 'not for it');
    await publish('py.b', 2);
    const read = await client.ask({ do: 'read', count: 2 });
    t.deepEqual(payloads(read), [1, 2]);
    t.like(messagesOf(read)[0], { publisher: 'py' });

    const stranger = startPythonClient();
    await stranger.ask({ ...open, ...keys(unknown), wait_ms: 500 });
    t.deepEqual(await stranger.ask({ do: 'subscribe', prefix: '' }), { settled: false });
    t.deepEqual(
      await stranger.ask({ do: 'ask', frame: { type: 'publish', id: 1, topic: 'py.stranger', payload: 1 } }),
      { timeout: true },
    );
    const none = await hub.core.messages({ topic: 'py.stranger' }, local);
    t.deepEqual(none.ok && none.value.events, []);
    // The sockets of the known client are all that is left.
    t.like(zeroMq.stats(), { connections: 3 });
    t.is(await stranger.close(), 0);
    t.is(await client.close(), 0);
  },
);
