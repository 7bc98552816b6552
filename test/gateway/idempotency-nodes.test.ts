import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openZeroMq, type ZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { type Hub, type HubOptions, openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { readWholeLog, request } from '../support/rest.ts';
import { openWs } from '../support/ws-client.ts';
import { openDealer } from '../support/zeromq.ts';

type Node = { readonly hub: Hub; readonly zeroMq: ZeroMq; close(): Promise<void> };

const openNode = async (options: HubOptions = {}): Promise<Node> => {
  const hub = await openHub(options);
  const config = { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null };
  const zeroMq = await openZeroMq({ core: hub.core, config, logger: createLogger('silent') });
  return {
    hub,
    zeroMq,
    close: async () => {
      await zeroMq.close();
      await hub.close();
    },
  };
};

type Told = {
  readonly replayed: boolean;
  readonly code: unknown;
  /** Without what says that it is a replay. */
  readonly answer: Readonly<Record<string, unknown>>;
};
type Client = {
  publish(key: string, topic: string, payload: unknown): Promise<Told>;
  increment(key: string, name: string, by: number): Promise<Told>;
  close(): Promise<void>;
};

type Ask = (frame: object) => Promise<Readonly<Record<string, unknown>>>;

const framesClient = (ask: Ask, close: () => Promise<void>): Client => {
  const told = async (frame: object): Promise<Told> => {
    const { id: _id, replayed, ...answer } = await ask(frame);
    return { replayed: replayed === true, code: answer.code, answer };
  };
  return {
    publish: (idempotencyKey, topic, payload) => told({ type: 'publish', topic, payload, idempotencyKey }),
    increment: (idempotencyKey, key, by) =>
      told({ type: 'command', idempotencyKey, command: { type: 'IncrementState', data: { key, by } } }),
    close,
  };
};

const protocols: Readonly<Record<string, (node: Node) => Promise<Client>>> = {
  rest: async ({ hub }) => {
    const told = async (path: string, key: string, body: unknown): Promise<Told> => {
      const answer = await request(hub.url, 'POST', path, { body, headers: { 'idempotency-key': key } });
      const replayed = answer.headers.get('idempotent-replayed') === 'true';
      return { replayed, code: answer.body.code, answer: { ...answer.body, status: answer.status } };
    };
    return {
      publish: (key, topic, payload) => told(`/events/${topic}`, key, { payload }),
      increment: (key, name, by) => told(`/state/${name}/increment`, key, { by }),
      close: async () => {},
    };
  },
  graphql: async ({ hub }) => {
    const told = async (key: string, query: string, variables: object): Promise<Told> => {
      const body = { query, variables, extensions: { idempotencyKey: key } };
      const answer = (await request(hub.url, 'POST', '/graphql', { body })).body as {
        readonly data?: object | null;
        readonly errors?: readonly { readonly extensions: { readonly code: unknown } }[];
        readonly extensions?: { readonly idempotentReplayed?: boolean };
      };
      return {
        replayed: answer.extensions?.idempotentReplayed === true,
        code: answer.errors?.[0]?.extensions.code,
        answer: { ...answer.data },
      };
    };
    return {
      publish: (key, topic, payload) =>
        told(
          key,
          'mutation($topic: String!, $payload: String!) { publishEvent(topic: $topic, payload: $payload) { messageId } }',
          { topic, payload: JSON.stringify(payload) },
        ),
      increment: (key, name, by) =>
        told(
          key,
          'mutation($name: String!, $by: Float!) { incrementState(key: $name, by: $by) { value version } }',
          { name, by },
        ),
      close: async () => {},
    };
  },
  websocket: async ({ hub }) => {
    const ws = await openWs(hub.url);
    return framesClient(ws.ask, ws.close);
  },
  zeromq: async ({ zeroMq }) => {
    const dealer = openDealer(zeroMq.command ?? '');
    return framesClient(dealer.ask, async () => dealer.close());
  },
};

const folderForTest = async (t: import('ava').ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-keys-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

/** What `first` was told is what `second` is told, once for all; and another input is refused. */
const same = async (t: import('ava').ExecutionContext, name: string, first: Client, second: Client) => {
  const once = await first.publish('p', `${name}.a`, 1);
  t.false(once.replayed);
  t.is(once.code, undefined, JSON.stringify(once.answer));
  const counted = await first.increment('i', `${name}-count`, 5);
  t.false(counted.replayed);
  t.is(counted.code, undefined, JSON.stringify(counted.answer));

  t.deepEqual(await second.publish('p', `${name}.a`, 1), { ...once, replayed: true });
  t.deepEqual(await second.increment('i', `${name}-count`, 5), { ...counted, replayed: true });
  t.is((await second.publish('p', `${name}.a`, 2)).code, 'idempotency_mismatch');
  t.is((await second.increment('i', `${name}-count`, 6)).code, 'idempotency_mismatch');
};

/** One message on the topic and one event of the key, whatever was sent again. */
const effects = async (t: import('ava').ExecutionContext, url: string, name: string) => {
  const log = await readWholeLog(url);
  t.is(log.filter(({ stream }) => stream === `topic-${name}.a`).length, 1, name);
  t.is(log.filter(({ stream }) => stream === `state-${name}-count`).length, 1, name);
};

test('a key › holds across a restart, in each protocol', async (t) => {
  const folder = await folderForTest(t);
  const options = { dataDir: folder, log: [`file:${folder}`] };
  const told = new Map<string, readonly [Told, Told]>();
  const before = await openNode(options);
  for (const [name, open] of Object.entries(protocols)) {
    const client = await open(before);
    told.set(name, [
      await client.publish(`p-${name}`, `${name}.a`, 1),
      await client.increment(`i-${name}`, `${name}-count`, 5),
    ]);
    await client.close();
  }
  await before.close();
  const after = await openNode(options);
  t.teardown(after.close);
  for (const [name, open] of Object.entries(protocols)) {
    const client = await open(after);
    const [published, counted] = told.get(name) ?? [];
    t.is(published?.code, undefined);
    t.is((await client.publish(`p-${name}`, `${name}.a`, 2)).code, 'idempotency_mismatch', name);
    t.is((await client.increment(`i-${name}`, `${name}-count`, 6)).code, 'idempotency_mismatch', name);
    t.deepEqual(await client.publish(`p-${name}`, `${name}.a`, 1), { ...published, replayed: true } as Told);
    const again = await client.increment(`i-${name}`, `${name}-count`, 5);
    t.deepEqual(again, { ...counted, replayed: true } as Told);
    await client.close();
    await effects(t, after.hub.url, name);
  }
});

test('a key › holds on another node of the log, in each protocol, also at the same time', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const [near, far] = [await openNode({ log: [redis.url] }), await openNode({ log: [redis.url] })];
  t.teardown(async () => {
    await near.close();
    await far.close();
  });
  for (const [name, open] of Object.entries(protocols)) {
    const [first, second] = [await open(near), await open(far)];
    const key = (text: string): string => `${text}-${name}`;
    const keyed = (client: Client): Client => ({
      ...client,
      publish: (own, ...rest) => client.publish(key(own), ...rest),
      increment: (own, ...rest) => client.increment(key(own), ...rest),
    });
    await same(t, name, keyed(first), keyed(second));
    await effects(t, near.hub.url, name);

    // Dealers take one answer at a time, so each of the ten has a client of its own.
    const clients = await Promise.all(Array.from({ length: 10 }, (_, n) => open(n % 2 === 0 ? near : far)));
    const both = `${name}-both`;
    const published = await Promise.all(clients.map((client) => client.publish(key('b'), `${both}.a`, 1)));
    const counted = await Promise.all(
      clients.map((client) => client.increment(key('c'), `${both}-count`, 1)),
    );
    for (const all of [published, counted]) {
      t.deepEqual(new Set(all.map(({ code }) => code)), new Set([undefined]), name);
      t.is(all.filter(({ replayed }) => !replayed).length, 1, name);
      for (const { answer } of all) t.deepEqual(answer, all[0]?.answer as object);
    }
    await effects(t, far.hub.url, both);
    await Promise.all([first, second, ...clients].map((client) => client.close()));
  }
});

test('frames › share their keys between WebSocket and ZeroMQ, publish and command, and no key is for two streams', async (t) => {
  const node = await openNode();
  t.teardown(node.close);
  const [ws, dealer] = [await protocols.websocket?.(node), await protocols.zeromq?.(node)];
  if (ws === undefined || dealer === undefined) throw new Error('no clients');
  const first = await ws.publish('shared', 'a.b', 1);
  t.deepEqual(await dealer.publish('shared', 'a.b', 1), { ...first, replayed: true });
  t.is((await dealer.publish('shared', 'a.c', 1)).code, 'idempotency_mismatch');
  t.is((await ws.increment('shared', 'n', 1)).code, 'idempotency_mismatch');
  const path = '/events/a.b';
  const headers = { 'idempotency-key': 'shared' };
  t.is((await request(node.hub.url, 'POST', path, { body: { payload: 1 }, headers })).status, 201);
  await Promise.all([ws.close(), dealer.close()]);
});

test('frames › that are no command refuse a key, and one of another form or beside a commandId', async (t) => {
  const node = await openNode();
  t.teardown(node.close);
  const ws = await openWs(node.hub.url);
  const dealer = openDealer(node.zeroMq.command ?? '');
  const command = { type: 'SetState', data: { key: 'k', value: 1 } };
  const refused: readonly (readonly [object, string])[] = [
    [{ type: 'request', topic: 'a', payload: 1 }, 'not_supported'],
    [{ type: 'reply', replyTo: 'a.b', payload: 1 }, 'not_supported'],
    [{ type: 'heartbeat', service: 'a' }, 'not_supported'],
    [{ type: 'subscribe', topic: 'a' }, 'not_supported'],
    [{ type: 'ack', delivery: 'd' }, 'not_supported'],
    [{ type: 'ping' }, 'not_supported'],
    [{ type: 'command', command: { ...command, commandId: 'c' } }, 'invalid'],
    [{ type: 'publish', topic: 'a', payload: 1, idempotencyKey: 'a b' }, 'invalid'],
    [{ type: 'publish', topic: 'a', payload: 1, idempotencyKey: 1 }, 'invalid'],
    [{ type: 'command', command, idempotencyKey: '' }, 'invalid'],
    [{ type: 'command', command, idempotencyKey: null }, 'invalid'],
  ];
  for (const [frame, code] of refused) {
    for (const ask of [ws.ask, (asked: object) => dealer.ask({ ...asked, id: 1 })]) {
      const answer = await ask({ idempotencyKey: 'k', ...frame });
      t.is(answer.code, code, JSON.stringify(frame));
    }
  }
  await ws.close();
  dealer.close();
  t.is((await request(node.hub.url, 'GET', '/state/k')).status, 404);
});
