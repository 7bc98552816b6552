/**
 * How messages stand on the pipe: 4 bytes length (big-endian, of what follows), then a line of JSON, the head, and behind
 * its line feed the body, which is JSON text too and is handed on unparsed. A length above the cap is told before anything
 * of the message is kept.
 */

export type Frame = { readonly head: unknown; readonly body: string };

const lengthBytes = 4;
const lineFeed = 10;

/** @throws {FramingError} a length above `maxBytes`, or a head that is no JSON: nothing more can be read. */
export class FramingError extends Error {}

/** Puts messages together out of pieces; holds `maxBytes` and one piece at most. */
export class FrameReader {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** Of the message that is not complete; 0 while its length is not known. */
  #wanted = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** The next message, once all of it is there. */
  take(): Frame | undefined {
    if (this.#wanted === 0) {
      if (this.#bytes < lengthBytes) return undefined;
      this.#wanted = this.#joined().readUInt32BE(0) + lengthBytes;
      if (this.#wanted > this.#maxBytes + lengthBytes) {
        throw new FramingError(`a message of ${this.#wanted - lengthBytes} bytes`);
      }
    }
    if (this.#bytes < this.#wanted) return undefined;
    const all = this.#joined();
    const message = all.subarray(lengthBytes, this.#wanted);
    const rest = all.subarray(this.#wanted);
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    this.#wanted = 0;
    return parseFrame(message);
  }

  #joined(): Buffer {
    const [first] = this.#pieces;
    if (first !== undefined && this.#pieces.length === 1) return first;
    const joined = Buffer.concat(this.#pieces, this.#bytes);
    this.#pieces = [joined];
    return joined;
  }
}

const parseFrame = (message: Buffer): Frame => {
  const end = message.indexOf(lineFeed);
  const line = end < 0 ? message : message.subarray(0, end);
  try {
    return {
      head: JSON.parse(line.toString('utf8')),
      body: end < 0 ? '' : message.toString('utf8', end + 1),
    };
  } catch (error) {
    throw new FramingError('a message that is not JSON', { cause: error });
  }
};

export const encodeFrame = (head: object, body: string): Buffer => {
  const line = JSON.stringify(head);
  const [lineBytes, bodyBytes] = [Buffer.byteLength(line), Buffer.byteLength(body)];
  const frame = Buffer.allocUnsafe(lengthBytes + lineBytes + 1 + bodyBytes);
  frame.writeUInt32BE(frame.length - lengthBytes, 0);
  frame.write(line, lengthBytes, 'utf8');
  frame[lengthBytes + lineBytes] = lineFeed;
  frame.write(body, lengthBytes + lineBytes + 1, 'utf8');
  return frame;
};

/** What a writer needs of the stream behind it. */
type Target = {
  readonly writableLength: number;
  readonly destroyed: boolean;
  write(bytes: Buffer): boolean;
};

export type FrameWriter = {
  /** Messages of one turn of the event loop go out together. */
  send(head: object, body?: string): void;
  /** Bytes that the other side has not taken. */
  pendingBytes(): number;
  /** All that was sent goes to the pipe now. */
  flush(): void;
};

export const createFrameWriter = (target: Target): FrameWriter => {
  let held: Buffer[] = [];
  let heldBytes = 0;
  const flush = (): void => {
    const [only] = held;
    if (only === undefined) return;
    const bytes = held.length === 1 ? only : Buffer.concat(held, heldBytes);
    held = [];
    heldBytes = 0;
    if (!target.destroyed) target.write(bytes);
  };
  return {
    send(head, body = '') {
      const frame = encodeFrame(head, body);
      if (held.push(frame) === 1) setImmediate(flush);
      heldBytes += frame.length;
    },
    pendingBytes: () => heldBytes + target.writableLength,
    flush,
  };
};
