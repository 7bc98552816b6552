import { rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Subject } from '../../../../domain/access.ts';

/** What serves one connection: a ZeroMQ socket that nobody else is connected to. */
export type Serving = {
  /** The client has proven that it holds this subject's key. Called once, before any of its frames. */
  begin(subject: Subject): void;
  /** Answers what was taken, within its own time limit, and closes the socket. Idempotent. */
  close(): Promise<void>;
};

/** What a serving socket may know of and do to its connection. */
export type Line = {
  /** Bytes that the socket has given to the connection so far. */
  readonly sentBytes: number;
  /** True while the client does not take what was given. */
  readonly stalled: boolean;
  /** The socket has handed on a message: a client that sends much behind it, and never ends a message, is cut. */
  heard(): void;
  /** Cuts the connection. */
  drop(): void;
};

export type Attach = (domain: string, address: string, line: Line) => Promise<Serving>;

export type Connection = Line & {
  readonly domain: string;
  /** Of the peer. */
  readonly address: string;
  /** Undefined until the client has proven its key. */
  readonly client: { readonly publicKey: string; readonly subject: Subject } | undefined;
  admit(publicKey: string, subject: Subject): void;
  /** Cuts at once. */
  drop(): void;
  /** Lets the socket answer what it took, and what it answered leave; then cuts. */
  finish(): Promise<void>;
};

export type ConnectionOptions = {
  readonly domain: string;
  readonly socket: Socket;
  /** Where the serving socket listens for this one connection. */
  readonly path: string;
  readonly attach: Attach;
  /** Called once, when nothing of the connection is left but what `released` waits for. */
  readonly gone: (released: Promise<void>) => void;
  readonly failed: (error: unknown) => void;
};

/** Every ZMTP greeting begins with ten bytes of which these two are known (ZMTP 3.1, section 3.1). */
const signatureBytes = 10;
const isSignature = (bytes: Buffer): boolean => bytes[0] === 0xff && ((bytes[9] ?? 0) & 1) === 1;
/** More than a socket's queue holds: libzmq keeps the parts of a message, without a limit, until its last one has come. */
const maxUnheardBytes = 32 * 1024 * 1024;
/** For what was answered to reach a client that reads. */
const flushMs = 1_000;
/** For the socket to send it, and for the above. */
const finishMs = 2_000;

const ignore = (): void => {};

/**
 * Joins one TCP connection to a ZeroMQ socket of its own, so that what this socket is asked, and whom libzmq says it is
 * with, is known to belong together. Bytes are carried both ways no faster than they are taken. What does not begin as
 * ZMTP does never costs a socket.
 */
export const openConnection = (options: ConnectionOptions): Connection => {
  const { domain, socket: outer, path, attach, gone, failed } = options;
  let client: Connection['client'];
  let serving: Serving | undefined;
  let joining: Promise<void> = Promise.resolve();
  let inner: Socket | undefined;
  let sentBytes = 0;
  let unheardBytes = 0;
  let ended = false;
  const address = outer.remoteAddress ?? '';

  const drop = (): void => {
    if (ended) return;
    ended = true;
    clearTimeout(flushing);
    outer.destroy();
    inner?.destroy();
    const release = async (): Promise<void> => {
      await joining;
      await serving?.close();
      // Left by libzmq when nobody has connected.
      rmSync(path, { force: true });
    };
    gone(release().catch(failed));
  };

  /** The socket has ended its side: what it sent may still leave, until the client hangs up. */
  let flushing: NodeJS.Timeout | undefined;
  const flush = (): void => {
    if (ended) return;
    outer.end();
    outer.resume();
    flushing = setTimeout(drop, flushMs);
  };

  const join = async (first: Buffer): Promise<void> => {
    serving = await attach(domain, `ipc://${path}`, connection);
    if (ended) return;
    const own = connect(path);
    inner = own;
    own.on('error', ignore);
    own.on('close', flush);
    own.on('connect', () => {
      // From here on no other process can reach this socket.
      rmSync(path, { force: true });
      own.on('data', (chunk: Buffer) => {
        sentBytes += chunk.length;
      });
      outer.on('data', (chunk: Buffer) => {
        unheardBytes += chunk.length;
        if (unheardBytes > maxUnheardBytes) drop();
      });
      own.write(first);
      own.pipe(outer);
      outer.pipe(own);
    });
  };

  let greeting = Buffer.alloc(0);
  const greet = (chunk: Buffer): void => {
    greeting = Buffer.concat([greeting, chunk]);
    if (greeting.length < signatureBytes) return;
    outer.off('data', greet);
    outer.pause();
    if (!isSignature(greeting)) {
      drop();
      return;
    }
    joining = join(greeting).catch((error: unknown) => {
      failed(error);
      drop();
    });
  };

  outer.setNoDelay(true);
  outer.setKeepAlive(true, 30_000);
  outer.on('error', ignore);
  outer.on('close', drop);
  outer.on('data', greet);

  const connection: Connection = {
    domain,
    address,
    get client() {
      return client;
    },
    get sentBytes() {
      return sentBytes;
    },
    get stalled() {
      return outer.writableNeedDrain;
    },
    admit(publicKey, subject) {
      client = { publicKey, subject };
      serving?.begin(subject);
    },
    heard() {
      unheardBytes = 0;
    },
    drop,
    async finish() {
      if (ended) return;
      const closed = new Promise<void>((resolve) => outer.once('close', () => resolve()));
      await joining;
      await serving?.close().catch(failed);
      const limit = setTimeout(drop, finishMs);
      if (inner === undefined) drop();
      await closed;
      clearTimeout(limit);
    },
  };
  return connection;
};
