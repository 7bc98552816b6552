import { once } from 'node:events';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { WebSocket, WebSocketServer } from 'ws';
import { freePort, listen } from '../registry/support.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { bearer, openProxyHub, register, serve } from './proxy-world.ts';

let hub: Hub;
test.before(async () => {
  hub = await openProxyHub();
});
test.after.always(() => hub.close());

/** So long a token is taken behind its end. */
const leewaySec = 30;

type Echo = { readonly seen: [string | undefined, IncomingHttpHeaders][]; readonly sockets: WebSocket[] };

/** An instance that says everything back. */
const serveEcho = async (t: ExecutionContext, on: Hub, name: string): Promise<Echo> => {
  const server = await listen((_request, response) => response.writeHead(426).end('no'));
  const sockets: WebSocket[] = [];
  const seen: Echo['seen'] = [];
  const accept = new WebSocketServer({ server: server.server });
  accept.on('connection', (socket, request) => {
    seen.push([request.url, request.headers]);
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  t.teardown(async () => {
    for (const socket of sockets) socket.terminate();
    await server.close();
  });
  await register(on, name, { id: `${name}-0`, host: '127.0.0.1', port: server.port });
  return { seen, sockets };
};

const connect = (
  on: Hub,
  path: string,
  protocols: string[] = [],
  headers: Record<string, string> = bearer(),
): WebSocket => new WebSocket(`ws://127.0.0.1:${on.port}${path}`, protocols, { headers });

/** The answer in place of a WebSocket. */
const refusalOf = async (
  socket: WebSocket,
): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> => {
  socket.on('error', () => {});
  const [, response]: unknown[] = await once(socket, 'unexpected-response');
  const answer = response as IncomingMessage;
  let text = '';
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode ?? 0, headers: answer.headers, text };
};

test('a WebSocket goes through to the instance, messages both ways, and the token stays at the hub', async (t) => {
  const { seen } = await serveEcho(t, hub, 'echo');
  const socket = connect(
    hub,
    '/proxy/echo/a%2F..%2Fb//c?d=%20',
    ['chat', `bearer.${signToken('ada', 'services:invoke:*')}`],
    {
      cookie: 'a=1',
      'x-forwarded-host': 'evil.example',
    },
  );
  const [answer]: unknown[] = await once(socket, 'upgrade');
  t.is((answer as IncomingMessage).headers['x-nexus-instance'], 'echo-0');
  if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open');
  t.is(socket.protocol, 'chat');
  for (const message of ['one', 'x'.repeat(3_000_000)]) {
    socket.send(message);
    const [data]: unknown[] = await once(socket, 'message');
    t.is(String(data), message);
  }
  const [url, headers] = seen[0] ?? [];
  t.is(url, '/a%2F..%2Fb//c?d=%20');
  t.like(headers, {
    'sec-websocket-protocol': 'chat',
    'x-nexus-subject': 'ada',
    'x-nexus-instance': 'echo-0',
    'x-forwarded-host': `127.0.0.1:${hub.port}`,
  });
  t.is(headers?.cookie, undefined);
  t.is(headers?.authorization, undefined);
  socket.close(4000, 'done');
  t.is((await once(socket, 'close'))[0], 4000);
});

test('who may not is refused before anything reaches the instance', async (t) => {
  const { seen } = await serveEcho(t, hub, 'guarded');
  t.is((await refusalOf(connect(hub, '/proxy/guarded/', [], {}))).status, 401);
  t.is(
    (await refusalOf(connect(hub, '/proxy/guarded/', [], bearer('ada', 'services:invoke:x')))).status,
    403,
  );
  t.is((await refusalOf(connect(hub, '/proxy/nobody/'))).status, 404);
  const foreign = { ...bearer(), origin: 'https://evil.example' };
  t.is((await refusalOf(connect(hub, '/proxy/guarded/', [], foreign))).status, 403);
  t.is(
    (await refusalOf(connect(hub, '/proxy/guarded/', [], { ...bearer(), 'x-nexus-strategy': 'best' })))
      .status,
    422,
  );
  t.is(seen.length, 0);
});

test('an answer that is no WebSocket is passed on, and one that does not come is 502', async (t) => {
  await serve(t, hub, 'plain', () => {});
  const [server] = await serve(t, hub, 'declines', () => {});
  server?.server.on('upgrade', (_request, socket) => {
    socket.end('HTTP/1.1 403 Forbidden\r\nX-Own: 1\r\nSet-Cookie: a=1\r\nContent-Length: 4\r\n\r\nnope');
  });
  const declined = await refusalOf(connect(hub, '/proxy/declines/'));
  t.like(declined, {
    status: 403,
    text: 'nope',
    headers: { 'x-own': '1', 'content-security-policy': 'sandbox' },
  });
  t.is(declined.headers['set-cookie'], undefined);
  await register(hub, 'ws-dead', { id: 'ws-dead', host: '127.0.0.1', port: await freePort() });
  t.is((await refusalOf(connect(hub, '/proxy/ws-dead/'))).status, 502);
});

test('an end on one side ends the other', async (t) => {
  const { sockets } = await serveEcho(t, hub, 'ends');
  const first = connect(hub, '/proxy/ends/');
  await once(first, 'open');
  const ended = once(first, 'close');
  sockets[0]?.terminate();
  t.is((await ended)[0], 1006);
  const second = connect(hub, '/proxy/ends/');
  await once(second, 'open');
  const gone = once(sockets[1] ?? second, 'close');
  second.terminate();
  await gone;
});

test('a WebSocket ends with its token', async (t) => {
  await serveEcho(t, hub, 'expires');
  const token = signToken('ada', 'services:invoke:*', 2 - leewaySec);
  const socket = connect(hub, '/proxy/expires/', [], { authorization: `Bearer ${token}` });
  await once(socket, 'open');
  t.is((await once(socket, 'close'))[0], 1006);
});

test('a hub that shuts down ends the WebSockets that go through it', async (t) => {
  const other = await openHub({ jwtSecret, allowedTargets: ['127.0.0.0/8'] });
  await serveEcho(t, other, 'drained');
  const socket = connect(other, '/proxy/drained/');
  await once(socket, 'open');
  const ended = once(socket, 'close');
  await other.close();
  t.is((await ended)[0], 1006);
});
