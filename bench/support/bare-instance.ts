import { createServer } from 'node:http';

/** An instance that answers with a small JSON document, and reads what it is sent. Prints its port. */
const answer = JSON.stringify({ sum: 3, words: ['one', 'two'], at: '2030-01-01T00:00:00.000Z' });
const head = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(answer)) };
const server = createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, head).end(answer);
  });
});
server.keepAliveTimeout = 65_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
});
