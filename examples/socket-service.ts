import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';

/**
 * A service without a port, as behind a firewall: it registers over the WebSocket that it opens, and is called over it.
 *
 *     node examples/socket-service.ts [http://127.0.0.1:8080]
 *     curl -X POST http://127.0.0.1:8080/services/adder/invoke -H 'content-type: application/json' \
 *       -d '{"method":"add","data":{"a":1,"b":2}}'
 */
const hub = process.argv[2] ?? 'http://127.0.0.1:8080';
const token = process.env.NEXUS_TOKEN;
const id = `socket-adder-${process.pid}`;
const reconnectMs = 500;

type Call = { readonly call: number; readonly method: string; readonly data: { a: number; b: number } };

const answer = ({ call, method, data }: Call): object =>
  method === 'add'
    ? { type: 'callResult', call, result: { sum: data.a + data.b } }
    : { type: 'callFailed', call, error: { code: 'no_such_method', message: `there is no ${method}` } };

const registration = {
  id,
  name: 'adder',
  version: '1.0.0',
  capabilities: ['arithmetic'],
  reach: 'socket',
};

let stopping = false;
let socket: WebSocket;

/** Serves until the connection ends. */
const serve = (): Promise<void> =>
  new Promise((resolve) => {
    socket = new WebSocket(`${hub.replace(/^http/, 'ws')}/ws`, 'nexus.v1', {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    const send = (frame: object): void => socket.send(JSON.stringify(frame));
    socket.on('open', () => {
      // Frames take effect in order: the second finds what the first has registered.
      send({ type: 'command', command: { type: 'RegisterService', data: registration } });
      send({ type: 'serve', service: id });
    });
    socket.on('message', (text) => {
      const frame = JSON.parse(text.toString());
      if (frame.type === 'call') send(answer(frame));
      if (frame.type === 'serving') process.stdout.write(`${id} serves\n`);
      if (frame.type === 'error') process.stderr.write(`${frame.code}: ${frame.message}\n`);
      if (frame.type === 'result' && stopping) socket.close();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });

const stop = (): void => {
  stopping = true;
  socket.send(JSON.stringify({ type: 'command', command: { type: 'DeregisterService', data: { id } } }));
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);

while (!stopping) {
  await serve();
  if (!stopping) await delay(reconnectMs);
}
