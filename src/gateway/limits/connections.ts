import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export type ConnectionLimits = {
  /** In all, WebSockets included. */
  readonly max: number;
  readonly maxPerAddress: number;
  /** What a connection is counted by; empty for one that is not counted by address. */
  readonly addressOf: (socket: Socket) => string;
};

/** The connections of a server, and what is known of each. */
export type Connections = {
  readonly all: ReadonlySet<Duplex>;
  /** Those on which no request has come yet, the oldest first; with TLS, before its handshake the socket outside. */
  readonly unused: ReadonlySet<Duplex>;
  /** Those on which requests come: with TLS, the ones inside. */
  readonly requesting: ReadonlySet<Socket>;
  /** To the newest request on the socket. */
  answerOf(socket: Duplex): ServerResponse | undefined;
  /** True while the answer to a request is begun or owed on the socket: nothing may be written in between. */
  isAnswering(socket: Duplex): boolean;
};

/**
 * Follows the connections of `server`, and closes those that are too many. One address has no more than its share. When
 * all are taken, the newcomer gets the place of the one that has been silent longest: who means to ask asks at once,
 * and who fills the hub with silent connections pushes out their own.
 */
export const followConnections = (server: Server, isTls: boolean, limits: ConnectionLimits): Connections => {
  const all = new Set<Socket>();
  const unused = new Set<Duplex>();
  const requesting = new Set<Socket>();
  const byAddress = new Map<string, number>();
  const outside = new Map<string, Socket>();
  const answers = new WeakMap<Duplex, ServerResponse<IncomingMessage>>();

  const leave = (address: string): void => {
    const left = (byAddress.get(address) ?? 1) - 1;
    if (left === 0) byAddress.delete(address);
    else byAddress.set(address, left);
  };

  server.on('connection', (socket: Socket) => {
    const address = limits.addressOf(socket);
    const here = byAddress.get(address) ?? 0;
    if (address !== '' && here >= limits.maxPerAddress) {
      socket.destroy();
      return;
    }
    if (all.size >= limits.max) {
      const [silent] = unused;
      if (silent === undefined) {
        socket.destroy();
        return;
      }
      unused.delete(silent);
      silent.destroy();
    }
    all.add(socket);
    unused.add(socket);
    if (address !== '') byAddress.set(address, here + 1);
    const name = isTls ? nameOf(socket) : '';
    if (isTls) outside.set(name, socket);
    else requesting.add(socket);
    socket.once('close', () => {
      all.delete(socket);
      unused.delete(socket);
      requesting.delete(socket);
      if (isTls) outside.delete(name);
      if (address !== '') leave(address);
    });
  });

  // With TLS requests come on the socket inside.
  if (isTls) {
    server.on('secureConnection', (socket: Socket) => {
      const carrier = outside.get(nameOf(socket));
      if (carrier !== undefined) unused.delete(carrier);
      unused.add(socket);
      requesting.add(socket);
      socket.once('close', () => {
        unused.delete(socket);
        requesting.delete(socket);
      });
    });
  }
  server.on('request', (request, response) => {
    unused.delete(request.socket);
    answers.set(request.socket, response);
  });
  for (const event of ['upgrade', 'checkExpectation'] as const)
    server.on(event, (request: IncomingMessage) => unused.delete(request.socket));

  return {
    all,
    unused,
    requesting,
    answerOf: (socket) => answers.get(socket),
    isAnswering: (socket) => {
      const answer = answers.get(socket);
      return answer !== undefined && !answer.writableEnded && (answer.headersSent || answer.req.complete);
    },
  };
};

/** The same for both sockets of a TLS connection, and for no other one. */
const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
