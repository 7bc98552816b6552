import { once } from 'node:events';
import { WebSocket } from 'ws';
import * as z from 'zod';

const frame = z.looseObject({ type: z.string() });
export type Frame = z.output<typeof frame>;

/** What the hub pushes over one WebSocket, as it comes. */
export type Live = {
  /** Resolves with the first frame, past or to come, that `matches`. */
  until(matches: (frame: Frame) => boolean): Promise<Frame>;
  close(): void;
};

const waitLimitMs = 15_000;

/**
 * Follows all messages under `demo.` and every change of a service.
 *
 * @param onFrame gets every frame in order.
 */
export const follow = async (hubUrl: string, onFrame: (frame: Frame) => void): Promise<Live> => {
  const socket = new WebSocket(`${hubUrl.replace('http', 'ws')}/ws`, 'nexus.v1');
  const frames: Frame[] = [];
  const waiting = new Set<(frame: Frame) => void>();

  socket.on('message', (data) => {
    const received = frame.parse(JSON.parse(data.toString()));
    frames.push(received);
    onFrame(received);
    for (const look of waiting) look(received);
  });
  await once(socket, 'open');
  // The hub's death is part of the play: the socket breaks with it.
  socket.on('error', () => undefined);

  const live: Live = {
    until: (matches) =>
      new Promise((resolve, reject) => {
        const past = frames.find(matches);
        if (past !== undefined) return resolve(past);
        const timer = setTimeout(() => {
          waiting.delete(look);
          reject(new Error(`the hub did not push what was waited for within ${waitLimitMs} ms`));
        }, waitLimitMs);
        const look = (received: Frame): void => {
          if (!matches(received)) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(received);
        };
        waiting.add(look);
      }),
    close: () => socket.terminate(),
  };
  socket.send(JSON.stringify({ type: 'watchServices', id: 'services' }));
  socket.send(JSON.stringify({ type: 'subscribe', topic: 'demo.>', id: 'messages' }));
  for (const id of ['services', 'messages']) {
    const answer = await live.until((received) => received.id === id);
    if (answer.type === 'error') throw new Error(`the hub refused to push: ${JSON.stringify(answer)}`);
  }
  return live;
};
