import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Endpoint } from '../../../config/endpoint.ts';
import type { Logger } from '../../../logger.ts';
import { type Attach, type Connection, openConnection } from './connection.ts';

export type Front = {
  /** What was bound, `tcp://HOST:PORT`. */
  readonly endpoint: string;
  readonly connections: Iterable<Connection>;
  /** The connection that a ZAP domain stands for. */
  find(domain: string): Connection | undefined;
  /** Takes no more connections, finishes those that it has. */
  close(): Promise<void>;
};

export type FrontOptions = {
  readonly endpoint: Endpoint;
  /** A folder that only this user enters. */
  readonly folder: string;
  /** Of this front alone. */
  readonly name: string;
  readonly attach: Attach;
  readonly logger: Logger;
  readonly handshakeMs?: number;
};

/** Connections of clients that have not proven their key yet: beyond it the one that has waited longest is cut. */
export const maxHandshakes = 64;

/** @throws {Error} `EADDRINUSE` and the like, in `code`. */
export const openFront = async (options: FrontOptions): Promise<Front> => {
  const { endpoint, folder, name, attach, logger, handshakeMs = 5_000 } = options;
  const connections = new Map<string, Connection>();
  const releases = new Set<Promise<void>>();
  let count = 0;

  const handshakes = (): readonly Connection[] =>
    [...connections.values()].filter(({ client }) => client === undefined);

  const server = createServer((socket) => {
    const waiting = handshakes();
    if (waiting.length >= maxHandshakes) waiting[0]?.drop();
    const domain = `${name}${count++}`;
    const timer = setTimeout(() => {
      if (connection.client === undefined) connection.drop();
    }, handshakeMs);
    const connection = openConnection({
      domain,
      socket,
      path: join(folder, domain),
      attach,
      gone: (released) => {
        clearTimeout(timer);
        connections.delete(domain);
        releases.add(released);
        void released.then(() => releases.delete(released));
      },
      failed: (error) => logger.warn({ err: error }, 'a ZeroMQ connection failed'),
    });
    connections.set(domain, connection);
  });
  await listen(server, endpoint);

  return {
    endpoint: boundTo(server, endpoint),
    connections: {
      [Symbol.iterator]: () => connections.values(),
    },
    find: (domain) => connections.get(domain),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      await Promise.all([...connections.values()].map((connection) => connection.finish()));
      await Promise.all(releases);
      await closed;
    },
  };
};

const listen = async (server: Server, { host, port }: Endpoint): Promise<void> => {
  const listening = once(server, 'listening');
  server.listen(host === '*' ? { port } : { port, host });
  await listening;
};

const boundTo = (server: Server, { address }: Endpoint): string => {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error(`${address} was not bound`);
  return address.replace(/:(\*|\d+)$/, `:${bound.port}`);
};
