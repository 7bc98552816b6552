import { Agent, request as httpRequest } from 'node:http';
import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { call, exchange } from './client.ts';

const seed = Number(process.env.NEXUS_TEST_SEED ?? 20_300_101);
const rounds = 3_000;
const rawRounds = 300;

/** mulberry32: small, seeded, good enough to stumble around with. */
const createRandom = (start: number) => {
  let state = start >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (max: number): number => Math.floor(next() * max);
  const pick = <Item>(items: readonly [Item, ...Item[]]): Item => items[below(items.length)] ?? items[0];
  return { next, below, pick };
};
type Random = ReturnType<typeof createRandom>;

const methods = [
  'GET',
  'GET',
  'PUT',
  'PUT',
  'POST',
  'POST',
  'PATCH',
  'DELETE',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'QUERY',
] as const;
const words = [
  ...([
    'services',
    'state',
    'events',
    'topics',
    'streams',
    'log',
    'commands',
    'health',
    'graphql',
    'ws',
  ] as const),
  ...([
    'live',
    'ready',
    'heartbeat',
    'invoke',
    'history',
    'a',
    'a.b',
    'state-a',
    'topic-a',
    'nexus-log',
  ] as const),
  ...([
    '',
    '.',
    '..',
    '*',
    '>',
    '%2F',
    '%00',
    '%C3%A4',
    '%zz',
    '%',
    '__proto__',
    'constructor',
    'x'.repeat(600),
  ] as const),
] as const;
const names = [
  ...([
    'limit',
    'after',
    'from',
    'to',
    'asOf',
    'version',
    'prefix',
    'cursor',
    'before',
    'topic',
    'type',
  ] as const),
  ...([
    'category',
    'stream',
    'correlationId',
    'direction',
    'capability',
    'status',
    'tag',
    'name',
    'query',
    '__proto__',
  ] as const),
] as const;
const texts = [
  ...([
    '0',
    '1',
    '-1',
    '1e9',
    '99999999999999999999',
    'NaN',
    '',
    'null',
    'start',
    'now',
    '2030-01-01T00:00:00Z',
  ] as const),
  ...([
    '0000000000000000',
    'ffffffffffffffff',
    'zzzzzzzzzzzzzzzz',
    '0'.repeat(32),
    '9999-99-99T99:99:99Z',
    '%F0%9F%98%80',
  ] as const),
  ...([
    'WyIwMDAwMDAwMDAwMDAwMDAwIiwiYSJd',
    '%',
    '>=1 <2',
    '>',
    '*',
    'a.>',
    '{__typename}',
    "'",
    '"',
    '<script>',
  ] as const),
] as const;
const fields = [
  ...([
    'if-match',
    'if-none-match',
    'accept',
    'content-type',
    'content-encoding',
    'last-event-id',
    'origin',
  ] as const),
  ...([
    'x-nexus-min-position',
    'x-request-id',
    'x-correlation-id',
    'traceparent',
    'authorization',
    'range',
  ] as const),
  ...(['x-forwarded-for', 'expect', 'cookie', 'upgrade', 'access-control-request-method'] as const),
] as const;
const fieldTexts = [
  ...([
    '"1"',
    '1',
    '*',
    'W/"1"',
    '"1", "2"',
    '""',
    'application/json',
    'text/event-stream;q=0',
    'a/b',
    '*/*',
  ] as const),
  ...([
    'application/x-ndjson',
    'application/json; charset=latin1',
    'gzip',
    'Bearer x',
    '0000000000000001',
    'null',
  ] as const),
  ...(['bytes=0-1', ',', ';;;', '=', 'a'.repeat(300), 'http://localhost'] as const),
] as const;
const scalars = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  'a',
  '',
  'a.b',
  '\u0000',
  '\ud800',
  'SetState',
  'x'.repeat(2_000),
] as const;
const members = [
  ...([
    'value',
    'expectedVersion',
    'key',
    'payload',
    'topic',
    'type',
    'data',
    'commandId',
    'expectedRevision',
  ] as const),
  ...([
    'id',
    'name',
    'version',
    'host',
    'port',
    'method',
    'load',
    'ttlSec',
    'metadata',
    'query',
    'variables',
    '__proto__',
  ] as const),
] as const;

const jsonOf = (random: Random, depth: number): unknown => {
  const kind = depth > 4 ? 0 : random.below(4);
  if (kind < 2) return random.pick(scalars);
  const size = random.below(5);
  if (kind === 2) return Array.from({ length: size }, () => jsonOf(random, depth + 1));
  const entries = Array.from(
    { length: size },
    () => [random.pick(members), jsonOf(random, depth + 1)] as const,
  );
  return Object.fromEntries(entries);
};

const bodyOf = (random: Random): string => {
  const text = JSON.stringify(
    random.below(4) === 0
      ? jsonOf(random, 0)
      : Object.fromEntries(
          Array.from({ length: random.below(5) }, () => [random.pick(members), jsonOf(random, 1)]),
        ),
  );
  if (random.below(5) > 0) return text;
  const at = random.below(text.length + 1);
  return random.below(2) === 0
    ? text.slice(0, at)
    : `${text.slice(0, at)}${random.pick(['{', ']', '\u0000', ','])}${text.slice(at)}`;
};

const pathOf = (random: Random): string => {
  let path = '';
  for (let parts = 1 + random.below(4); parts > 0; parts--) path += `/${random.pick(words)}`;
  const parameters = random.below(4);
  for (let index = 0; index < parameters; index++) {
    const text = random.pick(texts);
    path += `${index === 0 ? '?' : '&'}${random.pick(names)}=${random.below(2) === 0 ? text : encodeURIComponent(text)}`;
  }
  return path.replace(/[^\x21-\x7e]/g, '+');
};

const headersOf = (random: Random, body: string | undefined): Record<string, string> => {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers['content-type'] = 'application/json';
  for (let count = random.below(4); count > 0; count--)
    headers[random.pick(fields)] = random.pick(fieldTexts);
  return headers;
};

let hub: Hub;
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
test.before(async () => {
  hub = await openHub({ timeouts: { headersMs: 300, requestMs: 300, checkEveryMs: 50, keepAliveMs: 300 } });
});
test.after.always(async () => {
  agent.destroy();
  await hub.close();
});

/** Status of the answer; its body is not waited for, because a live tail has no end. */
const statusOf = (
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<number> =>
  new Promise((resolve, reject) => {
    const options = { agent, host: '127.0.0.1', port: hub.port, method, path, headers };
    const request = httpRequest(options, (response) => {
      resolve(response.statusCode ?? 0);
      if (response.headers['content-type'] === 'text/event-stream') response.destroy();
      else response.resume();
      response.on('error', () => {});
    });
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve(101);
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      // A client that expects 100 and sends nothing is cut like any other that is slow.
      if (error.code === 'ECONNRESET') resolve(0);
      else reject(error);
    });
    request.end(body);
  });

test(`${rounds} requests of nonsense (seed ${seed}) › get no 500, and the hub goes on`, async (t) => {
  const random = createRandom(seed);
  const seen = new Map<number, number>();
  const one = async (): Promise<void> => {
    const method = random.pick(methods);
    const path = pathOf(random);
    const body = method === 'GET' || method === 'HEAD' || random.below(8) === 0 ? undefined : bodyOf(random);
    const headers = headersOf(random, body);
    const status = await statusOf(method, path, headers, body);
    seen.set(status, (seen.get(status) ?? 0) + 1);
    if (status === 500) t.fail(`${method} ${path} ${JSON.stringify(headers)} ${body}`);
  };
  for (let done = 0; done < rounds; done += 16) await Promise.all(Array.from({ length: 16 }, one));
  const kinds = [...seen.keys()];
  for (const status of [200, 400, 404, 405, 422])
    t.true(kinds.includes(status), `the nonsense reaches ${status}`);
  t.is((await call(hub.url, 'GET', '/health')).status, 200);
  t.deepEqual(
    hub.logged.filter(({ level }) => level === 'error'),
    [],
  );
});

test(`${rawRounds} broken requests on raw sockets (seed ${seed}) › get no 500, and the hub goes on`, async (t) => {
  const random = createRandom(seed + 1);
  const one = async (): Promise<void> => {
    const body = bodyOf(random);
    const lines = [
      `${random.pick(methods)} ${pathOf(random)} HTTP/1.1`,
      'Host: localhost',
      'Connection: close',
    ];
    for (const [name, value] of Object.entries(headersOf(random, body))) lines.push(`${name}: ${value}`);
    lines.push(`Content-Length: ${Buffer.byteLength(body) + random.pick([0, 0, 0, -1, 1])}`, '', body);
    const bytes = Buffer.from(lines.join('\r\n'));
    for (let flips = random.below(4); flips > 0; flips--)
      bytes[random.below(bytes.length)] = random.below(256);
    const received = await exchange(hub.port, bytes, (text) => text.includes('text/event-stream'));
    t.false(/HTTP\/1\.1 500 /.test(received), `${bytes.toString('latin1')}\n→ ${received}`);
  };
  for (let done = 0; done < rawRounds; done += 16) await Promise.all(Array.from({ length: 16 }, one));
  t.is((await call(hub.url, 'GET', '/health')).status, 200);
  t.deepEqual(
    hub.logged.filter(({ level }) => level === 'error'),
    [],
  );
});
