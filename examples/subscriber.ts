import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import WebSocket from 'ws';

/**
 * A subscriber that misses nothing: it remembers the position of the last message that it has handled, in a file, and goes
 * on from there after a cut or a restart.
 *
 *     node examples/subscriber.ts 'orders.>' [position file] [ws://127.0.0.1:8080/ws]
 */
const [pattern = '>', file = 'subscriber.position', url = 'ws://127.0.0.1:8080/ws'] = process.argv.slice(2);

const remembered = (): string => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return 'start';
  }
};

type Frame =
  | { readonly type: 'message'; readonly topic: string; readonly payload: unknown; readonly position: string }
  | { readonly type: 'caughtUp'; readonly position: string }
  | { readonly type: 'gap'; readonly from: string; readonly to: string }
  | { readonly type: 'error'; readonly code: string; readonly message: string };

const token = process.env.NEXUS_TOKEN;
const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };

/** Resolves when the connection has ended. */
const follow = (): Promise<void> =>
  new Promise((resolve) => {
    const socket = new WebSocket(url, 'nexus.v1', { headers });
    socket.on('open', () => {
      socket.send(JSON.stringify({ type: 'subscribe', topic: pattern, after: remembered() }));
    });
    socket.on('message', (data: Buffer) => {
      const frame: Frame = JSON.parse(data.toString());
      if (frame.type === 'message') {
        process.stdout.write(`${frame.topic} ${JSON.stringify(frame.payload)}\n`);
        // Remembered together with what was done: here, what was printed.
        writeFileSync(file, frame.position);
      } else if (frame.type === 'gap') {
        process.stderr.write(`retention has taken what stood between ${frame.from} and ${frame.to}\n`);
      } else if (frame.type === 'error') {
        process.stderr.write(`${frame.code}: ${frame.message}\n`);
      }
    });
    socket.on('error', (error) => process.stderr.write(`${error.message}\n`));
    socket.on('close', () => resolve());
  });

for (;;) {
  await follow();
  await delay(1_000);
}
