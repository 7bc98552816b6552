import { createServer } from 'node:http';
import { Pool } from 'undici';

/** The reference of a call through the hub: node:http in front, undici behind, and nothing between. Argument: an origin. */
const pool = new Pool(process.argv[2] ?? 'http://127.0.0.1', { connections: 64 });
const server = createServer((request, response) => {
  const hasBody = request.headers['content-length'] !== undefined;
  pool.stream(
    {
      path: request.url ?? '/',
      method: request.method ?? 'GET',
      headers: { 'content-type': request.headers['content-type'] ?? 'application/json' },
      body: hasBody ? request : null,
    },
    ({ statusCode, headers }) => response.writeHead(statusCode, { ...headers, connection: 'keep-alive' }),
    (error) => {
      if (error !== null) response.destroy();
    },
  );
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
});
