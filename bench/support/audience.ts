import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { createFrameCounter } from './frame-counter.ts';
import { latencyOf } from './measure.ts';

/**
 * The audience of a fan-out and its publisher, in a process of their own. Argument: a JSON `Audience`. Prints a line
 * when everyone listens, then for each line with a number of messages publishes as many and prints an `AudienceResult`.
 */
export type Audience = {
  /** `ws://HOST:PORT/PATH` of the audience and of the publisher. */
  readonly url: string;
  readonly publishUrl: string;
  readonly token?: string;
  readonly listeners: number;
  /** What each listener sends, and how many frames it gets for that. */
  readonly hello?: string;
  readonly greetings: number;
  /** The frame that the publisher sends for each message. */
  readonly message: string;
  /** Messages that were published and have not reached everyone. */
  readonly inFlight: number;
};

export type AudienceResult = { readonly seconds: number; readonly p50Ms: number; readonly p99Ms: number };

const { url, publishUrl, token, listeners, hello, greetings, message, inFlight }: Audience = JSON.parse(
  process.argv[2] ?? '{}',
);
const { hostname, port, pathname } = new URL(url);

/** One short masked text frame, for which a mask of zeros will do. */
const clientFrame = (text: string): Buffer => {
  const payload = Buffer.from(text);
  if (payload.length > 125) throw new RangeError('a hello is at most 125 bytes');
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
};

/** Whoever does not answer pings is dropped after a minute. */
const pong = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
const upgrade =
  `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${authorization}` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: nexus.v1\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;

/** Frames that have come, over all listeners; what waits for more of them. */
let frames = 0;
let onFrames = (): void => {};
const shared = Buffer.alloc(256 * 1024);

/** A raw socket: after the answer to its upgrade it counts, and answers pings. Resolves when it has been greeted. */
const listen = async (): Promise<void> => {
  const upgraded = Promise.withResolvers<void>();
  let head = '';
  const count = createFrameCounter(
    () => frames++,
    () => socket.write(pong),
  );
  const socket = connect({
    host: hostname,
    port: Number(port),
    onread: {
      buffer: shared,
      callback: (length: number, bytes: Uint8Array): boolean => {
        const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        if (head === 'done') count(chunk, length);
        else {
          head += chunk.toString('latin1', 0, length);
          const end = head.indexOf('\r\n\r\n');
          if (end >= 0) {
            if (!head.startsWith('HTTP/1.1 101')) throw new Error(head);
            const rest = Buffer.from(head.slice(end + 4), 'latin1');
            head = 'done';
            upgraded.resolve();
            count(rest, rest.length);
          }
        }
        onFrames();
        return true;
      },
    },
  });
  socket.once('close', () => {
    throw new Error('a listener was dropped');
  });
  await once(socket, 'connect');
  socket.write(upgrade);
  await upgraded.promise;
  if (hello !== undefined) socket.write(clientFrame(hello));
};

const until = (count: number): Promise<void> =>
  new Promise((resolve) => {
    onFrames = () => {
      if (frames < count) return;
      onFrames = () => {};
      resolve();
    };
    onFrames();
  });

for (let index = 0; index < listeners; index++) await listen();
await until(listeners * greetings);
const publisher = new WebSocket(publishUrl, 'nexus.v1', {
  perMessageDeflate: false,
  ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
});
await once(publisher, 'open');

const run = async (messages: number): Promise<AudienceResult> => {
  const base = frames;
  const started = performance.now();
  const sentAt = new Float64Array(messages);
  const latencies = new Float64Array(messages);
  let sent = 0;
  let reached = 0;
  await new Promise<void>((resolve) => {
    onFrames = () => {
      // As if everyone were equally far: a message counts as delivered when as many frames have come as it takes.
      const through = Math.floor((frames - base) / listeners);
      for (; reached < through; reached++) latencies[reached] = performance.now() - (sentAt[reached] ?? 0);
      while (sent < messages && sent - reached < inFlight) {
        sentAt[sent++] = performance.now();
        publisher.send(message);
      }
      if (reached === messages) resolve();
    };
    onFrames();
  });
  onFrames = () => {};
  return { seconds: (performance.now() - started) / 1_000, ...latencyOf(latencies) };
};

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(Number(line)))}\n`);
}
process.exit(0);
