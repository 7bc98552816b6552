import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import { attachTo } from '../support/attach.ts';
import { openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs, refusedWs, type WsClient } from '../support/ws-client.ts';

const open = await openHub();
const guarded = await openHub({ jwtSecret, corsOrigins: ['https://console.example'] });
test.after.always(async () => {
  await open.close();
  await guarded.close();
});

test('upgrade › at a path without sockets is 404, as a problem', async (t) => {
  for (const path of ['/', '/wss', '/ws/', '/services', '//ws']) {
    const { status, body } = await refusedWs(open.url, { path });
    t.is(status, 404, path);
    t.is(body.code, 'not_found');
  }
});

test('upgrade › in protected mode a foreign Origin, Host or forwarded request is 403', async (t) => {
  for (const headers of [
    { origin: 'https://evil.example' },
    { host: 'evil.example' },
    { 'x-forwarded-for': '127.0.0.1' },
  ]) {
    for (const path of ['/ws', '/graphql']) {
      const { status, body } = await refusedWs(open.url, { path, headers });
      t.is(status, 403);
      t.is(body.code, 'protected_mode');
    }
  }
  const ws = await openWs(open.url, { headers: { origin: 'http://localhost:3000' } });
  t.like(await ws.ask({ type: 'ping' }), { type: 'pong' });
  await ws.close();
});

test('upgrade › with authentication on, no token or a bad one is 401 with a challenge', async (t) => {
  const expired = signToken('a', 'admin', -3_600);
  for (const headers of [
    {},
    { authorization: 'Bearer nonsense' },
    { authorization: `Bearer ${expired}` },
    { authorization: 'Basic eDp5' },
  ]) {
    const refused = await refusedWs(guarded.url, { headers });
    t.is(refused.status, 401);
    t.is(refused.body.code, 'unauthorized');
    t.true(refused.headers['www-authenticate']?.startsWith('Bearer'));
  }
  t.is((await refusedWs(guarded.url, { protocols: ['nexus.v1', 'bearer.nonsense'] })).status, 401);
  t.is((await refusedWs(guarded.url, { path: `/ws?token=${signToken('a', 'admin')}` })).status, 401);
});

test('upgrade › takes the token from the header, or from a subprotocol that is never told back', async (t) => {
  const token = signToken('alice', 'events:publish:up.> events:read:up.>');
  const byHeader = await openWs(guarded.url, { headers: { authorization: `Bearer ${token}` } });
  const byProtocol = await openWs(guarded.url, { protocols: [`bearer.${token}`, 'nexus.v1'] });
  t.is(byHeader.protocol, 'nexus.v1');
  t.is(byProtocol.protocol, 'nexus.v1');
  await byHeader.ask({ type: 'subscribe', topic: 'up.a' });
  t.like(await byProtocol.ask({ type: 'publish', topic: 'up.a', payload: 1 }), { type: 'published' });
  t.like(await byHeader.waitForType('message'), { publisher: 'alice' });
  await Promise.all([byHeader.close(), byProtocol.close()]);
});

test('upgrade › with authentication on a foreign Origin is 403 though the token is good, one of corsOrigins is not', async (t) => {
  const authorization = `Bearer ${signToken('a', 'admin')}`;
  const refused = await refusedWs(guarded.url, {
    headers: { authorization, origin: 'https://evil.example' },
  });
  t.is(refused.status, 403);
  const ws = await openWs(guarded.url, { headers: { authorization, origin: 'https://console.example' } });
  t.like(await ws.ask({ type: 'ping' }), { type: 'pong' });
  await ws.close();
});

test('upgrade › a request for another protocol, or a broken handshake, is refused and the socket closed', async (t) => {
  for (const lines of [
    // Answered as any request is (RFC 9110, section 7.8), so that it says itself that the connection ends.
    ['GET /ws HTTP/1.1', 'Host: localhost', 'Connection: Upgrade, close', 'Upgrade: h2c'],
    ['GET /ws HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket'],
    [
      'POST /ws HTTP/1.1',
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Key: x',
    ],
  ]) {
    const socket = connect(open.port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    await once(socket, 'close');
    t.regex(answer, /^HTTP\/1\.1 4\d\d /);
  }
});

test('frames › are authorised one by one, and the refusal names the scope', async (t) => {
  const token = signToken('reader', 'events:read:orders.* state:read:app/*');
  const ws = await openWs(guarded.url, { headers: { authorization: `Bearer ${token}` } });
  t.like(await ws.ask({ type: 'subscribe', topic: 'orders.*' }), { type: 'subscribed' });
  t.like(await ws.ask({ type: 'watch', prefix: 'app/' }), { type: 'watching' });
  for (const frame of [
    { type: 'subscribe', topic: 'orders.>' },
    { type: 'subscribe', topic: '>' },
    { type: 'watch', prefix: '' },
    { type: 'watch', key: 'other' },
    { type: 'tail', all: true },
    { type: 'watchServices' },
    { type: 'publish', topic: 'orders.a', payload: 1 },
    { type: 'command', command: { type: 'SetState', data: { key: 'app/a', value: 1 } } },
  ]) {
    const answer = await ws.ask(frame);
    t.like(answer, { type: 'error', code: 'forbidden' }, JSON.stringify(frame));
    t.is(typeof answer.scope, 'string');
  }
  await ws.close();
});

test('auth › renews the token of its own subject, and ends what the new one may no longer read', async (t) => {
  const both = signToken('carol', 'events:read:a events:read:b events:publish:>');
  const one = signToken('carol', 'events:read:a events:publish:>');
  const ws = await openWs(guarded.url, { headers: { authorization: `Bearer ${both}` } });
  const a = await ws.ask({ type: 'subscribe', topic: 'a' });
  const b = await ws.ask({ type: 'subscribe', topic: 'b' });
  t.like(await ws.ask({ type: 'auth', token: signToken('mallory', 'admin') }), {
    type: 'error',
    code: 'forbidden',
  });
  t.like(await ws.ask({ type: 'auth', token: 'nonsense' }), { type: 'error', code: 'unauthorized' });
  t.like(await ws.ask({ type: 'auth', token: one }), { type: 'authenticated' });
  t.like(await ws.waitForType('error'), { subscription: b.subscription as string, code: 'forbidden' });
  await ws.ask({ type: 'publish', topic: 'b', payload: 1 });
  await ws.ask({ type: 'publish', topic: 'a', payload: 2 });
  t.like(await ws.waitForType('message'), { subscription: a.subscription as string, payload: 2 });
  await ws.close();
});

test('a token that expires › closes the socket with 4401, and one renewed in time does not', async (t) => {
  // The hub's leeway of 30 s is part of expiresAt: these expire some 3 s from now.
  const authorization = `Bearer ${signToken('dave', 'admin', -27)}`;
  const lost = await openWs(guarded.url, { headers: { authorization } });
  const kept = await openWs(guarded.url, { headers: { authorization } });
  t.like(await kept.ask({ type: 'auth', token: signToken('dave', 'admin') }), { type: 'authenticated' });
  t.is((await lost.closed).code, 4401);
  t.like(await kept.ask({ type: 'ping' }), { type: 'pong' });
  await kept.close();
});

test('connections › beyond the cap are refused, and those that closed make room', async (t) => {
  const attached = await attachTo(open, { maxConnectionsPerAddress: 2 });
  const first = await openWs(attached.url);
  const second = await openWs(attached.url);
  t.is((await refusedWs(attached.url)).status, 429);
  await first.close();
  const third = await openOnceThereIsRoom(attached.url);
  t.like(await third.ask({ type: 'ping' }), { type: 'pong' });
  await Promise.all([second.close(), third.close()]);
  await attached.close();

  const full = await attachTo(open, { maxConnections: 1 });
  const only = await openWs(full.url);
  t.is((await refusedWs(full.url)).status, 503);
  await only.close();
  await full.close();
});

/** The server counts a socket out a moment after its client knows that it closed. */
const openOnceThereIsRoom = async (url: string): Promise<WsClient> => {
  for (;;) {
    const ws = await openWs(url).catch(() => undefined);
    if (ws !== undefined) return ws;
  }
};
