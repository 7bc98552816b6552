import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/**
 * What becomes of a connection whose reply was dropped: `mute` leaves it open and lets nothing more come back, as when the
 * path or the server has died without a word; `cut` closes it.
 */
export type AfterDrop = 'mute' | 'cut';

/** A TCP proxy that loses replies: the request always gets through. */
export type FaultProxy = {
  readonly port: number;
  /** Drops each chunk that comes from the server with this probability, 0 … 1. */
  dropReplies(probability: number, then: AfterDrop): void;
  /** Drops the next chunk that comes from the server, on whichever connection. */
  dropNextReply(then: AfterDrop): void;
  /** Holds each reply back for `delayMs`. */
  delayReplies(delayMs: number): void;
  /** Forwards nothing in either direction until `resume`; connections stay open and new ones are taken. */
  pause(): void;
  resume(): void;
  /** Closes every connection; new ones are taken. */
  cut(): void;
  /** Resolves when `count` more connections have come. */
  connections(count: number): Promise<void>;
  readonly dropped: number;
  close(): Promise<void>;
};

export type FaultProxyOptions = {
  readonly target: { readonly host: string; readonly port: number };
  /** The same seed gives the same decisions in the same order of chunks. */
  readonly seed: number;
};

type Pair = { readonly client: Socket; readonly server: Socket; muted: boolean };

/** Mulberry32: numbers from 0 to below 1. */
const createRandom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

export const openFaultProxy = async ({ target, seed }: FaultProxyOptions): Promise<FaultProxy> => {
  const random = createRandom(seed);
  const pairs = new Set<Pair>();
  const news = new EventEmitter();
  const timers = new Set<NodeJS.Timeout>();
  let probability = 0;
  let then: AfterDrop = 'cut';
  let next: AfterDrop | undefined;
  let delayMs = 0;
  let paused = false;
  let dropped = 0;

  const end = (pair: Pair) => {
    pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  };

  const fate = (): AfterDrop | undefined => {
    const own = next;
    next = undefined;
    return own ?? (probability > 0 && random() < probability ? then : undefined);
  };

  const reply = (pair: Pair, chunk: Buffer) => {
    if (pair.muted) return;
    const lost = fate();
    if (lost !== undefined) {
      dropped++;
      pair.muted = true;
      if (lost === 'cut') end(pair);
      return;
    }
    if (delayMs === 0) {
      pair.client.write(chunk);
      return;
    }
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (!pair.muted) pair.client.write(chunk);
    }, delayMs);
    timers.add(timer);
  };

  const listener = createServer((client) => {
    const server = connect(target.port, target.host);
    const pair: Pair = { client, server, muted: false };
    pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      // A socket that fails is closed right after, and that ends the pair.
      socket.on('error', () => undefined);
      socket.on('close', () => end(pair));
      if (paused) socket.pause();
    }
    client.on('data', (chunk) => server.write(chunk));
    server.on('data', (chunk) => reply(pair, chunk));
    if (paused) for (const socket of [client, server]) socket.pause();
    news.emit('connection');
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');

  const each = (run: (socket: Socket) => void) => {
    for (const { client, server } of pairs) {
      run(client);
      run(server);
    }
  };
  return {
    port: address.port,
    dropReplies: (value, after) => {
      probability = value;
      then = after;
    },
    dropNextReply: (after) => {
      next = after;
    },
    delayReplies: (value) => {
      delayMs = value;
    },
    pause: () => {
      paused = true;
      each((socket) => socket.pause());
    },
    resume: () => {
      paused = false;
      each((socket) => socket.resume());
    },
    cut: () => {
      for (const pair of [...pairs]) end(pair);
    },
    connections: async (count) => {
      for (let seen = 0; seen < count; seen++) await once(news, 'connection');
    },
    get dropped() {
      return dropped;
    },
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
      for (const pair of [...pairs]) end(pair);
      listener.close();
      await once(listener, 'close');
    },
  };
};
