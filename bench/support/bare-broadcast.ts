import { once } from 'node:events';
import { type WebSocket, WebSocketServer } from 'ws';

/**
 * The reference of the fan-out: a `ws` server that sends each message of its publisher, the client at /publish, to every
 * other client as it is. Prints its port.
 */
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
const audience = new Set<WebSocket>();
server.on('connection', (socket, request) => {
  if (request.url === '/publish') {
    socket.on('message', (data) => {
      for (const client of audience) client.send(data, { binary: false });
    });
    return;
  }
  audience.add(socket);
  socket.once('close', () => audience.delete(socket));
});
await once(server, 'listening');
const address = server.address();
process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
