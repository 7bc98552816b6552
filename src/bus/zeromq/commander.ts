import { setTimeout as delay } from 'node:timers/promises';
import { Router } from 'zeromq';
import type { Subject } from '../../../domain/access.ts';
import { steadyNow } from '../../clock.ts';
import { problem } from '../../errors.ts';
import { drainReason } from '../../gateway/askers.ts';
import { parseJson } from '../../gateway/json.ts';
import { problemOf } from '../../gateway/problem.ts';
import { ask, answer as reply } from '../../gateway/ws/exchange.ts';
import { parseFrame } from '../../gateway/ws/frame.ts';
import { createIntake, type Intake, type Sized, type Taken } from '../../gateway/ws/intake.ts';
import { errorFrame, mutate } from '../../gateway/ws/mutate.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import { type Endpoint, socketOptions } from './endpoint.ts';

export type Commander = {
  /** What was bound, `tcp://HOST:PORT`. */
  readonly endpoint: string;
  /** Answers what was taken, 2 s at most, then closes. */
  close(): Promise<void>;
};

const maxFrameBytes = 1024 * 1024;
/** Frames, and bytes of them, that were taken and not answered yet; beyond that the socket is not read. */
const maxInFlight = 1_024;
const maxInFlightBytes = 16 * 1024 * 1024;
const highWaterMark = 64;
const drainMs = 2_000;

type Received = Sized & {
  readonly text: Buffer;
  /** What stands in front of the payload: the peer's identity, and for a REQ an empty frame. */
  readonly envelope: readonly Buffer[];
};
type Frames = (Buffer | string)[];

type Peer = { readonly identity: string; readonly intake: Intake<Received>; unanswered: number };

/**
 * Takes `publish`, `command`, `request` and `reply` frames of the WebSocket protocol from DEALER and REQ sockets and
 * answers each with one frame: a request when it has its reply, the others once durable. Frames of one peer take
 * effect in order.
 *
 * @throws {Error} `EADDRINUSE` and the like, in `code`.
 */
export const openCommander = async (
  core: NexusCore,
  endpoint: Endpoint,
  subject: Subject,
  logger: Logger,
): Promise<Commander> => {
  const socket = new Router({
    ...socketOptions,
    maxMessageSize: maxFrameBytes,
    receiveHighWaterMark: highWaterMark,
    sendHighWaterMark: maxInFlight,
  });
  try {
    await socket.bind(endpoint.address);
  } catch (error) {
    socket.close();
    throw error;
  }

  const peers = new Map<string, Peer>();
  const answers: Frames[] = [];
  let sending: Promise<void> | undefined;
  let inFlight = 0;
  let inFlightBytes = 0;
  let closing = false;
  /** Requests that wait for their reply: they are bounded by the hub, and keep no other frame waiting. */
  const asking = new Set<Promise<void>>();
  const stopped = new AbortController();
  let wake: (() => void) | undefined;

  const send = async (): Promise<void> => {
    for (let next = answers.shift(); next !== undefined; next = answers.shift()) {
      // A peer that is gone, or does not read, gets no answer: libzmq drops it.
      if (!socket.closed) await socket.send(next);
    }
  };
  const answer = ({ envelope }: Received, text: string): void => {
    answers.push([...envelope, text]);
    sending ??= send()
      .catch((error: unknown) => logger.warn({ err: error }, 'ZeroMQ could not answer'))
      .finally(() => {
        sending = undefined;
      });
  };

  const answered = (peer: Peer, frame: Received, text: string): void => {
    answer(frame, text);
    release(peer, frame);
  };

  /** A frame counts from its arrival to its answer, a request until it is published. */
  const release = (peer: Peer, frame: Received): void => {
    inFlight--;
    inFlightBytes -= frame.bytes;
    if (--peer.unanswered === 0) peers.delete(peer.identity);
    wake?.();
  };

  const take = (peer: Peer, frame: Received): Taken | undefined => {
    const json = parseJson(frame.text);
    if (!json.ok) {
      answered(peer, frame, errorFrame(json.problem));
      return undefined;
    }
    const { id, frame: parsed } = parseFrame(json.value);
    if (!parsed.ok) {
      answered(peer, frame, errorFrame(parsed.problem, id));
      return undefined;
    }
    const understood = parsed.value;
    const tellPeer = (text: string): void => answered(peer, frame, text);
    switch (understood.type) {
      case 'publish':
        return { settled: mutate(core, subject, understood, id, tell).then(tellPeer), next: 'at once' };
      case 'command':
        return { work: () => mutate(core, subject, understood, id, tell).then(tellPeer), next: 'settled' };
      case 'reply':
        return { settled: reply(core, subject, understood, id, tell).then(tellPeer), next: 'at once' };
      case 'request': {
        const asked = ask(core, subject, understood, id, tell, stopped.signal);
        const told = asked.answered.then((text) => answer(frame, text)).finally(() => asking.delete(told));
        asking.add(told);
        return { settled: asked.published.then(() => release(peer, frame)), next: 'at once' };
      }
      default: {
        const why = problem('not_supported', 'This socket takes publish, command, request and reply');
        answered(peer, frame, errorFrame(why, id));
        return undefined;
      }
    }
  };
  const tell = (error: unknown) => problemOf(error, logger);

  const openPeer = (identity: string): Peer => {
    const peer: Peer = {
      identity,
      unanswered: 0,
      intake: createIntake<Received>({
        // All peers share one socket, so it is that which is not read while too much is under way.
        socket: { pause: () => {}, resume: () => {} },
        framesPerSec: 0,
        maxInFlight,
        maxInFlightBytes,
        room: () => undefined,
        nowMs: steadyNow,
        failed: (error) => logger.error({ err: error }, 'ZeroMQ could not take a frame'),
        take: (frame) => take(peer, frame),
      }),
    };
    peers.set(identity, peer);
    return peer;
  };

  const receive = async (): Promise<void> => {
    for await (const frames of socket) {
      const text = frames.at(-1);
      const [first] = frames;
      if (text === undefined || first === undefined || frames.length < 2 || closing) continue;
      const identity = first.toString('latin1');
      const peer = peers.get(identity) ?? openPeer(identity);
      inFlight++;
      inFlightBytes += text.length;
      peer.unanswered++;
      peer.intake.push({ text, bytes: text.length, envelope: frames.slice(0, -1) });
      while (inFlight >= maxInFlight || inFlightBytes >= maxInFlightBytes) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  };
  const received = receive().catch((error: unknown) => {
    if (!socket.closed) logger.error({ err: error }, 'ZeroMQ no longer takes commands');
  });

  const settled = async (): Promise<void> => {
    await Promise.all([...peers.values()].map((peer) => peer.intake.idle()));
    stopped.abort(drainReason());
    await Promise.all(asking);
    await sending;
  };

  return {
    endpoint: socket.lastEndpoint ?? endpoint.address,
    close: async () => {
      closing = true;
      const limit = new AbortController();
      await Promise.race([settled(), delay(drainMs, undefined, { signal: limit.signal }).catch(() => {})]);
      limit.abort();
      socket.close();
      await received;
    },
  };
};
