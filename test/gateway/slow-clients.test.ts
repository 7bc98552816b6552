import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { followConnections } from '../../src/gateway/limits/connections.ts';
import { createDepartures } from '../../src/gateway/limits/departures.ts';
import { openHub } from '../support/hub.ts';
import { until } from '../support/until.ts';
import { call } from './client.ts';

const timeouts = { headersMs: 300, answerMs: 300, checkEveryMs: 20 };
const hub = await openHub({ timeouts, maxConnections: 100 });
test.after.always(() => hub.close());

/** `once` would reject at the reset that comes before. */
const closedOf = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

const silent = (port: number): { readonly socket: Socket; readonly closed: Promise<string> } => {
  let received = '';
  const socket = connect(port, '127.0.0.1');
  socket.on('data', (chunk) => {
    received += chunk.toString();
  });
  socket.on('error', () => {});
  return { socket, closed: closedOf(socket).then(() => received) };
};

/** Resolves once the other side has cut a socket that is not read: a byte each moment finds it out. */
const cut = async (socket: Socket): Promise<void> => {
  socket.on('error', () => {});
  const dripping = setInterval(() => socket.write('\n'), 20);
  await closedOf(socket);
  clearInterval(dripping);
};

const large = 'x'.repeat(900_000);

test.serial(
  'connections that say nothing › are closed without a word, and others are served meanwhile',
  async (t) => {
    const all = Array.from({ length: 60 }, () => silent(hub.port));
    t.is((await call(hub.url, 'GET', '/health/live')).status, 200);
    t.deepEqual(new Set(await Promise.all(all.map(({ closed }) => closed))), new Set(['']));
    const half = silent(hub.port);
    half.socket.write('GET / HTTP/1.1\r\nHost:');
    t.regex(await half.closed, /^HTTP\/1\.1 408 /);
  },
);

test.serial('a newcomer › is served when all connections are taken by silent ones', async (t) => {
  const own = await openHub({ maxConnections: 10 });
  t.teardown(() => own.close());
  const all = Array.from({ length: 30 }, () => silent(own.port));
  for (let index = 0; index < 5; index++) {
    t.is((await call(own.url, 'GET', '/health/live', { headers: { connection: 'close' } })).status, 200);
  }
  await Promise.all(all.slice(0, 20).map(({ closed }) => closed));
  for (const { socket } of all) socket.destroy();
});

test.serial('with TLS › those that never shake hands make room too', async (t) => {
  const file = (name: string) => join(import.meta.dirname, 'fixtures', name);
  const own = await openHub({
    maxConnections: 5,
    tlsCert: file('first-cert.pem'),
    tlsKey: file('first-key.pem'),
    timeouts: { headersMs: 1_000, checkEveryMs: 20 },
  });
  t.teardown(() => own.close());
  const all = Array.from({ length: 12 }, () => silent(own.port));
  const get = httpsRequest(`${own.url}/health/live`, { rejectUnauthorized: false, agent: false }).end();
  const [answer] = await once(get, 'response');
  t.is(answer.statusCode, 200);
  answer.resume();
  await Promise.all(all.map(({ closed }) => closed));
});

test.serial('a client that never reads its answers › is cut, whatever it sends meanwhile', async (t) => {
  for (let index = 0; index < 16; index++) {
    await call(hub.url, 'PUT', `/state/large${index}`, { json: { value: large } });
  }
  const socket = connect(hub.port, '127.0.0.1');
  socket.pause();
  socket.write('GET /state?prefix=large HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(2));
  await cut(socket);
  t.is((await call(hub.url, 'GET', '/state/large1')).status, 200);
});

test.serial('a WebSocket that never reads › is cut, whatever it sends meanwhile', async (t) => {
  const socket = connect(hub.port, '127.0.0.1');
  const key = randomBytes(16).toString('base64');
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  await once(socket, 'data');
  // A frame with a mask of zeros is its own text.
  const send = (text: string): void => {
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]));
  };
  send('{"type":"subscribe","topic":"large"}');
  await once(socket, 'data');
  socket.pause();
  socket.on('error', () => {});
  const pinging = setInterval(() => send('{"type":"ping"}'), 20);
  const closed = closedOf(socket);
  for (let index = 0; index < 16; index++) {
    t.is((await call(hub.url, 'POST', '/events/large', { json: { payload: large } })).status, 201);
  }
  await closed;
  clearInterval(pinging);
});

test.serial(
  'one address › has no more connections than its share, and what it gives up can be had again',
  async (t) => {
    const server = createServer((_request, response) => response.end('served'));
    followConnections(server, false, { max: 100, maxPerAddress: 3, addressOf: () => 'one' });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    t.teardown(() => server.close());
    const held = [silent(port), silent(port), silent(port)];
    for (const { socket } of held) await once(socket, 'connect');
    t.is(await silent(port).closed, '');
    held[0]?.socket.destroy();
    await until(async () => {
      const next = silent(port);
      next.socket.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      return (await next.closed).endsWith('served');
    });
    for (const { socket } of held) socket.destroy();
  },
);

test('createDepartures › cuts a standstill and a crawl, and neither a slow stream nor who reads steadily', (t) => {
  let now = 0;
  const cuts: string[] = [];
  type Fake = {
    readonly name: string;
    writableLength: number;
    bytesWritten: number;
    _handle: { writeQueueSize: number };
  };
  const fake = (name: string, unread: number): Fake => ({
    name,
    writableLength: unread,
    bytesWritten: unread,
    _handle: { writeQueueSize: unread },
  });
  const sockets = {
    stuck: fake('stuck', 1_000),
    crawling: fake('crawling', 100_000),
    steady: fake('steady', 10_000_000),
    stream: fake('stream', 100_000),
  };
  const departures = createDepartures(
    { stallMs: 1_000, bytesPerSec: 100_000, maxUnreadBytes: 1e9 },
    (socket) => {
      const { name } = socket as unknown as Fake;
      cuts.push(`${name} ${now}`);
      sockets[name as keyof typeof sockets].writableLength = 0;
    },
    () => now,
  );
  const whole = { writableEnded: true } as ServerResponse;
  const begun = { writableEnded: false } as ServerResponse;
  for (; now <= 20_000; now += 100) {
    sockets.crawling._handle.writeQueueSize--;
    sockets.stream._handle.writeQueueSize--;
    sockets.steady._handle.writeQueueSize -= 60_000;
    if (now === 16_000) sockets.steady.writableLength = 0;
    departures.look(Object.values(sockets) as unknown as Socket[], (socket) =>
      (socket as unknown as Fake).name === 'stream' ? begun : whole,
    );
  }
  t.deepEqual(cuts, ['stuck 1000', 'crawling 2000']);
});

test('createDepartures › cuts those that are behind longest when all together have too much unread', (t) => {
  let now = 0;
  const cuts: number[] = [];
  const sockets = Array.from({ length: 5 }, (_, index) => ({ index, writableLength: 0, bytesWritten: 0 }));
  const departures = createDepartures(
    { stallMs: 1e9, bytesPerSec: 1, maxUnreadBytes: 250 },
    (socket) => {
      cuts.push((socket as unknown as { index: number }).index);
    },
    () => now,
  );
  for (const socket of sockets.toReversed()) {
    now++;
    socket.writableLength = 100;
    departures.look(
      sockets.filter(({ index }) => !cuts.includes(index)) as unknown as Socket[],
      () => undefined,
    );
  }
  t.deepEqual(cuts, [4, 3, 2]);
});
