import { createServer } from 'node:http';

/** The reference of heartbeats: what Node itself takes to read a small POST and answer it. Prints its address. */
const answer = JSON.stringify({ ttlSec: 30, status: 'healthy' });
const server = createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
    response.end(answer);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  process.stdout.write(`http://127.0.0.1:${port}\n`);
});
