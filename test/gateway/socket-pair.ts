import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { openWs } from '../support/ws-client.ts';

/** One server socket with its stream, and the client at the other end. */
export const openPair = async () => {
  const server = createServer();
  const wss = new WebSocketServer({ server });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const connected = once(wss, 'connection');
  const client = await openWs(`http://127.0.0.1:${address.port}`, { protocols: [] });
  const [socket, request] = (await connected) as [WebSocket, { readonly socket: Socket }];
  return {
    client,
    socket,
    transport: request.socket,
    close: async () => {
      await client.close();
      wss.close();
      server.close();
      await once(server, 'close');
    },
  };
};
