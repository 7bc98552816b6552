import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';

/**
 * The way out of one socket. `ws` never pushes back, so whoever sends much asks `full` between frames and waits on
 * `drained`: what is buffered stays near `highBytes`.
 */
export type Outbox = {
  /** Queues one text frame; dropped without a word once the socket is closing. Frames of one turn leave together. */
  send(text: string): void;
  readonly full: boolean;
  /** Resolves once the buffer is down to half of `highBytes`, or the socket closed. */
  drained(): Promise<void>;
};

export type OutboxOptions = {
  readonly socket: WebSocket;
  /** The socket that was upgraded: corked while a turn sends, so that many frames cost one system call. */
  readonly transport: Duplex;
  readonly highBytes: number;
  /** A full buffer went down again: the peer reads. */
  readonly onDrained: () => void;
};

export const createOutbox = ({ socket, transport, highBytes, onDrained }: OutboxOptions): Outbox => {
  let corked = false;
  let waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  const uncork = (): void => {
    corked = false;
    transport.uncork();
  };

  const release = (): void => {
    waiting?.resolve();
    waiting = undefined;
  };

  const sent = (): void => {
    if (waiting === undefined || socket.bufferedAmount > highBytes / 2) return;
    onDrained();
    release();
  };

  socket.once('close', release);

  return {
    send: (text) => {
      if (socket.readyState !== WebSocket.OPEN) return;
      if (!corked) {
        corked = true;
        transport.cork();
        process.nextTick(uncork);
      }
      socket.send(text, sent);
    },
    get full() {
      return socket.bufferedAmount > highBytes;
    },
    drained: () => {
      if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount <= highBytes / 2)
        return Promise.resolve();
      waiting ??= Promise.withResolvers<void>();
      return waiting.promise;
    },
  };
};
