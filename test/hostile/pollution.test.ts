import test, { type ExecutionContext } from 'ava';
import { openZeroMq, type ZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { call } from '../gateway/client.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { openWs, type WsClient } from '../support/ws-client.ts';
import { openDealer } from '../support/zeromq.ts';
import { payloads } from './pollution-payloads.ts';
import type { Payload } from './pollution-ways.ts';

let hub: Hub;
let zeroMq: ZeroMq;
let ws: WsClient;
let dealer: ReturnType<typeof openDealer>;
test.before(async () => {
  hub = await openHub();
  const config = { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null };
  zeroMq = await openZeroMq({ core: hub.core, config, logger: createLogger('silent') });
  ws = await openWs(hub.url);
  dealer = openDealer(zeroMq.command ?? '');
});
test.after.always(async () => {
  dealer.close();
  await ws.close();
  await zeroMq.close();
  await hub.close();
});

const prototypes = {
  Object: Object.prototype,
  Array: Array.prototype,
  Function: Function.prototype,
  String: String.prototype,
  Map: Map.prototype,
  Buffer: Buffer.prototype,
};
type Property = readonly [of: string, key: PropertyKey, value: unknown];
/** Every own property of each, with what it is. The hub runs in this process: what it pollutes is polluted here. */
const sight = (): readonly Property[] =>
  Object.entries(prototypes).flatMap(([name, prototype]) =>
    Reflect.ownKeys(prototype).map((key): Property => {
      const { value, get, set } = Object.getOwnPropertyDescriptor(prototype, key) ?? {};
      return [name, key, value ?? get ?? set];
    }),
  );
const clean = sight();
const isClean = (): boolean => {
  const now = sight();
  return (
    now.length === clean.length &&
    now.every(([, key, value], index) => key === clean[index]?.[1] && value === clean[index]?.[2])
  );
};

const codeOrStatus = (status: number, text: string): string | number => {
  const body: {
    readonly code?: unknown;
    readonly errors?: readonly { readonly extensions?: { readonly code?: unknown } }[];
  } = text === '' ? {} : JSON.parse(text);
  return String(body.code ?? body.errors?.[0]?.extensions?.code ?? '') || status;
};
const send = async ([, way, text]: Payload): Promise<string | number> => {
  switch (way.by) {
    case 'graphql': {
      const answer = await call(hub.url, 'POST', '/graphql', {
        headers: { 'content-type': 'application/json' },
        raw: text ?? '',
      });
      return codeOrStatus(answer.status, answer.text);
    }
    case 'websocket': {
      ws.send(text ?? '');
      const { type, code } = await ws.waitForMessage(
        ({ type: told }) => told !== 'message' && told !== 'caughtUp',
      );
      return type === 'error' ? String(code) : 200;
    }
    case 'zeromq': {
      await dealer.socket.send(text ?? '');
      const answer = JSON.parse(String((await dealer.socket.receive())[0])) as {
        readonly type: string;
        readonly code?: string;
      };
      return answer.type === 'error' ? String(answer.code) : 200;
    }
    case 'http': {
      const type = text === undefined ? {} : { 'content-type': way.type ?? 'application/json' };
      const answer = await call(hub.url, way.method, way.path, {
        headers: { ...type, ...way.headers },
        ...(text === undefined ? {} : { raw: text }),
      });
      return codeOrStatus(answer.status, answer.text);
    }
  }
};

const safe = { list: [1, { a: 'b' }] };

/** The prototypes are as they were, and nothing that was stored before is another thing now. */
const unharmed = async (t: ExecutionContext, what: string): Promise<void> => {
  t.true(isClean(), what);
  t.is(Reflect.get({}, 'polluted'), undefined, what);
  t.deepEqual((await request(hub.url, 'GET', '/state/safe')).body.value, safe, what);
};

test.serial(
  `${payloads.length} payloads of prototypes, through every way in › are refused or do no harm`,
  async (t) => {
    t.true(payloads.length >= 50);
    await request(hub.url, 'PUT', '/state/safe', { body: { value: safe } });
    for (const payload of payloads) {
      await request(hub.url, 'PUT', '/state/target', { body: { value: safe } });
      const [what, , , expected] = payload;
      t.is(await send(payload), expected, what);
      await unharmed(t, what);
    }
    // What was refused has left nothing: only what was taken is there.
    t.deepEqual((await request(hub.url, 'GET', '/state/target')).body.value, safe);
  },
);

const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
];

test.serial(
  'whatever has a name › may be named as a member of every object is, and is found by it alone',
  async (t) => {
    const at = (method: string, path: string, body?: unknown) => request(hub.url, method, path, { body });
    const ok = async (method: string, path: string, body?: unknown) => {
      const answer = await at(method, path, body);
      t.true(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body;
    };
    for (const name of names) {
      for (const path of [
        `/state/${name}`,
        `/state/${name}/history`,
        `/services/${name}`,
        `/subscriptions/${name}`,
        `/retention/${name}`,
      ])
        t.is((await at('GET', path)).status, 404, path);
      await ok('PUT', `/state/${name}`, { value: { name } });
      t.deepEqual((await ok('GET', `/state/${name}`)).value, { name });
      t.is(((await ok('GET', `/state/${name}/history`)).history as unknown[]).length, 1);
      await ok('POST', '/services', {
        id: name,
        name: 'named',
        version: '1.0.0',
        host: '127.0.0.1',
        port: 9,
        ttlSec: 600,
      });
      await ok('POST', `/services/${name}/heartbeat`, { load: 0.5 });
      t.is((await ok('GET', `/services/${name}`)).id, name);
      await ok('PUT', `/subscriptions/${name}`, { topic: `${name}.>` });
      await ok('POST', `/events/${name}.${name}`, {
        payload: name,
        key: name,
        headers:
          name === '__proto__' || name === 'constructor' || name === 'prototype' ? {} : { [name]: name },
      });
      t.is(
        ((await ok('POST', `/subscriptions/${name}/pull`, { waitMs: 10_000 })).deliveries as unknown[])
          .length,
        1,
      );
      await ok('PUT', `/retention/${name}`, { maxMessages: 10 });
      await ok('PUT', `/state-policies/${name}*`, { maxKeys: 10 });
      const { token } = await ok('POST', `/locks/lock-${name}`, { ttlMs: 60_000, holder: name });
      await ok('DELETE', `/locks/lock-${name}?token=${token}`);
      await ok('DELETE', `/state/${name}`);
      t.is((await at('GET', `/state/${name}`)).status, 404);
      await unharmed(t, name);
    }
    const listed = (await ok('GET', '/services?name=named')).services as readonly { readonly id: string }[];
    t.deepEqual(
      listed.map(({ id }) => id),
      names.toSorted(),
    );
    for (const name of names) await ok('DELETE', `/services/${name}`);
  },
);

test.after('no payload › has caused an error in the hub', (t) => {
  t.deepEqual(
    hub.logged.filter(({ level }) => level === 'error'),
    [],
  );
});
