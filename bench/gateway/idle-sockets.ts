import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/**
 * Opens WebSockets that say nothing but answer pings, from several addresses of this machine. Argument: JSON with `url`,
 * `token`, `count`. Prints a line when all are open.
 */
const { url, token, count }: { readonly url: string; readonly token?: string; readonly count: number } =
  JSON.parse(process.argv[2] ?? '{}');
const { hostname, port, host } = new URL(url);
const perAddress = 1_000;
const atOnce = 100;
const pong = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);
const upgrade =
  `GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  (token === undefined ? '' : `Authorization: Bearer ${token}\r\n`) +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: nexus.v1\r\n` +
  `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;

const open = async (index: number): Promise<Socket> => {
  const localAddress = `127.0.1.${1 + Math.floor(index / perAddress)}`;
  const socket = connect({ host: hostname, port: Number(port), localAddress });
  socket.write(upgrade);
  const [head]: unknown[] = await once(socket, 'data');
  if (!String(head).startsWith('HTTP/1.1 101')) throw new Error(String(head));
  socket.on('data', () => socket.write(pong));
  socket.on('close', () => {
    throw new Error('a socket was closed');
  });
  return socket;
};

for (let index = 0; index < count; index += atOnce)
  await Promise.all(Array.from({ length: Math.min(atOnce, count - index) }, (_, next) => open(index + next)));
process.stdout.write('open\n');
