import { connect, type Socket } from 'node:net';

export type HttpAnswer = { readonly status: number; readonly text: string };

/** Asks over keep-alive connections, one request at a time on each; a request waits for one that is free. */
export type HttpClient = {
  request(method: string, path: string, body?: string, fields?: string): Promise<HttpAnswer>;
  close(): void;
};

type Connection = { readonly socket: Socket; answer: PromiseWithResolvers<HttpAnswer> | undefined };

/**
 * As little as a client can do, as that of a load generator: it understands answers with a Content-Length, and nothing
 * else. With a full client a benchmark on two cores would measure the client.
 *
 * @param connections At most; made when they are needed.
 * @param headers Of each request, each ended by CRLF.
 */
export const createHttpClient = (url: string, connections: number, headers: string): HttpClient => {
  const { hostname, port, host } = new URL(url);
  const all = new Set<Connection>();
  const free: Connection[] = [];
  const waiting: ((connection: Connection) => void)[] = [];

  const open = (): Connection => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const connection: Connection = { socket, answer: undefined };
    all.add(connection);
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = received.toString('latin1', 0, end);
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      const text = received.toString('utf8', end + 4, end + 4 + length);
      received = Buffer.alloc(0);
      const { answer } = connection;
      connection.answer = undefined;
      const next = waiting.shift();
      if (next === undefined) free.push(connection);
      else next(connection);
      answer?.resolve({ status: Number(head.slice(9, 12)), text });
    });
    const broken = (): void => {
      all.delete(connection);
      const at = free.indexOf(connection);
      if (at >= 0) free.splice(at, 1);
      connection.answer?.reject(new Error(`${url} has closed the connection`));
    };
    socket.on('error', broken).on('close', broken);
    return connection;
  };

  const take = (): Connection | Promise<Connection> =>
    free.pop() ?? (all.size < connections ? open() : new Promise((resolve) => waiting.push(resolve)));

  return {
    async request(method, path, body, fields = '') {
      const connection = await take();
      const answer = Promise.withResolvers<HttpAnswer>();
      connection.answer = answer;
      const content =
        body === undefined
          ? '\r\n'
          : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
      connection.socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}${fields}${content}`);
      return answer.promise;
    },
    close: () => {
      for (const { socket } of all) socket.destroy();
    },
  };
};
