import { connect } from 'node:net';

export type RawAnswer = {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

const headerOf = (text: string): Omit<RawAnswer, 'body'> => {
  const [line = '', ...fields] = text.split('\r\n');
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
  }
  return { status: Number(line.split(' ')[1]), headers };
};

/** The whole answers in `received`, in order; what is left is the beginning of the next. */
export const answersIn = (
  received: string,
): { readonly answers: readonly RawAnswer[]; readonly rest: string } => {
  const answers: RawAnswer[] = [];
  let rest = received;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return { answers, rest };
    const header = headerOf(rest.slice(0, end));
    const length =
      header.status < 200 || header.status === 204 ? 0 : Number(header.headers['content-length'] ?? 0);
    const body = rest.slice(end + 4, end + 4 + length);
    if (body.length < length) return { answers, rest };
    // 100: the hub only asks for the body.
    if (header.status >= 101) answers.push({ ...header, body });
    rest = rest.slice(end + 4 + length);
  }
};

/** The id of the request by which is seen that a connection goes on, and that the answers so far are all. */
const lastId = 'the-last-one';
const last = `GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-Id: ${lastId}\r\n\r\n`;

export type Exchange = {
  readonly answers: readonly RawAnswer[];
  /** True when the hub ended the connection after them; else one more request was answered on it. */
  readonly closed: boolean;
  /** What came and is no answer. */
  readonly rest: string;
};

/**
 * Sends `bytes` on a connection of its own. After `count` answers another request is sent, so that a connection that goes
 * on is told from one that ends, and an answer too many is seen; with no `count`, nothing but the end is waited for.
 */
export const exchange = (port: number, bytes: string | Buffer, count?: number): Promise<Exchange> =>
  new Promise((resolve, reject) => {
    let received = '';
    let asked = false;
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (asked || count === undefined || answersIn(received).answers.length < count) return;
      asked = true;
      socket.write(last);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // A server that closes while the client still sends: what came before counts.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => {
      const { answers, rest } = answersIn(received);
      const goesOn = answers.at(-1)?.headers['x-request-id'] === lastId;
      resolve({ answers: goesOn ? answers.slice(0, -1) : answers, closed: !goesOn, rest });
    });
  });
