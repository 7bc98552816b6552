import { once } from 'node:events';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer } from 'node:net';
import test from 'ava';
import type { Json } from '../../domain/event.ts';
import { isJsonObject } from '../../domain/json.ts';
import { systemClock } from '../../src/clock.ts';
import { createPluginFetch, type PluginFetchOptions } from '../../src/plugin/capabilities/fetch.ts';
import { wishSchemas } from '../../src/plugin/capabilities/wishes.ts';
import type { WishAnswer } from '../../src/plugin/sandbox/sandbox.ts';
import { createTargets, type TargetsOptions } from '../../src/registry/target/targets.ts';
import { createTestClock, listen } from '../registry/support.ts';
import { codeOf } from './capabilities-support.ts';

// Which no request goes by.
process.env.HTTP_PROXY = 'http://127.0.0.1:1';

type Options = Partial<TargetsOptions> & Partial<Pick<PluginFetchOptions, 'clock' | 'limits'>>;

const open = ({ clock = systemClock, limits, ...targets }: Options = {}) => {
  const limited: string[] = [];
  const outgoing = createPluginFetch({
    targets: createTargets({ mode: 'authenticated', allowedTargets: [], ownPorts: () => [], ...targets })
      .granted,
    limits: limits ?? { messageBytes: 10_000, timeoutMs: 30_000 },
    clock,
    limited: (limit) => limited.push(limit),
  });
  return {
    limited,
    ask: (data: Json): Promise<WishAnswer> => outgoing.fetch(wishSchemas.fetch.parse(data)),
    stop: outgoing.stop,
  };
};

const gotten = (answer: WishAnswer) => {
  if (!answer.ok || !isJsonObject(answer.value)) throw new Error(JSON.stringify(answer));
  return answer.value;
};

const serve = async (listener: RequestListener) => {
  const server = await listen(listener);
  return { ...server, origin: `http://127.0.0.1:${server.port}` };
};

const textOf = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
};

test('a request goes out as it was asked for, with nothing of the hub’s, and its answer comes back whole', async (t) => {
  const seen: unknown[] = [];
  const server = await serve(async (request, response) => {
    seen.push([request.method, request.url, request.headers, await textOf(request)]);
    response.writeHead(201, { 'X-Made': 'yes', 'Set-Cookie': ['a=1', 'b=2'], __proto__x: '1' });
    response.end('made: ü');
  });
  const plugin = open();
  const answer = await plugin.ask({
    url: `${server.origin}/path?q=1#part`,
    method: 'POST',
    headers: { 'Content-Type': 'text/plain', 'X-Own': 'a b' },
    body: 'héllo',
  });
  const value = gotten(answer);
  t.like(value, { status: 201, ok: true, body: 'made: ü' });
  t.like(value.headers, { 'x-made': 'yes', 'set-cookie': 'a=1, b=2' });
  t.deepEqual(seen, [
    [
      'POST',
      '/path?q=1',
      {
        'content-type': 'text/plain',
        'x-own': 'a b',
        'content-length': '6',
        host: `127.0.0.1:${server.port}`,
        connection: 'keep-alive',
      },
      'héllo',
    ],
  ]);
  await plugin.stop();
  await server.close();
});

for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'] as const) {
  test(`${method} is a method of it`, async (t) => {
    const server = await serve((request, response) => {
      response.writeHead(request.method === method ? 404 : 500).end();
    });
    const plugin = open();
    t.like(gotten(await plugin.ask({ url: server.origin, method })), { status: 404, ok: false, body: '' });
    await plugin.stop();
    await server.close();
  });
}

test('a redirect is an answer, and leads nowhere', async (t) => {
  let asked = 0;
  const server = await serve((_request, response) => {
    asked += 1;
    response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
  });
  const plugin = open();
  t.like(gotten(await plugin.ask({ url: server.origin })), { status: 302, ok: false });
  t.is(asked, 1);
  await plugin.stop();
  await server.close();
});

const addressCases: readonly (readonly [claim: string, url: string, options: Options, refused: boolean])[] = [
  ['metadata, though granted as an address', 'http://169.254.169.254/', {}, true],
  ['metadata in an IPv6 address', 'http://[::ffff:169.254.169.254]/', {}, true],
  [
    'metadata that allowedTargets names',
    'http://meta.example/',
    { allowedTargets: ['169.254.0.0/16'] },
    true,
  ],
  ['a name that leads to metadata', 'http://meta.example/', {}, true],
  ['a name that leads to loopback', 'http://loop.example:1/', {}, true],
  ['a name that leads to a private network', 'http://private.example/', {}, true],
  ['a name with one private address among public ones', 'http://mixed.example/', {}, true],
  ['a name that leads to loopback, in protected mode', 'http://loop.example:1/', { mode: 'protected' }, true],
  ['the port of the hub itself, as an address', 'http://127.0.0.1:1/', { ownPorts: () => [1] }, true],
  ['loopback that is granted as an address', 'http://127.0.0.1:1/', {}, false],
  ['loopback as a number, which a URL makes an address', 'http://2130706433:1/', {}, false],
  ['a name in allowedTargets', 'http://loop.example:1/', { allowedTargets: ['127.0.0.0/8'] }, false],
];
const names: Readonly<Record<string, readonly string[]>> = {
  'meta.example': ['169.254.169.254'],
  'loop.example': ['127.0.0.1'],
  'private.example': ['10.0.0.1'],
  'mixed.example': ['93.184.216.34', '192.168.1.1'],
};
for (const [claim, url, options, refused] of addressCases) {
  test(`${refused ? 'not connected to' : 'connected to'}: ${claim}`, async (t) => {
    const plugin = open({ resolve: async (name) => names[name] ?? [], ...options });
    // Nothing listens on port 1.
    t.is(codeOf(await plugin.ask({ url })), refused ? 'target_refused' : 'upstream_failed');
    await plugin.stop();
  });
}

test('public addresses need no allowedTargets: each origin was granted', async (t) => {
  const { granted } = createTargets({
    mode: 'authenticated',
    allowedTargets: ['10.0.0.0/8'],
    ownPorts: () => [],
    resolve: async () => ['93.184.216.34'],
  });
  t.like(await granted.check('api.example', 443), { ok: true, addresses: ['93.184.216.34'] });
});

test('a name that resolves to another address a moment later is connected to where it was checked, or not at all', async (t) => {
  const server = await serve((_request, response) => response.end('here'));
  let asked = 0;
  const plugin = open({
    allowedTargets: ['127.0.0.1/32'],
    resolve: async () => [asked++ % 2 === 0 ? '127.0.0.1' : '169.254.169.254'],
  });
  const url = `http://rebound.example:${server.port}/`;
  t.like(gotten(await plugin.ask({ url, headers: { 'x-n': '1' } })), { body: 'here' });
  // One look-up for one connection: there is none in between that could say something else.
  t.is(asked, 1);
  server.server.closeAllConnections();
  await once(server.server.close(), 'close');
  t.is(codeOf(await plugin.ask({ url })), 'target_refused');
  await plugin.stop();
});

test('an answer that is too large is cut off, whatever it says of its length', async (t) => {
  let sent = 0;
  const closed = Promise.withResolvers<void>();
  const server = await serve((_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(16_384))) sent += 16_384;
    };
    response.on('drain', more).on('close', () => closed.resolve());
    more();
  });
  const plugin = open();
  t.is(codeOf(await plugin.ask({ url: server.origin })), 'limit_exceeded');
  await closed.promise;
  t.deepEqual(plugin.limited, ['messageBytes']);
  t.true(sent < 50_000_000);
  await plugin.stop();
  await server.close();
});

test('an answer that does not come, or does not end, is given up after the time-out', async (t) => {
  const clock = createTestClock();
  const server = await serve((request, response) => {
    if (request.url === '/begun') response.write('x');
    arrived.resolve();
  });
  let arrived = Promise.withResolvers<void>();
  const plugin = open({ clock });
  for (const path of ['/', '/begun']) {
    arrived = Promise.withResolvers<void>();
    const answer = plugin.ask({ url: `${server.origin}${path}`, timeoutMs: 5_000 });
    await arrived.promise;
    clock.advance(5_000);
    t.is(codeOf(await answer), 'upstream_timeout', path);
  }
  await plugin.stop();
  server.server.closeAllConnections();
  await server.close();
});

test('16 are under way at a time, and who waits does so within its time-out', async (t) => {
  const clock = createTestClock();
  let open16 = 0;
  const full = Promise.withResolvers<void>();
  const server = await serve(() => {
    open16 += 1;
    if (open16 === 16) full.resolve();
  });
  const plugin = open({ clock });
  const answers = Array.from({ length: 20 }, () => plugin.ask({ url: server.origin, timeoutMs: 1_000 }));
  await full.promise;
  clock.advance(1_000);
  t.deepEqual(new Set((await Promise.all(answers)).map(codeOf)), new Set(['upstream_timeout']));
  t.is(open16, 16);
  await plugin.stop();
  server.server.closeAllConnections();
  await server.close();
});

const smuggled: readonly Json[] = [
  { Host: 'internal.example' },
  { Connection: 'upgrade' },
  { 'Content-Length': '0' },
  { 'Transfer-Encoding': 'chunked' },
  { TE: 'trailers' },
  { Trailer: 'x' },
  { Upgrade: 'h2c' },
  { Expect: '100-continue' },
  { 'Keep-Alive': 'timeout=1' },
  { 'Proxy-Authorization': 'Basic x' },
  { 'x-a': 'b\r\nHost: other' },
  { 'x-a': 'b\nc' },
  { 'x-a': '\u0000' },
  { 'x-a': '€' },
  { 'x-a': ' b' },
  { 'x a': 'b' },
  { 'x-a:': 'b' },
  { 'x-a\r\nHost': 'b' },
  { 'X-A': '1', 'x-a': '2' },
  Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`x-${n}`, ''])),
];
test('headers that say how the message stands on the connection, or are none, are refused', async (t) => {
  let asked = 0;
  const server = await serve((_request, response) => {
    asked += 1;
    response.end();
  });
  const plugin = open();
  for (const headers of smuggled) {
    const code = codeOf(await plugin.ask({ url: server.origin, method: 'POST', headers, body: 'x' }));
    t.is(code, 'invalid', JSON.stringify(headers));
  }
  const more = [
    { url: server.origin, body: 'x' },
    { url: server.origin, method: 'HEAD', body: '' },
    { url: server.origin.replace('//', '//user:pw@') },
    { url: 'ftp://127.0.0.1/' },
  ];
  for (const data of more) t.is(codeOf(await plugin.ask(data)), 'invalid', JSON.stringify(data));
  t.is(asked, 0);
  await plugin.stop();
  await server.close();
});

test('an answer that is no HTTP, and a connection that is cut, are failures of the other side', async (t) => {
  const answers = ['nonsense\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc', ''];
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(answers.shift() ?? ''));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') return t.fail();
  const plugin = open();
  for (let n = 0; n < 3; n++) {
    t.is(codeOf(await plugin.ask({ url: `http://127.0.0.1:${address.port}/` })), 'upstream_failed');
  }
  await plugin.stop();
  await once(server.close(), 'close');
});

test('stop() cuts off what is under way', async (t) => {
  const arrived = Promise.withResolvers<void>();
  const server = await serve(() => arrived.resolve());
  const plugin = open();
  const answer = plugin.ask({ url: server.origin });
  await arrived.promise;
  await plugin.stop();
  t.not(codeOf(await answer), 'ok');
  await server.close();
});
