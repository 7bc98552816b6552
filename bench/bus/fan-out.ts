import { once } from 'node:events';
import { join } from 'node:path';
import type { Audience, AudienceResult } from '../support/audience.ts';
import { openSocket } from '../support/clients.ts';
import { text } from '../support/events.ts';
import { type BenchHub, startHub } from '../support/hub.ts';
import { inTurns, type Load, latency, perSec, print, ratio } from '../support/measure.ts';
import { type Cpu, type Running, startProcess } from '../support/process.ts';
import type { PartOptions } from './part.ts';

const listeners = 1_000;
const topic = 'bench.fan';
const scope = 'events:publish:bench.> events:read:bench.>';
const message = JSON.stringify({ type: 'publish', topic, payload: { text: text(180) } });
const hello = JSON.stringify({ type: 'subscribe', topic });

/** What a subscriber is sent for `message`: the reference sends the same bytes. */
const frameOf = async (hub: BenchHub): Promise<string> => {
  const { socket, send } = await openSocket(hub.url, hub.token(scope));
  const frames: string[] = [];
  socket.on('message', (data: Buffer) => frames.push(data.toString()));
  send(JSON.stringify({ type: 'subscribe', topic }));
  send(message);
  for (;;) {
    const frame = frames.find((one) => one.startsWith('{"type":"message"'));
    if (frame !== undefined) {
      socket.terminate();
      return frame;
    }
    await once(socket, 'message');
  }
};

type Room = { readonly server: Running; readonly audience: Running };

const startAudience = (folder: string, audience: Audience): Promise<Running> =>
  startProcess({
    argv: [join(import.meta.dirname, '../support/audience.ts'), JSON.stringify(audience)],
    cwd: folder,
  });

const deliver = async (room: Room, messages: number): Promise<Load> => {
  const answer: AudienceResult = JSON.parse(await room.audience.ask(String(messages)));
  return {
    perSec: (messages * listeners) / answer.seconds,
    p50Ms: answer.p50Ms,
    p99Ms: answer.p99Ms,
  };
};

/**
 * One publisher to 1,000 subscribers, each a socket of its own: all of them on one hub, which stores each message before
 * it is delivered, beside a bare `ws` server that sends the same bytes. The publisher keeps so many messages on their way.
 */
export const benchFanOut = async (options: PartOptions): Promise<void> => {
  const { folder, rounds, scale, profile } = options;
  print(`\nFan-out to ${listeners} WebSocket subscribers`);
  const hub = await startHub({ folder: join(folder, 'fan-out'), authenticated: true, profile });
  const bare = await startProcess({
    argv: [join(import.meta.dirname, '../support/bare-broadcast.ts')],
    cwd: folder,
  });
  const frame = await frameOf(hub);
  print(`  ${Buffer.byteLength(frame)} bytes a frame; the audience counts them in a process of its own`);
  const token = hub.token(scope);
  const hubUrl = `${hub.url.replace('http', 'ws')}/ws`;
  const bareUrl = `ws://127.0.0.1:${bare.line}`;
  try {
    for (const inFlight of [1, 64]) {
      if (options.ways?.includes(String(inFlight)) === false) continue;
      const messages = Math.round((inFlight === 1 ? 500 : 2_000) * scale);
      const rooms: Readonly<Record<'nexus' | 'bare', Room>> = {
        nexus: {
          server: hub,
          audience: await startAudience(folder, {
            url: hubUrl,
            publishUrl: hubUrl,
            ...(token === undefined ? {} : { token }),
            listeners,
            hello,
            greetings: 1,
            message,
            inFlight,
          }),
        },
        bare: {
          server: bare,
          audience: await startAudience(folder, {
            url: `${bareUrl}/`,
            publishUrl: `${bareUrl}/publish`,
            listeners,
            greetings: 0,
            message: frame,
            inFlight,
          }),
        },
      };
      const used = new Map<string, number>();
      const turn = (key: 'nexus' | 'bare') => async (): Promise<Load> => {
        const before: Cpu = rooms[key].server.cpu();
        const result = await deliver(rooms[key], messages);
        used.set(key, (used.get(key) ?? 0) + rooms[key].server.cpu().all - before.all);
        return result;
      };
      for (const key of ['nexus', 'bare'] as const) await deliver(rooms[key], Math.ceil(messages / 4));
      const results = await inTurns(rounds, { nexus: turn('nexus'), bare: turn('bare') });
      const each = (key: string): string =>
        ((used.get(key) ?? 0) / (messages * listeners * rounds)).toFixed(2);
      print(
        `  ${inFlight} in flight, n ${messages}: nexus ${perSec(results.nexus)} (${latency(results.nexus)}; processor ${each('nexus')} µs a delivery); ` +
          `bare ws ${perSec(results.bare)} (${latency(results.bare)}; ${each('bare')} µs); ratio ${ratio(results.nexus, results.bare)}`,
      );
      for (const room of Object.values(rooms)) await room.audience.close();
    }
  } finally {
    await hub.close();
    await bare.close();
  }
};
