import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { steadyNow } from '../clock.ts';
import { isProxied } from './proxy.ts';

/** Since when a request that is not whole yet was looked at, or has last moved. */
type Seen = { readonly sinceMs: number; readonly bytes: number };

/** True for bodies of any size, which may take as long as they move. */
const isUpload = ({ url = '' }: IncomingMessage): boolean =>
  isProxied(url) || url === '/snapshot' || url.startsWith('/snapshot?');

/**
 * Finds requests that take too long to arrive. Node's own limit is one for the whole of every request, and an upload to a
 * service, or of a snapshot, may take hours: there it holds for the time in which nothing comes, while the hub would take it.
 *
 * @param late Called for each, once.
 */
export const createArrivals = (
  limitMs: number,
  late: (socket: Socket, answer: ServerResponse) => void,
  nowMs: () => number = steadyNow,
): { look(sockets: Iterable<Socket>, answerOf: (socket: Socket) => ServerResponse | undefined): void } => {
  const seen = new WeakMap<IncomingMessage, Seen>();

  return {
    look(sockets, answerOf) {
      const now = nowMs();
      for (const socket of sockets) {
        const answer = answerOf(socket);
        const request = answer?.req;
        if (answer === undefined || request === undefined || request.complete || socket.destroyed) continue;
        const before = seen.get(request);
        const hasMoved = socket.bytesRead !== before?.bytes || request.readableLength > 0;
        if (before === undefined || (hasMoved && isUpload(request)))
          seen.set(request, { sinceMs: now, bytes: socket.bytesRead });
        else if (now - before.sinceMs >= limitMs) late(socket, answer);
      }
    },
  };
};
