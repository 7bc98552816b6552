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
  readonly send: (text: string) => void;
  /** Queues what `encodeTexts` made, as it is: the same bytes may go to many sockets. */
  sendFrames(frames: Buffer): void;
  /** Hands over what is queued in this turn, for whoever writes or closes by other ways. */
  readonly flush: () => void;
  /** Closes the socket behind what is queued. */
  readonly close: (code: number, reason: string) => void;
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

/** A class, as all of a thousand outboxes then have one shape: with getters of its own each would be another to V8. */
class SocketOutbox implements Outbox {
  readonly #options: OutboxOptions;
  /** Queued in this turn: texts behind the encoded frames, when there are both. */
  #frames: Buffer[] = [];
  #texts: string[] = [];
  /** Of both, about: a text is counted by its characters. */
  #queuedBytes = 0;
  #scheduled = false;
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
    options.socket.once('close', () => this.#release());
  }

  get full(): boolean {
    return this.#buffered() > this.#options.highBytes;
  }

  get room(): number {
    return Math.max(0, this.#options.highBytes - this.#buffered());
  }

  readonly send = (text: string): void => {
    if (!this.#isOpen()) return;
    this.#texts.push(text);
    this.#queuedBytes += text.length;
    this.#schedule();
  };

  sendFrames(frames: Buffer): void {
    if (frames.length === 0 || !this.#isOpen()) return;
    this.#encodeTexts();
    this.#frames.push(frames);
    this.#queuedBytes += frames.length;
    this.#schedule();
  }

  readonly flush = (): void => {
    this.#scheduled = false;
    this.#encodeTexts();
    const leaving = this.#frames;
    if (leaving.length === 0) return;
    this.#frames = [];
    this.#queuedBytes = 0;
    if (!this.#isOpen()) return;
    const { transport } = this.#options;
    if (leaving.length > 1) transport.cork();
    for (const bytes of leaving) transport.write(bytes, this.#sent);
    if (leaving.length > 1) transport.uncork();
  };

  readonly close = (code: number, reason: string): void => {
    this.flush();
    this.#options.socket.close(code, reason);
  };

  drained(): Promise<void> {
    if (!this.#isOpen() || this.#buffered() <= this.#options.highBytes / 2) return Promise.resolve();
    this.#waiting ??= Promise.withResolvers<void>();
    return this.#waiting.promise;
  }

  #isOpen(): boolean {
    return this.#options.socket.readyState === WebSocket.OPEN;
  }

  #buffered(): number {
    return this.#options.transport.writableLength + this.#queuedBytes;
  }

  #encodeTexts(): void {
    if (this.#texts.length === 0) return;
    this.#frames.push(encodeTexts(this.#texts));
    this.#texts = [];
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(this.flush);
  }

  readonly #sent = (): void => {
    if (this.#waiting === undefined || this.#buffered() > this.#options.highBytes / 2) return;
    this.#options.onDrained();
    this.#release();
  };

  #release(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}

export const createOutbox = (options: OutboxOptions): Outbox => new SocketOutbox(options);
