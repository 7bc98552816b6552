import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import WebSocket from 'ws';
import { Dealer } from 'zeromq';

/** Publishes and resolves with the position of the message once the hub says that it is durable. */
export type Publisher = {
  publish(topic: string, payload: unknown, key?: string): Promise<string>;
  close(): Promise<void>;
};

type Answer = {
  readonly type: string;
  readonly id?: number;
  readonly position?: string;
  readonly message?: string;
};

/** Waiters by the id of their frame: answers come in any order. */
const createWaiters = () => {
  const waiting = new Map<number, PromiseWithResolvers<string>>();
  let made = 0;
  return {
    add: (): { readonly id: number; readonly promise: Promise<string> } => {
      const waiter = Promise.withResolvers<string>();
      waiting.set(++made, waiter);
      return { id: made, promise: waiter.promise };
    },
    settle: (text: string): void => {
      const { id = 0, type, position, message }: Answer = JSON.parse(text);
      const waiter = waiting.get(id);
      waiting.delete(id);
      if (type === 'published') waiter?.resolve(position ?? '');
      else waiter?.reject(new Error(`${type}: ${message}`));
    },
  };
};

/** A WebSocket whose frames of one turn leave in one system call, as commands of ioredis do when they are auto-pipelined. */
export const openSocket = async (
  url: string,
  token: string | undefined,
): Promise<{ readonly socket: WebSocket; send(text: string): void }> => {
  let transport: Socket | undefined;
  const { hostname, port } = new URL(url);
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, 'nexus.v1', {
    perMessageDeflate: false,
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    createConnection: () => {
      transport = connectTcp({ host: hostname, port: Number(port), noDelay: true });
      return transport;
    },
  });
  await once(socket, 'open');
  let corked = false;
  const uncork = (): void => {
    corked = false;
    transport?.uncork();
  };
  return {
    socket,
    send: (text) => {
      if (!corked) {
        corked = true;
        transport?.cork();
        process.nextTick(uncork);
      }
      socket.send(text);
    },
  };
};

export const openSocketPublisher = async (url: string, token: string | undefined): Promise<Publisher> => {
  const { socket, send } = await openSocket(url, token);
  const waiters = createWaiters();
  socket.on('message', (data: Buffer) => waiters.settle(data.toString()));
  return {
    publish: (topic, payload, key) => {
      const { id, promise } = waiters.add();
      send(JSON.stringify({ type: 'publish', id, topic, payload, key }));
      return promise;
    },
    close: async () => {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
};

/** The same over ZeroMQ: a DEALER, with one send under way at a time, as libzmq's binding asks. */
export const openDealerPublisher = (endpoint: string): Publisher => {
  const dealer = new Dealer({ linger: 0, sendHighWaterMark: 10_000, receiveHighWaterMark: 10_000 });
  dealer.connect(endpoint);
  const waiters = createWaiters();
  const queue: string[] = [];
  let sending = false;
  const send = async (): Promise<void> => {
    sending = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await dealer.send(next);
    sending = false;
  };
  const receive = async (): Promise<void> => {
    for await (const [frame] of dealer) if (frame !== undefined) waiters.settle(frame.toString());
  };
  const received = receive();
  return {
    publish: (topic, payload, key) => {
      const { id, promise } = waiters.add();
      queue.push(JSON.stringify({ type: 'publish', id, topic, payload, key }));
      if (!sending) void send();
      return promise;
    },
    close: async () => {
      dealer.close();
      await received.catch(() => undefined);
    },
  };
};
