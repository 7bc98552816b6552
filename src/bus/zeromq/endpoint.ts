import type { Socket } from 'zeromq';

/** The port of what libzmq says it has bound. */
export const portOf = (bound: string | null): number | undefined => {
  const port = Number(bound?.slice(bound.lastIndexOf(':') + 1));
  return Number.isInteger(port) && port > 0 ? port : undefined;
};

/** For all sockets: dead peers are noticed, large or slow ones cost little, and a close does not wait long. */
export const socketOptions = {
  linger: 500,
  heartbeatInterval: 10_000,
  heartbeatTimeout: 30_000,
  handshakeInterval: 5_000,
} as const;

/**
 * Closes the socket when it cannot be bound.
 *
 * @throws {Error} `EADDRINUSE` and the like, in `code`.
 */
export const bindSocket = async (socket: Socket, address: string): Promise<void> => {
  try {
    await socket.bind(address);
  } catch (error) {
    socket.close();
    throw error;
  }
};
