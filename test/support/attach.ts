import { once } from 'node:events';
import { createServer } from 'node:http';
import Koa from 'koa';
import { createAccess } from '../../src/gateway/auth/access.ts';
import { attachWebSockets, type SocketHost, type WebSocketLimits } from '../../src/gateway/ws/attach.ts';
import { createLogger } from '../../src/logger.ts';
import type { Hub } from './hub.ts';

/** Serves the WebSockets of a hub on a port of their own, with other limits than the gateway's. */
export const attachTo = async (
  hub: Hub,
  limits: Partial<WebSocketLimits>,
  hosts: Readonly<Record<string, SocketHost>> = {},
): Promise<{ readonly url: string; close(): Promise<void> }> => {
  const app = new Koa();
  const server = createServer(app.callback());
  const { core, config } = hub;
  const logger = createLogger('silent');
  const sockets = attachWebSockets({
    forwarding: { scheme: 'http', clientIp: () => '127.0.0.1' },
    app,
    server,
    core,
    config,
    logger,
    access: createAccess(config, { credentials: core.credentials }),
    hosts,
    limits,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: async () => {
      await sockets.close();
      server.close();
      await once(server, 'close');
    },
  };
};
