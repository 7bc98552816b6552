import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createHttpClient } from '../support/http-client.ts';

/** One kind of slow clients, until it is ended. Argument: JSON with `url`, `token`, `kind`. Prints a line when they are there. */
const { url, token, kind }: { readonly url: string; readonly token: string; readonly kind: string } =
  JSON.parse(process.argv[2] ?? '{}');
const { hostname, port, host } = new URL(url);
const field = `Authorization: Bearer ${token}\r\n`;

/** A connection of this place; the next one when it ends. */
const open = (begin: (socket: Socket) => void): Promise<unknown> => {
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {});
  socket.on('close', () => setTimeout(() => open(begin), 10));
  return once(socket, 'connect').then(() => begin(socket));
};

const drip = (socket: Socket): void => {
  const request = `PUT /state/slow HTTP/1.1\r\nHost: ${host}\r\n${field}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n`;
  let at = 0;
  const timer = setInterval(() => socket.write(request[at++] ?? '1'), 1_000);
  socket.on('close', () => clearInterval(timer));
};

const deaf = (socket: Socket): void => {
  socket.pause();
  socket.write(`GET /state?prefix=large HTTP/1.1\r\nHost: ${host}\r\n${field}\r\n`.repeat(2));
};

switch (kind) {
  case 'drip':
    await Promise.all(Array.from({ length: 100 }, () => open(drip)));
    break;
  case 'deaf': {
    const client = createHttpClient(url, 1, field);
    const body = JSON.stringify({ value: 'x'.repeat(900_000) });
    for (let index = 0; index < 12; index++) await client.request('PUT', `/state/large${index}`, body);
    client.close();
    await open(deaf);
    break;
  }
  default:
    for (let index = 0; index < 5_000; index += 100)
      await Promise.all(Array.from({ length: 100 }, () => open((socket) => void socket.resume())));
}
process.stdout.write('there\n');
