import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { RawData, WebSocket } from 'ws';
import { steadyNow } from '../../clock.ts';
import { type Problem, problem } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import type { NexusCore } from '../../nexus-core.ts';
import type { Access, Admitted } from '../auth/access.ts';
import { parseJson } from '../json.ts';
import { problemOf } from '../problem.ts';
import { answer, createAsking } from './exchange.ts';
import { type FrameId, isWriting, parseFrame } from './frame.ts';
import { frameName } from './frame-name.ts';
import { createIntake, type Incoming, type Taken } from './intake.ts';
import { errorFrame, mayWait, mutate } from './mutate.ts';
import { createOutbox } from './outbox.ts';
import { createReplays } from './replays.ts';
import { createServices } from './services.ts';
import { createSettlements } from './settlements.ts';
import { createSubscriptions } from './subscriptions.ts';

export type SessionLimits = {
  readonly framesPerSec: number;
  readonly maxInFlight: number;
  readonly maxInFlightBytes: number;
  readonly maxBufferedBytes: number;
  readonly maxSubscriptions: number;
  /** Deliveries whose settling may be under way at once. */
  readonly maxSettling: number;
  /** So many bad frames at once, and a tenth of it more in each second, before the socket is closed with 4429. */
  readonly maxBadFrames: number;
  /** So long the hub, when it goes away, waits for the answers to calls that the client was sent. */
  readonly drainServicesMs: number;
};

export const sessionLimits: Omit<SessionLimits, 'framesPerSec'> = {
  maxInFlight: 1_024,
  maxInFlightBytes: 8 * 1024 * 1024,
  maxBufferedBytes: 1024 * 1024,
  maxSubscriptions: 1_000,
  maxSettling: 8_192,
  maxBadFrames: 100,
  drainServicesMs: 3_000,
};

export type SessionOptions = {
  readonly socket: WebSocket;
  readonly transport: Duplex;
  readonly subject: Admitted;
  readonly core: NexusCore;
  readonly access: Access;
  readonly logger: Logger;
  readonly limits: SessionLimits;
  /** Called when the peer shows that it lives, by taking what was buffered for it. */
  readonly onAlive: () => void;
};

/** One client of /ws. */
export type Session = {
  /** True while the hub itself does not read the socket, so that silence says nothing of the peer. */
  readonly paused: boolean;
  /** Takes no further frame and resolves when what was taken has settled and was answered. */
  drain(): Promise<void>;
};

export const closeCodes = {
  goingAway: 1001,
  internal: 1011,
  tryAgain: 1013,
  unauthorized: 4401,
  flood: 4429,
} as const;

/** A session in which the client has spoken. */
export type Conversation = Session & {
  /** The first message; those behind it are heard. */
  hear(data: RawData, isBinary: boolean): void;
};

export const openConversation = (options: SessionOptions): Conversation => {
  const { socket, core, access, logger, limits } = options;
  let subject = options.subject;
  let badFrames = 0;
  let badSince = steadyNow();
  let draining = false;
  let stopWatching = (): void => {};

  const outbox = createOutbox({
    socket,
    transport: options.transport,
    highBytes: limits.maxBufferedBytes,
    onDrained: options.onAlive,
  });
  const tell = (error: unknown): Problem => problemOf(error, logger);
  const replays = createReplays({ core, outbox, tell });
  const subscriptions = createSubscriptions({ core, outbox, replays, tell, max: limits.maxSubscriptions });
  const services = createServices({ core, outbox, tell });
  const asking = createAsking({ core, outbox, tell, maxHeld: limits.maxInFlightBytes });
  const settlements = createSettlements({
    core,
    outbox,
    tell,
    subject: () => subject,
    take: subscriptions.take,
    max: limits.maxSettling,
  });
  const intake = createIntake<Incoming>({
    ...limits,
    socket,
    take: (frame) => take(frame),
    room: () => (outbox.full ? outbox.drained() : settlements.room()),
    nowMs: steadyNow,
    failed: (error) => end(closeCodes.internal, tell(error).code),
  });

  const { frames } = core.meters.sockets;

  const take = (frame: Incoming): Taken | undefined => {
    if (frame.text === undefined) return refuse(problem('bad_request', 'Frames must be text, not binary'));
    // `ws` lets no text through that is not UTF-8.
    const json = parseJson(frame.text.toString());
    if (!json.ok) return refuse(json.problem);
    const { id, frame: parsed } = parseFrame(json.value);
    if (!parsed.ok) return refuse(parsed.problem, id);
    const understood = parsed.value;
    frames.add(frameName(understood));
    if (draining && understood.type !== 'answerCall') return undefined;
    if (replays.isDry && isWriting(understood)) {
      return inTurn(() => replays.pretend(understood, id, subject).then(outbox.send));
    }
    switch (understood.type) {
      case 'publish':
        return { settled: mutate(core, subject, understood, id, tell).then(outbox.send), next: 'at once' };
      case 'request':
        return { settled: asking.request(understood, id, subject), next: 'at once' };
      case 'reply':
        return { settled: answer(core, subject, understood, id, tell).then(outbox.send), next: 'at once' };
      case 'command':
        return inTurn(
          mayWait(understood)
            ? async () => asking.command(understood, id, subject)
            : () => mutate(core, subject, understood, id, tell).then(outbox.send),
        );
      case 'follow':
        return inTurn(() => subscriptions.follow(understood, id, subject));
      case 'settle':
        settlements.add(understood, id);
        return undefined;
      case 'unsubscribe':
        if (settlements.idle() === undefined) return unsubscribe(understood.subscription, id);
        return inTurn(async () => unsubscribe(understood.subscription, id));
      case 'finish':
        return inTurn(() => replays.finish(understood.subscription, id, subject).then(outbox.send));
      case 'auth':
        return inTurn(() => renew(understood.token, id));
      case 'heartbeat':
        return { settled: services.heartbeat(understood, id, subject), next: 'at once' };
      case 'serve':
        return inTurn(() => services.serve(understood, id, subject));
      case 'stopServing':
      case 'answerCall': {
        const taken = services.take(understood, id);
        return taken.ok ? undefined : refuse(taken.problem, id);
      }
      case 'ping':
        outbox.send(JSON.stringify({ type: 'pong', id }));
        return undefined;
    }
  };

  /**
   * Publishing, requests, replies, heartbeats and settling are pipelined, as each is handed over in turn; everything else starts when
   * the frames before it are done.
   */
  const inTurn = (work: () => Promise<void>): Taken => ({
    work: async () => {
      await settlements.idle();
      await work();
    },
    next: 'settled',
  });

  const refuse = (fault: Problem, id?: FrameId): undefined => {
    frames.add('refused');
    outbox.send(errorFrame(fault, id));
    const now = steadyNow();
    badFrames = Math.max(0, badFrames - ((now - badSince) * limits.maxBadFrames) / 10_000) + 1;
    badSince = now;
    if (badFrames > limits.maxBadFrames) end(closeCodes.flood, 'too many bad frames');
    return undefined;
  };

  const deny = (fault: Problem, id: FrameId | undefined): undefined => {
    core.denied(fault, { subject: subject.id });
    return refuse(fault, id);
  };

  const unsubscribe = (subscription: string, id: FrameId | undefined): undefined => {
    const answer = subscriptions.unsubscribe(subscription);
    if (!answer.ok) return refuse(answer.problem, id);
    outbox.send(JSON.stringify({ ...answer.value, id }));
    return undefined;
  };

  const renew = async (token: string, id: FrameId | undefined): Promise<void> => {
    const verified = await access.verifyToken(token);
    // Who closed the socket meanwhile needs no answer, and its expiry no watch.
    if (socket.readyState !== socket.OPEN) return;
    if (!verified.ok) return deny(verified.problem, id);
    if (verified.value.id !== subject.id) {
      return deny(problem('forbidden', 'A connection cannot change its subject'), id);
    }
    const { expiresAt } = verified.value;
    const sameScopes = verified.value.scopes.join(' ') === subject.scopes.join(' ');
    subject = verified.value;
    watchCredential();
    if (!sameScopes) {
      services.authorise(subject);
      await subscriptions.authorise(subject);
    }
    outbox.send(
      JSON.stringify({
        type: 'authenticated',
        id,
        // Absent for a key that does not expire.
        expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
      }),
    );
  };

  const watchCredential = (): void => {
    stopWatching();
    stopWatching = access.watch(subject, ({ detail }) => end(closeCodes.unauthorized, detail));
  };

  const end = (code: number, reason: string): void => {
    intake.stop();
    services.close();
    subscriptions.close('released', settlements.idle());
    outbox.close(code, reason);
  };

  const hear = (data: RawData, isBinary: boolean): void => {
    // With the binaryType that ws starts with, a message is always one Buffer.
    if (Buffer.isBuffer(data)) intake.push({ text: isBinary ? undefined : data, bytes: data.length });
  };
  socket.on('message', hear);
  socket.once('close', () => {
    stopWatching();
    replays.close();
    services.close();
    // What the client sent before it left takes effect before what it holds goes to others.
    subscriptions.close('cut', intake.idle().then(settlements.idle));
    asking.close();
  });
  watchCredential();

  return {
    hear,
    get paused() {
      return intake.paused;
    },
    drain: async () => {
      // Callers wait for what the client was asked: it may still answer, and nothing else.
      draining = true;
      await Promise.race([services.drain(), delay(limits.drainServicesMs, undefined, { ref: false })]);
      intake.stop();
      await intake.idle();
      await asking.drain();
      await settlements.idle();
      subscriptions.close('released');
      outbox.flush();
    },
  };
};
