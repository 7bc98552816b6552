import { setTimeout as delay } from 'node:timers/promises';
import WebSocket from 'ws';

/**
 * A worker of a durable subscription: it works on a few messages at a time, acknowledges each when its work is done, and
 * says why when it is not. Any number of workers share the messages; what one holds when it is killed goes to another,
 * and what fails too often is a dead letter with its reasons.
 *
 *     curl -X PUT http://127.0.0.1:8080/subscriptions/billing -H 'content-type: application/json' -d '{"topic":"orders.>"}'
 *     node examples/worker.ts billing [ws://127.0.0.1:8080/ws]
 */
const [group = 'billing', url = 'ws://127.0.0.1:8080/ws'] = process.argv.slice(2);
const atOnce = 10;
/** Well within the subscription's ackWaitMs, 30 s unless it says otherwise. */
const extendEveryMs = 10_000;

type Message = {
  readonly type: 'message';
  readonly topic: string;
  readonly payload: unknown;
  readonly delivery: string;
  readonly attempt: number;
};
type Frame =
  | Message
  | { readonly type: 'subscribed' }
  | { readonly type: 'unsubscribed' }
  | { readonly type: 'error'; readonly code: string; readonly message: string };

const work = async ({ topic, payload, attempt }: Message): Promise<void> => {
  if (typeof payload !== 'object' || payload === null || !('order' in payload)) {
    throw new Error('the payload has no order');
  }
  process.stdout.write(`${topic} order ${JSON.stringify(payload.order)}, attempt ${attempt}\n`);
};

const token = process.env.NEXUS_TOKEN;
const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
let stopping = false;
let leave = (): void => process.exit();
process.once('SIGTERM', () => {
  stopping = true;
  leave();
});

/** Resolves when the connection has ended. */
const serve = (): Promise<void> =>
  new Promise((resolve) => {
    const socket = new WebSocket(url, 'nexus.v1', { headers });
    const send = (frame: object): void => socket.send(JSON.stringify(frame));
    /** Work under way. */
    const open = new Set<Promise<void>>();

    const handle = async (message: Message): Promise<void> => {
      const { delivery } = message;
      const extending = setInterval(() => send({ type: 'extend', delivery }), extendEveryMs);
      try {
        await work(message);
        send({ type: 'ack', delivery });
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        process.stdout.write(`${message.topic} failed: ${reason}\n`);
        // It comes again after the backoff.
        send({ type: 'nak', delivery, reason });
      } finally {
        clearInterval(extending);
      }
    };

    // What is not begun goes back to the others; what is, is finished first.
    leave = () => {
      void Promise.all(open).then(() => send({ type: 'unsubscribe', subscription: 'work' }));
    };

    socket.on('open', () => send({ type: 'subscribe', group, max: atOnce, subscription: 'work' }));
    socket.on('message', (data: Buffer) => {
      const frame: Frame = JSON.parse(data.toString());
      if (frame.type === 'message') {
        if (stopping) return;
        const handled = handle(frame).finally(() => open.delete(handled));
        open.add(handled);
      } else if (frame.type === 'subscribed') process.stdout.write(`a worker of ${group}\n`);
      else if (frame.type === 'unsubscribed') socket.close();
      else process.stderr.write(`${frame.code}: ${frame.message}\n`);
    });
    socket.on('error', (error) => process.stderr.write(`${error.message}\n`));
    socket.on('close', () => resolve());
  });

while (!stopping) {
  await serve();
  if (!stopping) await delay(1_000);
}
