import test from 'ava';
import { type Client, createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { eventsOf } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
const guarded = await openHub({ jwtSecret });
test.after.always(async () => {
  await hub.close();
  await guarded.close();
});

const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'c' };
const run = async (type: string, data: object): Promise<string> => {
  const done = await hub.core.execute({ type, data }, context);
  if (!done.ok) throw new Error(done.problem.detail);
  return done.value.position;
};
const publish = (topic: string, payload: unknown): Promise<string> =>
  run('PublishMessage', { topic, payload });

const clientOf = ({ url }: Hub, connectionParams?: Record<string, unknown>): Client =>
  createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    lazy: true,
    ...(connectionParams === undefined ? {} : { connectionParams }),
  });

type Result = {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly { readonly extensions?: unknown }[];
};

/** The first `count` results of a subscription by graphql-transport-ws; `begun` runs once it has started. */
const take = async (client: Client, query: string, count: number): Promise<readonly Result[]> => {
  const results: Result[] = [];
  for await (const result of client.iterate({ query })) {
    results.push(result as Result);
    if (results.length === count) break;
  }
  return results;
};

const field = (results: readonly Result[], name: string): unknown => results.map(({ data }) => data?.[name]);

test('messages › after start come from history, then live, by graphql-transport-ws', async (t) => {
  const client = clientOf(hub);
  await publish('gs.first.a', 1);
  await publish('gs.first.a', 2);
  const document =
    'subscription { messages(topic: "gs.first.*", after: "start") { topic payload position messageId priority } }';
  const seen: unknown[] = [];
  for await (const { data } of client.iterate({ query: document })) {
    seen.push(data?.messages);
    if (seen.length === 2) await publish('gs.first.b', 3);
    if (seen.length === 3) break;
  }
  t.like(seen, {
    0: { topic: 'gs.first.a', payload: 1, priority: 'NORMAL' },
    1: { payload: 2 },
    2: { topic: 'gs.first.b', payload: 3 },
  });
  await client.dispose();
});

test('messages › resume behind a position: each once, in order', async (t) => {
  const client = clientOf(hub);
  const positions: string[] = [];
  for (let n = 0; n < 10; n++) positions.push(await publish('gs.resume', n));
  const document = (after: string) =>
    `subscription { messages(topic: "gs.resume", after: "${after}") { payload } }`;
  t.deepEqual(
    field(await take(client, document(positions[3] ?? ''), 6), 'messages'),
    [4, 5, 6, 7, 8, 9].map((payload) => ({ payload })),
  );
  await client.dispose();
});

test('stateChanged, serviceChanged and events › bring items with their position', async (t) => {
  const client = clientOf(hub);
  const after = await publish('gs.mark', 0);
  await run('SetState', { key: 'gs/a', value: { n: 1 } });
  await run('SetState', { key: 'other', value: 2 });
  const deleted = await run('DeleteState', { key: 'gs/a' });
  t.deepEqual(
    field(
      await take(
        client,
        `subscription { stateChanged(prefix: "gs/", after: "${after}") { key value oldValue version deleted } }`,
        2,
      ),
      'stateChanged',
    ),
    [
      { key: 'gs/a', value: { n: 1 }, oldValue: null, version: 1, deleted: false },
      { key: 'gs/a', value: null, oldValue: { n: 1 }, version: 2, deleted: true },
    ],
  );
  const [byKey] = await take(
    client,
    `subscription { stateChanged(key: "other", after: "${after}") { value } }`,
    1,
  );
  t.deepEqual(byKey?.data, { stateChanged: { value: 2 } });

  await run('RegisterService', { id: 'gs-1', name: 'gs', version: '1.0.0', host: '127.0.0.1', port: 9 });
  const [changed] = await take(
    client,
    `subscription { serviceChanged(name: "gs", after: "${after}") { change service { id status } position } }`,
    1,
  );
  t.like(changed?.data?.serviceChanged, { change: 'registered', service: { id: 'gs-1', status: 'healthy' } });

  const events = await take(
    client,
    `subscription { events(category: "state", after: "${after}") { type stream revision position actor } }`,
    3,
  );
  t.like(events[2]?.data?.events, {
    type: 'StateDeleted',
    stream: 'state-gs/a',
    revision: 1,
    position: deleted,
    actor: 'local',
  });
  await client.dispose();
});

test('a subscription that is refused › gets an error with its code, and the socket stays open', async (t) => {
  const client = clientOf(hub);
  const [refused] = await take(client, 'subscription { messages(topic: "a..b") { position } }', 1);
  t.like(refused?.errors?.[0]?.extensions, { code: 'invalid' });
  const [both] = await take(client, 'subscription { stateChanged(key: "a", prefix: "b") { position } }', 1);
  t.like(both?.errors?.[0]?.extensions, { code: 'invalid' });
  const [query] = await take(client, '{ health { status } }', 1);
  t.deepEqual(query?.data, { health: { status: 'ok' } });
  await t.throwsAsync(
    take(client, `{ ${'health { status } '.repeat(600)} }`, 1).catch((errors: unknown) =>
      Promise.reject(new Error(JSON.stringify(errors))),
    ),
    {
      message: /"code":"invalid"/,
    },
  );
  await client.dispose();
});

/** Each subscription, and what makes its `n`th item. */
const resumable: Readonly<Record<string, readonly [field: string, cause: (n: number) => Promise<string>]>> = {
  messages: ['messages(topic: "cut.>"', (n) => publish(`cut.${n % 3}`, n)],
  stateChanged: ['stateChanged(prefix: "cut/"', (n) => run('SetState', { key: `cut/${n % 3}`, value: n })],
  serviceChanged: ['serviceChanged(name: "cut"', (n) => run('UpdateService', { id: 'cut', tags: [`t${n}`] })],
  events: ['events(category: "service"', (n) => run('UpdateService', { id: 'cut', weight: n + 1 })],
};

/** Positions of results behind one another; ending the iteration cuts the connection, without a word before. */
const transports: Readonly<Record<string, (query: string) => AsyncGenerator<string>>> = {
  async *'server-sent events'(query) {
    const cut = new AbortController();
    try {
      for await (const { data } of eventsOf(await stream(query, cut.signal)))
        yield positionOf(JSON.parse(data));
    } finally {
      cut.abort();
    }
  },
  async *'graphql-transport-ws'(query) {
    const ws = await openWs(hub.url, { path: '/graphql', protocols: ['graphql-transport-ws'] });
    try {
      ws.send({ type: 'connection_init' });
      await ws.waitForType('connection_ack');
      ws.send({ type: 'subscribe', id: '1', payload: { query } });
      for (;;) yield positionOf((await ws.waitForType('next')).payload);
    } finally {
      ws.socket.terminate();
    }
  },
};

const positionOf = (result: unknown): string =>
  /"position":"([0-9a-f]+)"/.exec(JSON.stringify(result))?.[1] ?? 'none';

test.serial(
  'a subscription that is cut › goes on behind its last position, without gap or repetition',
  async (t) => {
    await run('RegisterService', { id: 'cut', name: 'cut', version: '1.0.0', host: '127.0.0.1', port: 9 });
    let n = 0;
    for (const [transport, open] of Object.entries(transports)) {
      for (const [name, [field, cause]] of Object.entries(resumable)) {
        const take = async (after: string, count: number, meanwhile: () => Promise<unknown>) => {
          const taken: string[] = [];
          const rest = field.startsWith('serviceChanged') ? 'change' : '__typename';
          const items = open(`subscription { ${field}, after: "${after}") { ${rest} position } }`);
          const caused = meanwhile();
          for await (const position of items) if (taken.push(position) === count) break;
          await caused;
          return taken;
        };
        const caused: string[] = [];
        const three = async () => {
          for (let more = 0; more < 3; more++) caused.push(await cause(n++));
        };
        const mark = await publish('mark', n);
        const before = await take(mark, 3, three);
        await three();
        const behind = await take(before.at(-1) ?? '', 6, three);
        t.deepEqual([...before, ...behind], caused, `${name} by ${transport}`);
      }
    }
  },
);

test('a subscription of an idle topic › ends when the client completes it, and leaves no watcher behind', async (t) => {
  const own = await openHub();
  const before = watchersOf(own);
  const client = clientOf(own);
  const idle = client.iterate({ query: 'subscription { messages(topic: "gs.idle") { position } }' });
  const pending = idle.next();
  const ws = await openWs(own.url);
  while (watchersOf(own) === before) await ws.ask({ type: 'ping' });
  await idle.return?.();
  t.true((await pending).done);
  await client.dispose();
  while (watchersOf(own) > before) await ws.ask({ type: 'ping' });
  t.is(watchersOf(own), before);
  await ws.close();
  await own.close();
});

const watchersOf = ({ core }: Hub): number => {
  if (!('parts' in core)) throw new Error('no parts');
  const { hub: watched } = core.parts as { readonly hub: { stats(): { readonly watchers: number } } };
  return watched.stats().watchers;
};

test('the token › comes in the header or in connection_init, and without one the socket closes with 4401', async (t) => {
  const token = signToken('alice', 'events:read:gs.>');
  const client = clientOf(guarded, { token });
  const [scoped] = await take(client, 'subscription { messages(topic: ">") { position } }', 1);
  t.like(scoped?.errors?.[0]?.extensions, { code: 'forbidden' });
  await client.dispose();

  const open = (headers: Readonly<Record<string, string>>) =>
    openWs(guarded.url, { path: '/graphql', protocols: ['graphql-transport-ws'], headers });
  const byHeader = await open({ authorization: `Bearer ${token}` });
  byHeader.send({ type: 'connection_init' });
  await byHeader.waitForType('connection_ack');
  await byHeader.close();
  for (const payload of [undefined, {}, { token: 'nonsense' }, { token: 7 }]) {
    const ws = await open({});
    ws.send({ type: 'connection_init', payload });
    t.is((await ws.closed).code, 4401);
  }
  const early = await open({});
  early.send({ type: 'subscribe', id: '1', payload: { query: '{ health { status } }' } });
  t.is((await early.closed).code, 4401);
  const expiring = await open({});
  expiring.send({ type: 'connection_init', payload: { token: signToken('bob', 'admin', -27) } });
  await expiring.waitForType('connection_ack');
  t.is((await expiring.closed).code, 4401);
});

test('what is no message of the protocol › closes the socket with its code, and the hub goes on', async (t) => {
  const open = (protocols = ['graphql-transport-ws']) => openWs(hub.url, { path: '/graphql', protocols });
  const other = await openWs(hub.url, { path: '/graphql', protocols: [] });
  t.is((await other.closed).code, 4406);
  for (const frame of [
    'nonsense',
    '[]',
    '{"type":"what"}',
    '{"type":"subscribe","id":1}',
    Buffer.from('{}'),
    `{"type":"ping","payload":{"__proto__":1}}`,
    JSON.stringify({ type: 'subscribe', id: 'x'.repeat(200), payload: { query: '{' } }),
  ]) {
    const ws = await open();
    ws.send(frame);
    t.is((await ws.closed).code, 4400, String(frame).slice(0, 40));
  }
  const twice = await open();
  twice.send({ type: 'connection_init' });
  twice.send({ type: 'connection_init' });
  t.is((await twice.closed).code, 4429);
  t.deepEqual(hub.logged, []);
});

const stream = (query: string, signal: AbortSignal, method = 'POST', { url } = hub): Promise<Response> =>
  method === 'POST'
    ? fetch(`${url}/graphql`, {
        method,
        signal,
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        body: JSON.stringify({ query }),
      })
    : fetch(`${url}/graphql?${new URLSearchParams({ query })}`, {
        signal,
        headers: { accept: 'text/event-stream' },
      });

test('server-sent events › carry subscriptions by POST and by GET, and end when the client goes', async (t) => {
  const own = await openHub();
  await own.core.execute({ type: 'PublishMessage', data: { topic: 'gs.sse', payload: 1 } }, context);
  const before = watchersOf(own);
  for (const method of ['POST', 'GET']) {
    const controller = new AbortController();
    const document = 'subscription { messages(topic: "gs.sse", after: "start") { payload } }';
    const response = await stream(document, controller.signal, method, own);
    t.is(response.status, 200);
    t.regex(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    for await (const { event, data } of eventsOf(response)) {
      t.is(event, 'next');
      t.deepEqual(JSON.parse(data), { data: { messages: { payload: 1 } } });
      break;
    }
    controller.abort();
  }
  const ws = await openWs(own.url);
  while (watchersOf(own) > before) await ws.ask({ type: 'ping' });
  t.is(watchersOf(own), before);
  await ws.close();
  await own.close();
});

test('server-sent events › carry a query as one result, and a refusal with its code, then complete', async (t) => {
  const all = async (query: string): Promise<readonly unknown[]> => {
    const events: unknown[] = [];
    const { signal } = new AbortController();
    for await (const { event, data } of eventsOf(await stream(query, signal))) {
      events.push(event === 'complete' ? 'complete' : JSON.parse(data));
    }
    return events;
  };
  t.deepEqual(await all('{ health { status } }'), [{ data: { health: { status: 'ok' } } }, 'complete']);
  t.like(await all('subscription { messages(topic: "a..b") { position } }'), {
    0: { errors: [{ extensions: { code: 'invalid' } }] },
    1: 'complete',
  });
});

test('a subscription › needs a transport that can carry it', async (t) => {
  const response = await fetch(`${hub.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: 'subscription { messages(topic: "a") { position } }' }),
  });
  t.is(response.status, 406);
  await response.text();
});

test('a reader of server-sent events that is slow › gets everything in order', async (t) => {
  const total = 5_000;
  const controller = new AbortController();
  const pad = 'x'.repeat(2_000);
  const after = await publish('gs.mark', 1);
  const response = await stream(
    `subscription { messages(topic: "gs.slow", after: "${after}") { payload } }`,
    controller.signal,
  );
  for (let from = 0; from < total; from += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, index) => publish('gs.slow', { n: from + index, pad })),
    );
  }
  let next = 0;
  for await (const { data } of eventsOf(response)) {
    const { data: result } = JSON.parse(data) as {
      readonly data: { readonly messages: { readonly payload: { readonly n: number } } };
    };
    t.is(result.messages.payload.n, next++);
    if (next === total) break;
  }
  controller.abort();
});

test('closing the hub › completes event streams and closes the sockets', async (t) => {
  const own = await openHub();
  const { signal } = new AbortController();
  const response = await fetch(`${own.url}/graphql`, {
    method: 'POST',
    signal,
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query: 'subscription { messages(topic: "a") { position } }' }),
  });
  const ws = await openWs(own.url, { path: '/graphql', protocols: ['graphql-transport-ws'] });
  ws.send({ type: 'connection_init' });
  await ws.waitForType('connection_ack');
  const events: string[] = [];
  const reading = (async () => {
    for await (const { event } of eventsOf(response)) events.push(event);
  })();
  await own.close();
  await reading;
  t.deepEqual(events, ['complete']);
  t.is((await ws.closed).code, 1001);
});
