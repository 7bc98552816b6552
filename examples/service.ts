import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * A service in sixty lines: it registers itself, says every few seconds that it lives, answers calls, and deregisters
 * when it is stopped.
 *
 *     node examples/service.ts [http://127.0.0.1:8080]
 *     curl -X POST http://127.0.0.1:8080/services/adder/invoke -H 'content-type: application/json' \
 *       -d '{"method":"add","data":{"a":1,"b":2}}'
 */
const hub = process.argv[2] ?? 'http://127.0.0.1:8080';
const token = process.env.NEXUS_TOKEN;
const ttlSec = 10;

const call = (method: string, path: string, body?: unknown): Promise<Response> =>
  fetch(hub + path, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

// The hub calls POST /{method} with the data as JSON; the JSON answer is the result.
const server = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  if (request.method !== 'POST' || request.url !== '/add') {
    response.writeHead(404).end();
    return;
  }
  const { a, b }: { a: number; b: number } = JSON.parse(text);
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ sum: a + b }));
});

server.listen(0, '127.0.0.1', async () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const id = `adder-${port}`;
  const register = () =>
    call('POST', '/services', {
      id,
      name: 'adder',
      version: '1.0.0',
      host: '127.0.0.1',
      port,
      capabilities: ['arithmetic'],
      ttlSec,
    });
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort());
  process.once('SIGTERM', () => stopping.abort());

  process.stdout.write(`${id} registered: ${(await register()).status}\n`);
  while (!stopping.signal.aborted) {
    const beat = await call('POST', `/services/${id}/heartbeat`, { load: 0.1 }).catch(() => undefined);
    // The hub does not know this instance (any more): register again.
    if (beat?.status === 404) await register();
    await delay((ttlSec * 1_000) / 3, undefined, { signal: stopping.signal }).catch(() => undefined);
  }
  await call('DELETE', `/services/${id}`);
  server.close();
});
