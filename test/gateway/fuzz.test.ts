import { Agent, request as httpRequest } from 'node:http';
import test from 'ava';
import { type Hub, openHub } from '../support/hub.ts';
import { call, exchange } from './client.ts';
import { bodyOf, createRandom, headersOf, methods, pathOf } from './nonsense.ts';

const seed = Number(process.env.NEXUS_TEST_SEED ?? 20_300_101);
const rounds = 3_000;
const rawRounds = 300;

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
