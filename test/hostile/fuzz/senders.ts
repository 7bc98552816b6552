import { randomBytes } from 'node:crypto';
import { type Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { Dealer } from 'zeromq';
import type { HttpInput } from './inputs.ts';

/** How long an answer is waited for before the client goes: tails, pulls and waits have no end of their own. */
const patienceMs = 1_000;
/** What no input may bring about, in whatever an answer says. */
export const isFault = (text: string): boolean => /"code":"internal"|^HTTP\/1\.1 500 /m.test(text);

/** Resolves with the status and the beginning of the answer; 0 when there is none. */
export const sendHttp = (
  agent: Agent,
  port: number,
  { method, path, headers, body }: HttpInput,
): Promise<{ readonly status: number; readonly text: string }> =>
  new Promise((resolve) => {
    let status = 0;
    let text = '';
    const length = body === undefined ? {} : { 'content-length': String(body.length) };
    const request = httpRequest({
      agent,
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: { ...headers, ...length },
      timeout: patienceMs,
    });
    const end = (): void => resolve({ status, text });
    request.on('response', (response) => {
      status = response.statusCode ?? 0;
      response.on('data', (chunk: Buffer) => {
        if (text.length < 10_000) text += chunk.toString('latin1');
        else if (response.headers['content-type']?.startsWith('text/event-stream')) request.destroy();
      });
      response.on('end', end).on('error', end).on('close', end);
      if (response.headers['content-type']?.startsWith('text/event-stream')) request.destroy();
    });
    request.on('upgrade', (_response, socket) => {
      status = 101;
      socket.destroy();
      end();
    });
    request
      .on('timeout', () => request.destroy())
      .on('error', end)
      .on('close', end);
    request.end(body);
  });

/** Resolves with all that came on a socket of its own until it ended, or until patience did. */
export const sendRaw = (port: number, bytes: Buffer, patience = patienceMs): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setTimeout(patience, () => socket.destroy());
    socket.on('data', (chunk) => {
      if (text.length < 10_000) text += chunk.toString('latin1');
      if (text.includes('text/event-stream')) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });

const handshake = (): string =>
  `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;

/** A socket that is opened, sent `bytes` in the place of frames, and left. */
export const sendSocketBytes = (port: number, bytes: Buffer): Promise<string> =>
  sendRaw(port, Buffer.concat([Buffer.from(handshake()), bytes]), 100);

/** Opens a WebSocket and sends `frames`, one in eight as binary. Resolves with what came, and the code that it closed with. */
export const sendFrames = (
  port: number,
  path: string,
  protocol: string,
  frames: readonly Buffer[],
): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, [protocol]);
    const patience = setTimeout(() => socket.terminate(), 5 * patienceMs);
    socket.on('open', () => {
      if (protocol !== 'nexus.v1') socket.send('{"type":"connection_init"}');
      for (const [index, frame] of frames.entries()) {
        if (socket.readyState !== WebSocket.OPEN) return;
        const pieces = index % 5 === 4 && frame.length > 2;
        const binary = index % 8 === 7;
        if (!pieces) socket.send(frame, { binary });
        else {
          socket.send(frame.subarray(0, 1), { binary, fin: false });
          socket.send(frame.subarray(1), { binary, fin: true });
        }
      }
      socket.ping();
    });
    // The hub has read all that came before; what it still works on, it does without us.
    socket.on('pong', () => socket.close());
    socket.on('message', (data) => {
      const part = data.toString();
      if (isFault(part) || text.length < 1_000) text += part;
    });
    socket.on('error', () => {});
    socket.on('close', (code) => {
      clearTimeout(patience);
      resolve(code === 1011 ? `${text} "code":"internal"` : text);
    });
  });

const lastMessage = '{"type":"publish","id":"the-last-one","topic":"fuzz.last","payload":1}';
const maxTries = 20;

/**
 * Sends messages on one connection, then a good one, whose answer says that the others were read; all is told. It is sent
 * again when it was lost: a message that is too large has the hub cut the connection, and what waits on it goes too.
 */
export const sendMessages = async (
  endpoint: string,
  messages: readonly (readonly Buffer[])[],
): Promise<string> => {
  const socket = new Dealer({ linger: 0, receiveTimeout: patienceMs, sendTimeout: patienceMs });
  socket.connect(endpoint);
  let text = '';
  try {
    for (const message of messages) await socket.send([...message]);
    for (let tries = 1; tries <= maxTries; tries++) {
      await socket.send(lastMessage);
      try {
        while (!text.includes('the-last-one')) text += String((await socket.receive()).at(-1));
        return text;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      }
    }
    return `${text} "code":"internal": a good message was not answered`;
  } finally {
    socket.close();
  }
};
