import { setTimeout as delay } from 'node:timers/promises';
import type { Router } from 'zeromq';
import type { Subject } from '../../../domain/access.ts';
import { steadyNow } from '../../clock.ts';
import { problem } from '../../errors.ts';
import { drainReason } from '../../gateway/askers.ts';
import { parseJson } from '../../gateway/json.ts';
import { problemOf } from '../../gateway/problem.ts';
import { ask, answer as reply } from '../../gateway/ws/exchange.ts';
import { parseFrame } from '../../gateway/ws/frame.ts';
import { createIntake, type Intake, type Sized, type Taken } from '../../gateway/ws/intake.ts';
import { errorFrame, mayWait, mutate } from '../../gateway/ws/mutate.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Budget } from './budget.ts';

/** Frames, and bytes of them, that one socket has taken and not answered yet; beyond that it is not read. */
export const maxInFlight = 1_024;
const maxInFlightBytes = 16 * 1024 * 1024;
const drainMs = 2_000;
/** The frames that are for this socket. */
const takenTypes: ReadonlySet<string> = new Set(['publish', 'command', 'request', 'reply']);
/** The identity, what a REQ or a proxy puts in front, and the payload. */
const maxFrames = 8;
const tooManyFrames = problem(
  'invalid',
  `A message has at most ${maxFrames} frames, and its last one counts`,
);

type Received = Sized & {
  readonly text: Buffer;
  /** What stands in front of the payload: the peer's identity, and for a REQ an empty frame. */
  readonly envelope: readonly Buffer[];
};
type Frames = (Buffer | string)[];

type Peer = { readonly identity: string; readonly intake: Intake<Received>; unanswered: number };

export type CommandOptions = {
  readonly core: NexusCore;
  readonly subject: Subject;
  readonly logger: Logger;
  /** Shared with other sockets. */
  readonly budget: Budget;
  /** Called for each message that came. */
  readonly heard?: () => void;
};

/**
 * Reads a ROUTER that is bound already: takes `publish`, `command`, `request` and `reply` frames of the WebSocket protocol
 * as `subject`, and answers each with one frame: a request when it has its reply, the others once durable. Frames of
 * one peer take effect in order.
 *
 * @returns what answers all that was taken, 2 s at most, then closes the socket. Idempotent.
 */
export const takeCommands = (socket: Router, options: CommandOptions): (() => Promise<void>) => {
  const { core, subject, logger, budget, heard = () => {} } = options;
  const { received } = core.meters.zeromq;
  const peers = new Map<string, Peer>();
  const answers: Frames[] = [];
  let sending: Promise<void> | undefined;
  let inFlight = 0;
  let inFlightBytes = 0;
  let closing = false;
  /** Requests that wait for their reply, and whoever waits for a lock: the hub bounds them, and they keep no other frame waiting. */
  const asking = new Set<Promise<void>>();
  const stopped = new AbortController();
  let wake: (() => void) | undefined;

  const send = async (): Promise<void> => {
    for (let next = answers.shift(); next !== undefined; next = answers.shift()) {
      // A peer that is gone, or does not read, gets no answer: libzmq drops it.
      if (socket.closed) continue;
      try {
        await socket.send(next);
      } catch (error) {
        if (!socket.closed) logger.warn({ err: error }, 'ZeroMQ could not answer');
      }
    }
    // In the turn that found no answer: one that comes a moment later would wait for the next to be sent.
    sending = undefined;
  };
  const answer = ({ envelope }: Received, text: string): void => {
    answers.push([...envelope, text]);
    sending ??= send();
  };

  const whenAnswered = (frame: Received, text: Promise<string>): void => {
    const told = text.then((known) => answer(frame, known)).finally(() => asking.delete(told));
    asking.add(told);
  };

  const answered = (peer: Peer, frame: Received, text: string): void => {
    answer(frame, text);
    release(peer, frame);
  };

  /** A frame counts from its arrival to its answer, a request until it is published, a wait until it begins. */
  const release = (peer: Peer, frame: Received): void => {
    inFlight--;
    inFlightBytes -= frame.bytes;
    budget.give(frame.bytes);
    if (--peer.unanswered === 0) peers.delete(peer.identity);
    wake?.();
  };

  const take = (peer: Peer, frame: Received): Taken | undefined => {
    const json = parseJson(frame.text);
    if (!json.ok) {
      received.add('refused');
      answered(peer, frame, errorFrame(json.problem));
      return undefined;
    }
    const { id, frame: parsed } = parseFrame(json.value);
    if (!parsed.ok) {
      received.add('refused');
      answered(peer, frame, errorFrame(parsed.problem, id));
      return undefined;
    }
    const understood = parsed.value;
    received.add(takenTypes.has(understood.type) ? understood.type : 'refused');
    const tellPeer = (text: string): void => answered(peer, frame, text);
    switch (understood.type) {
      case 'publish':
        return { settled: mutate(core, subject, understood, id, tell).then(tellPeer), next: 'at once' };
      case 'command':
        return {
          work: mayWait(understood)
            ? async () => {
                whenAnswered(frame, mutate(core, subject, understood, id, tell, stopped.signal));
                release(peer, frame);
              }
            : () => mutate(core, subject, understood, id, tell).then(tellPeer),
          next: 'settled',
        };
      case 'reply':
        return { settled: reply(core, subject, understood, id, tell).then(tellPeer), next: 'at once' };
      case 'request': {
        const asked = ask(core, subject, understood, id, tell, stopped.signal);
        whenAnswered(frame, asked.answered);
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
      heard();
      const text = frames.at(-1);
      const [first] = frames;
      if (text === undefined || first === undefined || frames.length < 2 || closing) continue;
      const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
      const room = budget.take(bytes);
      if (room !== undefined) await room;
      if (closing) {
        budget.give(bytes);
        continue;
      }
      const identity = first.toString('latin1');
      const peer = peers.get(identity) ?? openPeer(identity);
      inFlight++;
      inFlightBytes += bytes;
      peer.unanswered++;
      if (frames.length > maxFrames) {
        answered(peer, { text, bytes, envelope: [first] }, errorFrame(tooManyFrames));
      } else {
        peer.intake.push({ text, bytes, envelope: frames.slice(0, -1) });
      }
      while (inFlight >= maxInFlight || inFlightBytes >= maxInFlightBytes) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  };
  const receiving = receive().catch((error: unknown) => {
    if (!socket.closed) logger.error({ err: error }, 'ZeroMQ no longer takes commands');
  });

  const settled = async (): Promise<void> => {
    await Promise.all([...peers.values()].map((peer) => peer.intake.idle()));
    stopped.abort(drainReason());
    await Promise.all(asking);
    await sending;
  };

  const close = async (): Promise<void> => {
    closing = true;
    const limit = new AbortController();
    await Promise.race([settled(), delay(drainMs, undefined, { signal: limit.signal }).catch(() => {})]);
    limit.abort();
    socket.close();
    await receiving;
  };
  let closed: Promise<void> | undefined;
  return () => {
    closed ??= close();
    return closed;
  };
};
