import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import { attachTo } from '../support/attach.ts';
import { openHub } from '../support/hub.ts';
import { openWs } from '../support/ws-client.ts';

const hub = await openHub();
test.after.always(() => hub.close());

test('a frame of 1 MiB › is taken, and a larger one closes with 1009', async (t) => {
  const ws = await openWs(hub.url);
  const frame = (bytes: number): string =>
    JSON.stringify({ type: 'ping', id: 1, pad: '' }).replace('""', `"${'x'.repeat(bytes)}"`);
  const empty = frame(0).length;
  ws.send(frame(1_048_576 - empty));
  t.like(await ws.waitForType('pong'), { id: 1 });
  ws.send(frame(1_048_577 - empty));
  t.is((await ws.closed).code, 1009);
});

test('a message larger than the log takes › is refused as too_large, and the socket stays open', async (t) => {
  const ws = await openWs(hub.url);
  const answer = await ws.ask({ type: 'publish', topic: 'limits.large', payload: 'x'.repeat(1_010_000) });
  t.like(answer, { type: 'error', code: 'too_large' });
  t.like(await ws.ask({ type: 'ping' }), { type: 'pong' });
  await ws.close();
});

test('a flood of bad frames › closes with 4429, and a few do not', async (t) => {
  const ws = await openWs(hub.url);
  for (let index = 0; index < 50; index++) ws.send('not json');
  for (let index = 0; index < 50; index++) await ws.waitForType('error');
  t.like(await ws.ask({ type: 'ping' }), { type: 'pong' });
  for (let index = 0; index < 1_000; index++) ws.send('not json');
  t.is((await ws.closed).code, 4429);
});

test('a message in more than 64 fragments › closes the socket', async (t) => {
  const ws = await openWs(hub.url);
  for (let index = 0; index < 70; index++) ws.socket.send(' ', { fin: false });
  t.not((await ws.closed).code, 1000);
});

test('a text that is not UTF-8 › closes with 1007', async (t) => {
  const ws = await openWs(hub.url);
  ws.socket.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false });
  t.is((await ws.closed).code, 1007);
});

test('subscriptions › beyond the cap are refused, and an ended one makes room', async (t) => {
  const attached = await attachTo(hub, { maxSubscriptions: 2 });
  const ws = await openWs(attached.url);
  const { subscription } = await ws.ask({ type: 'subscribe', topic: 'a' });
  await ws.ask({ type: 'subscribe', topic: 'b' });
  t.like(await ws.ask({ type: 'subscribe', topic: 'c' }), { type: 'error', code: 'rate_limited' });
  await ws.ask({ type: 'unsubscribe', subscription });
  t.like(await ws.ask({ type: 'subscribe', topic: 'c' }), { type: 'subscribed' });
  await ws.close();
  await attached.close();
});

test('commands in flight › beyond the cap wait on the wire, and all are answered', async (t) => {
  const attached = await attachTo(hub, { maxInFlight: 4 });
  const ws = await openWs(attached.url);
  const count = 400;
  for (let id = 0; id < count; id++) ws.send({ type: 'publish', topic: 'limits.in-flight', payload: id, id });
  const answered = new Set<unknown>();
  for (let index = 0; index < count; index++) answered.add((await ws.waitForType('published')).id);
  t.is(answered.size, count);
  await ws.close();
  await attached.close();
});

test('frames › beyond the rate are taken later, none is dropped', async (t) => {
  const attached = await attachTo(hub, { framesPerSec: 100 });
  const ws = await openWs(attached.url);
  const began = process.hrtime.bigint();
  for (let id = 0; id < 150; id++) ws.send({ type: 'ping', id });
  for (let id = 0; id < 150; id++) t.is((await ws.waitForType('pong')).id, id);
  // 100 at once, and 50 more at 100 a second: no machine is faster than that.
  t.true(process.hrtime.bigint() - began >= 450_000_000n);
  await ws.close();
  await attached.close();
});

test('a silent peer › is dropped, and one that answers pings is not', async (t) => {
  const attached = await attachTo(hub, { pingEveryMs: 50 });
  const alive = await openWs(attached.url);
  const port = Number(new URL(attached.url).port);
  const silent = connect(port, '127.0.0.1');
  const head = [
    'GET /ws HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
  ];
  silent.write(`${head.join('\r\n')}\r\n\r\n`);
  silent.resume();
  silent.on('error', () => {});
  await once(silent, 'close');
  t.like(await alive.ask({ type: 'ping' }), { type: 'pong' });
  await alive.close();
  await attached.close();
});

test('closing the hub › answers what was taken, tells each client 1001 and takes no more', async (t) => {
  const own = await openHub();
  const ws = await openWs(own.url);
  await ws.ask({ type: 'subscribe', topic: '>' });
  const answer = ws.ask({ type: 'publish', topic: 'limits.close', payload: 1 });
  const message = ws.waitForType('message');
  await message;
  await own.close();
  t.like(await answer, { type: 'published' });
  t.is((await ws.closed).code, 1001);
  await t.throwsAsync(openWs(own.url));
});
