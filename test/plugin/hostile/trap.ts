import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

/** Two servers of this machine: one that plugins are granted, and one that nobody may come to. */
export type Trap = {
  readonly open: string;
  readonly trap: string;
  /** Requests that reached the one that nobody may come to. */
  caught(): number;
  close(): Promise<void>;
};

const bomb = gzipSync(Buffer.alloc(64 * 1_048_576));

const endless = (response: ServerResponse): void => {
  const timer = setInterval(() => response.write('x'), 5);
  response.on('close', () => clearInterval(timer));
};

const large = (response: ServerResponse): void => {
  const chunk = Buffer.alloc(1_048_576, 'x');
  const write = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', write);
  write();
};

export const openTrap = async (): Promise<Trap> => {
  let caught = 0;
  const trapServer = createServer((_, response) => {
    caught += 1;
    response.end('caught');
  });
  trapServer.on('connect', (_, socket) => {
    caught += 1;
    socket.destroy();
  });
  const openServer = createServer((request, response) => {
    const path = request.url ?? '/';
    if (path.startsWith('/redirect')) {
      response.writeHead(302, { location: trap }).end();
    } else if (path.startsWith('/large')) large(response);
    else if (path.startsWith('/endless')) endless(response);
    else if (path.startsWith('/compressed'))
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
    else if (!path.startsWith('/never')) response.end(JSON.stringify({ path, headers: request.rawHeaders }));
  });
  const addresses: string[] = [];
  for (const server of [trapServer, openServer]) {
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    addresses.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  const [trap = '', open = ''] = addresses;
  return {
    open,
    trap,
    caught: () => caught,
    async close() {
      for (const server of [trapServer, openServer]) {
        server.closeAllConnections();
        await new Promise((closed) => server.close(closed));
      }
    },
  };
};
