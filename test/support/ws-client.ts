import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';

export type Frame = Readonly<Record<string, unknown>>;

export type WsClient = {
  readonly socket: WebSocket;
  /** Subprotocol that the server selected; empty for none. */
  readonly protocol: string;
  /** An object is sent as JSON, a text or Buffer as it stands. */
  send(frame: object | string | Buffer): void;
  /** The oldest frame that was not taken yet and fits, now or once it comes; it and no other is taken. */
  waitForMessage(fits: (frame: Frame) => boolean, what?: string): Promise<Frame>;
  /** The next frame of this `type`. */
  waitForType(type: string): Promise<Frame>;
  /** Sends with an `id` of its own and resolves with the answer to it. */
  ask(frame: object): Promise<Frame>;
  /** Takes every frame that stands there, in order, and then each as it comes, instead of keeping it. */
  onFrame(listener: (frame: Frame) => void): void;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  close(): Promise<void>;
};

export type WsOptions = {
  readonly path?: string;
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
};

type Waiter = {
  readonly fits: (frame: Frame) => boolean;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
};

const wsUrl = (url: string, path: string): string => `${url.replace(/^http/, 'ws')}${path}`;

/** Connects to the hub at `url` (http://HOST:PORT). What waits is rejected when the socket closes. */
export const openWs = async (url: string, options: WsOptions = {}): Promise<WsClient> => {
  const { path = '/ws', protocols = ['nexus.v1'], headers = {} } = options;
  const socket = new WebSocket(wsUrl(url, path), [...protocols], { headers });
  const kept: Frame[] = [];
  const waiters: Waiter[] = [];
  let listener: ((frame: Frame) => void) | undefined;
  let asked = 0;

  socket.on('message', (data) => {
    const frame = JSON.parse(data.toString()) as Frame;
    if (listener !== undefined) return listener(frame);
    const index = waiters.findIndex((waiter) => waiter.fits(frame));
    const [waiter] = index < 0 ? [] : waiters.splice(index, 1);
    if (waiter === undefined) kept.push(frame);
    else waiter.resolve(frame);
  });
  const closed = new Promise<{ readonly code: number; readonly reason: string }>((resolve) => {
    socket.on('close', (code, reason) => {
      for (const waiter of waiters.splice(0))
        waiter.reject(new Error(`the socket closed with ${code} ${reason}`));
      resolve({ code, reason: reason.toString() });
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});

  const waitForMessage = (fits: (frame: Frame) => boolean, what = 'a frame'): Promise<Frame> => {
    const index = kept.findIndex(fits);
    const [frame] = index < 0 ? [] : kept.splice(index, 1);
    if (frame !== undefined) return Promise.resolve(frame);
    if (socket.readyState === WebSocket.CLOSED)
      return Promise.reject(new Error(`${what}: the socket is closed`));
    return new Promise((resolve, reject) => {
      waiters.push({ fits, resolve, reject });
    });
  };
  const send = (frame: object | string | Buffer): void =>
    socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));

  return {
    socket,
    protocol: socket.protocol,
    send,
    waitForMessage,
    waitForType: (type) => waitForMessage((frame) => frame.type === type, type),
    ask: (frame) => {
      const id = `ask-${++asked}`;
      send({ ...frame, id });
      return waitForMessage((answer) => answer.id === id, `the answer ${id}`);
    },
    onFrame: (next) => {
      listener = next;
      for (const frame of kept.splice(0)) next(frame);
    },
    closed,
    close: async () => {
      socket.close();
      await closed;
    },
  };
};

/** Tries to connect where the hub should refuse, and resolves with its HTTP answer. */
export const refusedWs = (
  url: string,
  options: WsOptions = {},
): Promise<{ readonly status: number; readonly body: Frame; readonly headers: IncomingMessage['headers'] }> =>
  new Promise((resolve, reject) => {
    const { path = '/ws', protocols = ['nexus.v1'], headers = {} } = options;
    const socket = new WebSocket(wsUrl(url, path), [...protocols], { headers });
    socket.once('open', () => {
      socket.terminate();
      reject(new Error('the hub did not refuse'));
    });
    socket.on('error', () => {});
    socket.once('unexpected-response', (_request, response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          body: JSON.parse(text) as Frame,
          headers: response.headers,
        });
      });
    });
  });
