import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The parsed body; null when there was none. */
  readonly body: unknown;
};

export type CallOptions = {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it stands. */
  readonly raw?: string | Buffer;
};

/** One HTTP request by node:http, which sends every header field as it is told. */
export const call = (
  url: string,
  method: string,
  path: string,
  { headers = {}, json, raw }: CallOptions = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const payload = json === undefined ? raw : JSON.stringify(json);
    const { hostname, port } = new URL(url);
    const request = httpRequest(
      {
        hostname,
        port,
        method,
        path,
        headers: {
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(payload === undefined ? {} : { 'content-length': String(Buffer.byteLength(payload)) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const flat: Record<string, string> = {};
          for (const [name, value] of Object.entries(response.headers)) {
            flat[name] = Array.isArray(value) ? value.join(', ') : (value ?? '');
          }
          const isJson =
            flat['content-type']?.includes('json') === true && !flat['content-type'].includes('ndjson');
          const body: unknown = isJson && text !== '' ? JSON.parse(text) : null;
          resolve({ status: response.statusCode ?? 0, headers: flat, text, body });
        });
      },
    );
    request.on('error', reject);
    request.end(payload);
  });

/** Sends `bytes` on a socket of its own, and resolves with all that comes back until the server closes or `until` holds. */
export const exchange = (
  port: number,
  bytes: string | Buffer,
  until: (received: string) => boolean = () => false,
): Promise<string> =>
  new Promise((resolve, reject) => {
    let received = '';
    const socket: Socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      received += chunk.toString();
      if (until(received)) socket.destroy();
    });
    socket.on('close', () => resolve(received));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // A server that closes while the client still sends: what came before counts.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
  });

export type ServerEvent = { readonly id: string | undefined; readonly event: string; readonly data: string };

export type EventStream = {
  readonly status: number;
  readonly headers: Headers;
  /** The next event that carries data, or undefined when the stream has ended. */
  next(): Promise<ServerEvent | undefined>;
  /** The newest id, those without data included. */
  readonly lastId: string | undefined;
  close(): void;
};

/** A reader of server-sent events (HTML standard, section 9.2.6) that shows what a browser would know. */
export const openEvents = async (
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventStream> => {
  const abort = new AbortController();
  const response = await fetch(url, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: abort.signal,
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let lastId: string | undefined;
  return {
    status: response.status,
    headers: response.headers,
    get lastId() {
      return lastId;
    },
    next: async () => {
      for (;;) {
        const end = text.indexOf('\n\n');
        if (end < 0) {
          const part = await reader?.read().catch(() => undefined);
          if (part === undefined || part.done) return undefined;
          text += part.value;
          continue;
        }
        let event = 'message';
        let data: string | undefined;
        for (const line of text.slice(0, end).split('\n')) {
          if (line.startsWith('id: ')) lastId = line.slice(4);
          else if (line.startsWith('event: ')) event = line.slice(7);
          else if (line.startsWith('data: ')) data = line.slice(6);
        }
        text = text.slice(end + 2);
        if (data !== undefined) return { id: lastId, event, data };
      }
    },
    close: () => abort.abort(),
  };
};
