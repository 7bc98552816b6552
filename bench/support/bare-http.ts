import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createBareStore } from './bare-store.ts';

/**
 * The reference below the reference: what bare-koa.ts serves, by node:http alone. Prints its port; argument: the folder of
 * its log.
 */
const store = await createBareStore(process.argv[2] ?? 'bench-log');

const answer = (response: ServerResponse, status: number, value: unknown): void => {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
};

const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const [, section, encoded = ''] = request.url?.split('/', 3) ?? [];
  const name = decodeURIComponent(encoded);
  if (section === 'state' && request.method === 'GET') answer(response, 200, store.get(name));
  else if (section === 'state') answer(response, 200, await store.put(name, request));
  else answer(response, 201, await store.publish(name, request));
};

const server = createServer((request, response) => {
  serve(request, response).catch((error: unknown) =>
    response.destroy(error instanceof Error ? error : undefined),
  );
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
});
