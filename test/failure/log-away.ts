import type { ExecutionContext } from 'ava';
import { type EventStream, openEvents } from '../gateway/client.ts';
import { askGraphql } from '../support/graphql.ts';
import { type Answer, request, until } from '../support/rest.ts';
import { openWs, type WsClient } from '../support/ws-client.ts';

/** A remote log that a hub of the test uses. */
export type Remote = {
  stop(): Promise<void>;
  start(): Promise<void>;
};

const put = (url: string, key: string, value: unknown, headers = {}): Promise<Answer> =>
  request(url, 'PUT', `/state/${key}`, { body: { value }, headers });

const publish = (url: string, payload: unknown): Promise<Answer> =>
  request(url, 'POST', '/events/orders.eu', { body: { payload } });

const codeOf = (frame: Readonly<Record<string, unknown>>): unknown => frame.code;

/** What stands in the hub before its log goes away: `k` at version 2, a service, one message. */
export const fill = async (t: ExecutionContext, url: string): Promise<void> => {
  t.is((await put(url, 'k', 'one')).status, 201);
  t.is((await put(url, 'k', 'two')).status, 200);
  const service = { id: 'math-1', name: 'math', version: '1.0.0', host: '127.0.0.1', port: 9 };
  t.is((await request(url, 'POST', '/services', { body: service })).status, 201);
  t.is((await publish(url, 1)).status, 201);
};

/** Watchers of both kinds, which have seen what `fill` published. */
export const openWatchers = async (t: ExecutionContext, url: string) => {
  const tail = await openEvents(`${url}/events?topic=orders.>&after=start`);
  const socket = await openWs(url);
  t.teardown(async () => {
    tail.close();
    await socket.close();
  });
  socket.send({ type: 'subscribe', topic: 'orders.>', after: 'start', subscription: 'orders' });
  socket.send({ type: 'watch', key: 'k', after: 'start', subscription: 'k' });
  await socket.waitForType('subscribed');
  await socket.waitForType('watching');
  return { tail, socket };
};

export type Watchers = { readonly tail: EventStream; readonly socket: WsClient };

const payloadsOf = async (count: number, next: () => Promise<unknown>): Promise<unknown[]> => {
  const payloads: unknown[] = [];
  while (payloads.length < count) payloads.push(await next());
  return payloads;
};

/** That both watchers see the messages 1 to `last`, and the versions 1 to `version` of `k`, once and in order. */
export const seesAll = async (
  t: ExecutionContext,
  { tail, socket }: Watchers,
  last: number,
  version: number,
): Promise<void> => {
  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  const fromTail = await payloadsOf(last, async () => {
    for (;;) {
      const event = await tail.next();
      if (event === undefined) return 'the tail ended';
      if (event.event === 'message') return JSON.parse(event.data).payload;
      if (event.event === 'gap') return 'a gap';
    }
  });
  t.deepEqual(fromTail, numbers(last), 'the tail: all, in order, once');
  const fromSocket = await payloadsOf(last, async () => (await socket.waitForType('message')).payload);
  t.deepEqual(fromSocket, numbers(last), 'the subscription: all, in order, once');
  const versions = await payloadsOf(version, async () => (await socket.waitForType('state')).version);
  t.deepEqual(versions, numbers(version), 'the watch: each version once');
};

/** That no write is taken, and that none is refused on a guess: what the hub cannot know is not a conflict. */
export const refusesWrites = async (t: ExecutionContext, url: string): Promise<void> => {
  const service = { id: 'math-2', name: 'math', version: '1.0.0', host: '127.0.0.1', port: 9 };
  const writes: readonly (readonly [string, string, object | undefined, Record<string, string>?])[] = [
    ['PUT', '/state/k', { value: 'three' }],
    ['PUT', '/state/k', { value: 'three' }, { 'if-match': '"2"' }],
    ['PUT', '/state/k', { value: 'three' }, { 'if-match': '"1"' }],
    ['PUT', '/state/k', { value: 'three' }, { 'if-none-match': '*' }],
    ['PUT', '/state/k', { value: 'three', expectedVersion: 17 }],
    ['DELETE', '/state/k', undefined],
    ['DELETE', '/state/k', undefined, { 'if-match': '"1"' }],
    ['DELETE', '/state/unknown', undefined],
    ['POST', '/events/orders.eu', { payload: 'lost' }],
    ['POST', '/services', service],
    ['DELETE', '/services/math-1', undefined],
    ['DELETE', '/services/unknown', undefined],
    ['POST', '/commands', { type: 'SetState', data: { key: 'k', value: 'three' }, expectedRevision: 7 }],
    ['POST', '/commands', { type: 'PublishMessage', data: { topic: 'orders.eu', payload: 'lost' } }],
  ];
  const refused = async ([method, path, body, headers = {}]: (typeof writes)[number]): Promise<void> => {
    const answer = await request(url, method, path, body === undefined ? { headers } : { body, headers });
    const what = `${method} ${path} ${JSON.stringify(body)} ${JSON.stringify(headers)}`;
    t.is(answer.status, 503, what);
    t.is(answer.body.code, 'log_unavailable', what);
    t.regex(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/, what);
  };
  await Promise.all(writes.map(refused));

  const documents = [
    'mutation { setState(key: "k", value: "three", expectedVersion: 1) { version } }',
    'mutation { deleteState(key: "k") { key } }',
    'mutation { publishEvent(topic: "orders.eu", payload: "\\"lost\\"") { messageId } }',
  ];
  for (const document of documents) {
    const { errors } = await askGraphql({ url }, document);
    t.deepEqual(
      errors.map(({ extensions }) => extensions.code),
      ['log_unavailable'],
      document,
    );
  }

  const socket = await openWs(url);
  const published = await socket.ask({ type: 'publish', topic: 'orders.eu', payload: 'lost' });
  t.like(published, { type: 'error', code: 'log_unavailable' });
  const commanded = await socket.ask({
    type: 'command',
    command: { type: 'SetState', data: { key: 'k', value: 'three', expectedVersion: 1 } },
  });
  t.is(codeOf(commanded), 'log_unavailable', JSON.stringify(commanded));
  await socket.close();
};

/** That what `fill` wrote is read from the read models, and /health tells what there is. */
export const servesReads = async (t: ExecutionContext, url: string): Promise<void> => {
  const get = (path: string) => request(url, 'GET', path);
  t.like((await get('/state/k')).body, { key: 'k', value: 'two', version: 2 });
  t.like((await get('/state?prefix=k')).body, { entries: [{ key: 'k', value: 'two', version: 2 }] });
  t.like((await get('/state/k/history')).body, { history: [{ version: 2 }, { version: 1 }] });
  t.like((await get('/state/k?version=1')).body, { value: 'one' });
  t.like((await get('/services?name=math')).body, { services: [{ id: 'math-1', status: 'healthy' }] });
  t.like((await get('/services/math-1')).body, { id: 'math-1' });
  const { data } = await askGraphql({ url }, '{ services { id } state(key: "k") { value version } }');
  t.deepEqual(data, { services: [{ id: 'math-1' }], state: { value: 'two', version: 2 } });

  for (const path of ['/log', '/events?topic=orders.eu', '/streams/state-k']) {
    const answer = await get(path);
    t.is(answer.status, 503, `${path} is read from the log, and is not empty`);
    t.is(answer.body.code, 'log_unavailable', path);
  }
  const health = await get('/health');
  t.is(health.status, 200);
  t.like(health.body, { status: 'degraded', log: { reachable: false, position: null } });
  t.is((await get('/health/live')).status, 200);
  t.is((await get('/health/ready')).status, 200);
};

/** That the hub writes again by itself, on what stood there before. */
export const writesAgain = async (t: ExecutionContext, url: string): Promise<void> => {
  const answer = await until(
    () => put(url, 'k', 'three', { 'if-match': '"2"' }),
    ({ status }) => status !== 503,
  );
  t.is(answer.status, 200, JSON.stringify(answer.body));
  t.is(answer.body.version, 3, 'nothing that was refused has been written');
  t.is((await put(url, 'k', 'late', { 'if-match': '"2"' })).status, 412, 'what is known is refused again');
  for (const payload of [2, 3]) t.is((await publish(url, payload)).status, 201);
  const healthy = await until(
    () => request(url, 'GET', '/health'),
    ({ body }) => body.status === 'ok',
  );
  t.like(healthy.body, { log: { reachable: true } });
};

/** The whole course: a hub that has been filled and is watched loses its log, and gets it back. */
export const losesItsLog = async (t: ExecutionContext, url: string, remote: Remote): Promise<void> => {
  await fill(t, url);
  const watchers = await openWatchers(t, url);
  await remote.stop();
  await refusesWrites(t, url);
  await servesReads(t, url);
  await remote.start();
  await writesAgain(t, url);
  await seesAll(t, watchers, 3, 3);
};
