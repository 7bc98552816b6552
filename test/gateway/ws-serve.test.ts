import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { request, until } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { type Frame, openWs, type WsClient } from '../support/ws-client.ts';

const registered = (hub: Hub, id: string, more: object = {}, headers: Record<string, string> = {}) =>
  request(hub.url, 'POST', '/services', {
    body: { id, name: 'svc', version: '1.0.0', reach: 'socket', ...more },
    headers,
  });
const invoke = (hub: Hub, body: object, signal?: AbortSignal) =>
  request(hub.url, 'POST', '/services/svc/invoke', { body, ...(signal === undefined ? {} : { signal }) });
const view = async (hub: Hub, id: string) => (await request(hub.url, 'GET', `/services/${id}`)).body;

const serving = async (t: ExecutionContext, hub: Hub, id = 'one', more: object = {}): Promise<WsClient> => {
  const client = await openWs(hub.url);
  t.like(await client.ask({ type: 'serve', service: id, ...more }), { type: 'serving', service: id });
  return client;
};
const call = (client: WsClient): Promise<Frame> => client.waitForType('call');

test('an instance without an address is starting until its socket serves it, and then called over it', async (t) => {
  const hub = await openHub();
  t.like((await registered(hub, 'one')).body, { service: { status: 'starting', reach: 'socket' } });
  t.like(await invoke(hub, { method: 'add' }), { status: 503, body: { code: 'no_healthy_instance' } });
  const client = await serving(t, hub);
  t.like(await view(hub, 'one'), { status: 'healthy', statusCause: 'socket' });
  const headers = {
    'x-correlation-id': 'c-1',
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    tracestate: 'vendor=1',
  };
  const answer = request(hub.url, 'POST', '/services/svc/invoke', {
    body: { method: 'math/add', data: { a: [1, 'ü'] }, timeoutMs: 20_000 },
    headers,
  });
  const frame = await call(client);
  t.like(frame, {
    call: 1,
    service: 'one',
    method: 'math/add',
    data: { a: [1, 'ü'] },
    correlationId: 'c-1',
    tracestate: 'vendor=1',
  });
  // Of the same trace, under an id of the hub's own.
  t.regex(String(frame.traceparent), new RegExp(`^00-${'a'.repeat(32)}-(?!b{16})[0-9a-f]{16}-01$`));
  t.true(Number(frame.timeoutMs) > 0 && Number(frame.timeoutMs) <= 20_000);
  client.send({ type: 'callResult', call: frame.call, result: { sum: 3 } });
  t.like(await answer, { status: 200, body: { result: { sum: 3 }, instance: 'one', attempts: 1 } });
  await client.close();
  await hub.close();
});

test('what a service says of a call that failed is told to its caller, and its health is as before', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub);
  const answer = invoke(hub, { method: 'add' });
  const error = { code: 'no_money', message: 'the account is empty', data: { missing: 3 } };
  client.send({ type: 'callFailed', call: (await call(client)).call, error });
  t.like(await answer, { status: 502, body: { code: 'upstream_failed', body: error, instance: 'one' } });
  t.like(await view(hub, 'one'), { status: 'healthy' });
  await client.close();
  await hub.close();
});

test('at most max calls are at a socket at a time, and the next comes when one was answered', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub, 'one', { max: 2 });
  const frames: Frame[] = [];
  client.onFrame((frame) => void frames.push(frame));
  const answers = Array.from({ length: 20 }, (_, index) => invoke(hub, { method: 'echo', data: index }));
  for (let done = 0; done < 20; done++) {
    while (frames.length <= done) await turn();
    t.true(frames.length - done <= 2);
    const frame = frames[done];
    client.send({ type: 'callResult', call: frame?.call, result: frame?.data });
  }
  t.deepEqual(
    (await Promise.all(answers)).map(({ body }) => body.result),
    Array.from({ length: 20 }, (_, index) => index),
  );
  await client.close();
  await hub.close();
});

test('a caller that goes away, or whose time is over, is told to the service; the answer is then late and no bad frame', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub);
  const gone = new AbortController();
  const given = invoke(hub, { method: 'slow' }, gone.signal);
  const first = await call(client);
  gone.abort();
  await t.throwsAsync(given);
  t.deepEqual(await client.waitForType('callCancelled'), { type: 'callCancelled', call: first.call });
  const late = invoke(hub, { method: 'slow', timeoutMs: 1_000 });
  const second = await call(client);
  t.like(await late, { status: 504, body: { code: 'upstream_timeout' } });
  t.like(await client.waitForType('callCancelled'), { call: second.call });
  for (let round = 0; round < 200; round++) {
    client.send({ type: 'callResult', call: first.call, result: 1 });
    t.like(await client.waitForType('error'), { code: 'stale_call', call: first.call });
  }
  t.like(await client.ask({ type: 'ping' }), { type: 'pong' });
  await client.close();
  await hub.close();
});

test('calls while the socket is away for a moment fail at once, and open no circuit against its return', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const first = await serving(t, hub);
  await first.close();
  await until(
    () => invoke(hub, { method: 'add', timeoutMs: 100 }),
    ({ status }) => status === 502,
  );
  for (let round = 0; round < 10; round++)
    t.like(await invoke(hub, { method: 'add' }), { status: 502, body: { code: 'upstream_failed' } });
  const client = await serving(t, hub);
  const answer = invoke(hub, { method: 'add' });
  const { call: number } = await call(client);
  client.send({ type: 'callResult', call: number, result: 1 });
  t.like(await answer, { status: 200 });
  t.like(await view(hub, 'one'), { status: 'healthy', circuit: null });
  await client.close();
  await hub.close();
});

test('a socket that closes breaks the calls that it was sent, and those that wait go to another instance', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub, 'one', { max: 1 });
  const sent = invoke(hub, { method: 'add' });
  await call(client);
  const waits = Array.from({ length: 3 }, () => invoke(hub, { method: 'add' }));
  await until(
    () => view(hub, 'one'),
    ({ inFlight }) => inFlight === 4,
  );
  await registered(hub, 'two');
  const other = await serving(t, hub, 'two');
  client.socket.terminate();
  t.like(await sent, { status: 502, body: { code: 'upstream_failed', instance: 'one' } });
  for (const waiting of waits) {
    const frame = await call(other);
    other.send({ type: 'callResult', call: frame.call });
    await waiting;
  }
  for (const waited of await Promise.all(waits)) t.like(waited.body, { instance: 'two', attempts: 2 });
  await other.close();
  await hub.close();
});

test('a newer socket takes over, and the older may still answer what it was sent', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const older = await serving(t, hub, 'one', { max: 1 });
  const first = invoke(hub, { method: 'a' });
  const asked = await call(older);
  const second = invoke(hub, { method: 'b' });
  await until(
    () => view(hub, 'one'),
    ({ inFlight }) => inFlight === 2,
  );
  const newer = await serving(t, hub);
  t.like(await older.waitForType('servingEnded'), { service: 'one', reason: 'a newer WebSocket serves it' });
  newer.send({ type: 'callResult', call: (await call(newer)).call, result: 'newer' });
  older.send({ type: 'callResult', call: asked.call, result: 'older' });
  t.like((await first).body, { result: 'older' });
  t.like((await second).body, { result: 'newer' });
  // That the older one goes changes nothing.
  await older.close();
  const third = invoke(hub, { method: 'c' });
  newer.send({ type: 'callResult', call: (await call(newer)).call, result: 'again' });
  t.like((await third).body, { result: 'again' });
  await newer.close();
  await hub.close();
});

test('a service stops to serve, is deregistered, gets an address: its socket is told each time', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub);
  t.like(await client.ask({ type: 'stopServing', service: 'one' }), { type: 'servingEnded', service: 'one' });
  t.like(await client.ask({ type: 'stopServing', service: 'one' }), { type: 'error', code: 'not_found' });
  // Within its 5 s it is still healthy, and the call was not sent; behind them it is offline.
  t.true([502, 503].includes((await invoke(hub, { method: 'add' })).status));
  t.like(await client.ask({ type: 'serve', service: 'one' }), { type: 'serving' });
  await request(hub.url, 'DELETE', '/services/one');
  t.like(await client.waitForType('servingEnded'), { service: 'one', reason: 'it was deregistered' });
  await registered(hub, 'one');
  t.like(await client.ask({ type: 'serve', service: 'one' }), { type: 'serving' });
  await registered(hub, 'one', { reach: 'direct', host: '127.0.0.1', port: 9 });
  t.like(await client.waitForType('servingEnded'), { reason: 'it is called at an address now' });
  t.like(await client.ask({ type: 'serve', service: 'one' }), { type: 'error', code: 'invalid' });
  await client.close();
  await hub.close();
});

test('only the owner of an id serves it, with the scope for it, for as long as its token has that', async (t) => {
  const hub = await openHub({ jwtSecret });
  const bearer = (subject: string, scope: string) => ({
    authorization: `Bearer ${signToken(subject, scope)}`,
  });
  const anna = bearer('anna', 'services:write');
  t.is((await registered(hub, 'one', {}, anna)).status, 201);
  const client = await openWs(hub.url, { headers: anna });
  t.like(await client.ask({ type: 'serve', service: 'one' }), { type: 'serving' });
  const bert = await openWs(hub.url, { headers: bearer('bert', 'services:write') });
  t.like(await bert.ask({ type: 'serve', service: 'one' }), { type: 'error', code: 'id_taken' });
  t.like(await bert.ask({ type: 'serve', service: 'two' }), { type: 'error', code: 'not_found' });
  const reader = await openWs(hub.url, { headers: bearer('anna', 'services:read') });
  t.like(await reader.ask({ type: 'serve', service: 'one' }), { code: 'forbidden', scope: 'services:write' });

  const answer = request(hub.url, 'POST', '/services/svc/invoke', {
    body: { method: 'add' },
    headers: bearer('carl', 'services:invoke:svc'),
  });
  const { call: number } = await call(client);
  t.like(await bert.ask({ type: 'callResult', call: number, result: 'mine' }), { code: 'not_found' });
  client.send({ type: 'callResult', call: number, result: 'real' });
  t.like((await answer).body, { result: 'real' });

  const token = signToken('anna', 'services:read');
  t.like(await client.ask({ type: 'auth', token }), { type: 'authenticated' });
  t.like(await client.waitForType('servingEnded'), { reason: 'the new token may not serve it' });
  for (const open of [client, bert, reader]) await open.close();
  await hub.close();
});

test('frames of a wrong shape are errors that name the place, and a flood of them closes the socket', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub);
  const cases: readonly (readonly [object, string])[] = [
    [{ type: 'serve' }, '/service'],
    [{ type: 'serve', service: '../etc' }, '/service'],
    [{ type: 'serve', service: 'one', max: 0 }, '/max'],
    [{ type: 'serve', service: 'one', max: 1_001 }, '/max'],
    [{ type: 'serve', service: 'one', port: 1 }, ''],
    [{ type: 'stopServing', service: 7 }, '/service'],
    [{ type: 'callResult' }, '/call'],
    [{ type: 'callResult', call: '1' }, '/call'],
    [{ type: 'callResult', call: -1 }, '/call'],
    [{ type: 'callFailed', call: 1 }, '/error'],
    [{ type: 'callFailed', call: 1, error: {} }, '/error/message'],
    [{ type: 'callFailed', call: 1, error: { message: 'x'.repeat(4_097) } }, '/error/message'],
    [{ type: 'callFailed', call: 1, error: { message: 'x', code: 1 } }, '/error/code'],
  ];
  for (const [frame, pointer] of cases)
    t.like(await client.ask(frame), { type: 'error', code: 'invalid', errors: { 0: { pointer } } });
  t.like(await client.ask({ type: 'callResult', call: 1, result: 1 }), { code: 'not_found' });
  for (let call = 1; call <= 120; call++) client.send({ type: 'callResult', call: 1_000_000 + call });
  t.like(await client.closed, { code: 4429 });
  t.deepEqual(
    hub.logged.filter(({ level }) => level === 'error'),
    [],
  );
  await hub.close();
});

test('a result over 1 MiB closes the socket, and the caller hears that it broke', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub);
  const answer = invoke(hub, { method: 'add' });
  const frame = await call(client);
  client.send({ type: 'callResult', call: frame.call, result: 'x'.repeat(1_048_576) });
  t.like(await client.closed, { code: 1009 });
  t.like(await answer, { status: 502, body: { code: 'upstream_failed' } });
  t.like(await request(hub.url, 'GET', '/health'), { status: 200 });
  await hub.close();
});

test('a service that does not read for a while gets every call once it does', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub, 'one', { max: 1_000 });
  client.socket.pause();
  const data = 'x'.repeat(900_000);
  const answers = Array.from({ length: 40 }, () => invoke(hub, { method: 'big', data, timeoutMs: 120_000 }));
  await until(
    () => view(hub, 'one'),
    ({ inFlight }) => inFlight === 40,
  );
  client.onFrame((frame) => client.send({ type: 'callResult', call: frame.call, result: 'ok' }));
  client.socket.resume();
  for (const { body } of await Promise.all(answers)) t.like(body, { result: 'ok' });
  await client.close();
  await hub.close();
});

test('at its shutdown the hub waits for the answers to what it has sent', async (t) => {
  const hub = await openHub();
  await registered(hub, 'one');
  const client = await serving(t, hub);
  const answer = invoke(hub, { method: 'add' });
  const frame = await call(client);
  const closed = hub.gateway.close();
  t.like(await client.waitForType('servingEnded'), { reason: 'the hub is shutting down' });
  client.send({ type: 'callResult', call: frame.call, result: 'still' });
  t.like((await answer).body, { result: 'still' });
  t.like(await client.closed, { code: 1001 });
  await closed;
  const after = await hub.core.service(
    'one',
    {},
    { subject: { id: 'x', scopes: ['admin'] }, correlationId: 'x' },
  );
  t.like(after, { value: { status: 'healthy' } });
  await hub.close();
});
