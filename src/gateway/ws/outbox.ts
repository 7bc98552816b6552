import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { encodeTexts } from './text-frame.ts';

/**
 * The way out of one socket. Nothing pushes back, so whoever sends much asks `full` between frames and waits on
 * `drained`: what is buffered stays near `highBytes`.
 *
 * Frames of one turn leave together, in one system call, and in the order in which they were queued. They go to the
 * stream under `ws`, which writes only whole frames of its own there (docs/adr/0019-frames-in-bulk.md).
 */
export type Outbox = {
  /** Queues one text frame; dropped without a word once the socket is closing. */
  send(text: string): void;
  /** Queues what `encodeTexts` made, as it is: the same bytes may go to many sockets. */
  sendFrames(frames: Buffer): void;
  /** Hands over what is queued in this turn, for whoever writes or closes by other ways. */
  flush(): void;
  /** Closes the socket behind what is queued. */
  close(code: number, reason: string): void;
  readonly full: boolean;
  /** Bytes that may be queued before it is full; 0 when it is. */
  readonly room: number;
  /** Resolves once the buffer is down to half of `highBytes`, or the socket closed. */
  drained(): Promise<void>;
};

export type OutboxOptions = {
  readonly socket: WebSocket;
  /** The socket that was upgraded. */
  readonly transport: Duplex;
  readonly highBytes: number;
  /** A full buffer went down again: the peer reads. */
  readonly onDrained: () => void;
};

export const createOutbox = ({ socket, transport, highBytes, onDrained }: OutboxOptions): Outbox => {
  /** Queued in this turn: texts behind the encoded frames, when there are both. */
  let frames: Buffer[] = [];
  let texts: string[] = [];
  /** Of both, about: a text is counted by its characters. */
  let queuedBytes = 0;
  let scheduled = false;
  let waiting: PromiseWithResolvers<void> | undefined;

  const isOpen = (): boolean => socket.readyState === WebSocket.OPEN;
  const buffered = (): number => transport.writableLength + queuedBytes;

  const release = (): void => {
    waiting?.resolve();
    waiting = undefined;
  };

  const sent = (): void => {
    if (waiting === undefined || buffered() > highBytes / 2) return;
    onDrained();
    release();
  };

  const encodeQueued = (): void => {
    if (texts.length === 0) return;
    frames.push(encodeTexts(texts));
    texts = [];
  };

  const flush = (): void => {
    scheduled = false;
    encodeQueued();
    const leaving = frames;
    if (leaving.length === 0) return;
    frames = [];
    queuedBytes = 0;
    if (!isOpen()) return;
    if (leaving.length > 1) transport.cork();
    for (const bytes of leaving) transport.write(bytes, sent);
    if (leaving.length > 1) transport.uncork();
  };

  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    process.nextTick(flush);
  };

  socket.once('close', release);

  return {
    send: (text) => {
      if (!isOpen()) return;
      texts.push(text);
      queuedBytes += text.length;
      schedule();
    },
    sendFrames: (bytes) => {
      if (bytes.length === 0 || !isOpen()) return;
      encodeQueued();
      frames.push(bytes);
      queuedBytes += bytes.length;
      schedule();
    },
    flush,
    close: (code, reason) => {
      flush();
      socket.close(code, reason);
    },
    get full() {
      return buffered() > highBytes;
    },
    get room() {
      return Math.max(0, highBytes - buffered());
    },
    drained: () => {
      if (!isOpen() || buffered() <= highBytes / 2) return Promise.resolve();
      waiting ??= Promise.withResolvers<void>();
      return waiting.promise;
    },
  };
};
