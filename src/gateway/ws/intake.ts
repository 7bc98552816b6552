import type { WebSocket } from 'ws';

export type IntakeLimits = {
  /** Frames a second that are taken, with as many at once; 0 is no limit. */
  readonly framesPerSec: number;
  /** Frames and characters that may be under way at once. */
  readonly maxInFlight: number;
  readonly maxInFlightBytes: number;
};

export type IntakeOptions<Frame extends Sized> = IntakeLimits & {
  readonly socket: Pick<WebSocket, 'pause' | 'resume'>;
  /** Takes one frame. Undefined: done. */
  readonly take: (frame: Frame) => Taken | undefined;
  /** Resolves when there is room for answers again; undefined when there is. */
  readonly room: () => Promise<void> | undefined;
  /** Of a clock that is never set back. */
  readonly nowMs: () => number;
  /** `take` threw, which it should not: no further frame is taken. */
  readonly failed: (error: unknown) => void;
};

export type Sized = { readonly bytes: number };
/** `text` undefined: a binary frame. */
export type Incoming = Sized & { readonly text: Buffer | undefined };
/** What is under way, or is to be; neither promise ever rejects. */
export type Taken =
  /** The frame behind may be taken meanwhile. */
  | { readonly next: 'at once'; readonly settled: Promise<void> }
  /** To be begun when every frame before has settled, and the frame behind only when it has. */
  | { readonly next: 'settled'; readonly work: () => Promise<void> };

/**
 * The way in of one socket: frames are taken strictly in the order in which they came, and no faster than answers
 * leave, commands settle and `framesPerSec` allows. Beyond that the socket is not read, so that the peer is slowed
 * down by TCP and memory stays bounded; nothing is dropped.
 */
export type Intake<Frame extends Sized> = {
  push(frame: Frame): void;
  /** Resolves when everything that was taken so far has settled. */
  idle(): Promise<void>;
  /** True while the socket is not read: its peer cannot be heard. */
  readonly paused: boolean;
  /** Takes no further frame; what is queued is dropped. */
  stop(): void;
};

export const createIntake = <Frame extends Sized>(options: IntakeOptions<Frame>): Intake<Frame> => {
  const { socket, take, room, failed, framesPerSec, maxInFlight, maxInFlightBytes, nowMs } = options;
  let queue: Frame[] = [];
  let taken = 0;
  let running = false;
  let stopped = false;
  let paused = false;
  let inFlight = 0;
  let inFlightBytes = 0;
  let tokens = framesPerSec;
  let refilledAt = nowMs();
  let wake: (() => void) | undefined;
  const idleWaiters: (() => void)[] = [];

  const begin = ({ bytes }: Frame): void => {
    inFlight++;
    inFlightBytes += bytes;
  };

  const settle = (bytes: number): void => {
    inFlight--;
    inFlightBytes -= bytes;
    if (inFlight < maxInFlight && inFlightBytes < maxInFlightBytes) wake?.();
    if (inFlight === 0) for (const resolve of idleWaiters.splice(0)) resolve();
  };

  const idle = (): Promise<void> =>
    inFlight === 0 ? Promise.resolve() : new Promise((resolve) => idleWaiters.push(resolve));

  /** What keeps the next frame waiting, or undefined. */
  const obstacle = (): Promise<void> | undefined => {
    if (inFlight >= maxInFlight || inFlightBytes >= maxInFlightBytes) {
      return new Promise((resolve) => {
        wake = resolve;
      });
    }
    return room() ?? budget();
  };

  const budget = (): Promise<void> | undefined => {
    if (framesPerSec === 0) return undefined;
    const now = nowMs();
    tokens = Math.min(framesPerSec, tokens + ((now - refilledAt) * framesPerSec) / 1_000);
    refilledAt = now;
    if (tokens >= 1) {
      tokens--;
      return undefined;
    }
    return new Promise((resolve) => {
      setTimeout(resolve, Math.ceil(((1 - tokens) * 1_000) / framesPerSec)).unref();
    });
  };

  const run = async (): Promise<void> => {
    running = true;
    while (taken < queue.length && !stopped) {
      const wait = obstacle();
      if (wait !== undefined) {
        pause();
        await wait;
        continue;
      }
      const frame = queue[taken++];
      if (frame === undefined) break;
      const started = take(frame);
      if (started === undefined) continue;
      if (started.next === 'at once') {
        begin(frame);
        void started.settled.then(() => settle(frame.bytes));
        continue;
      }
      pause();
      await idle();
      if (stopped) break;
      begin(frame);
      await started.work();
      settle(frame.bytes);
    }
    queue = [];
    taken = 0;
    running = false;
    if (paused && !stopped) {
      paused = false;
      socket.resume();
    }
  };

  const pause = (): void => {
    if (paused) return;
    paused = true;
    socket.pause();
  };

  return {
    push: (frame) => {
      if (stopped) return;
      queue.push(frame);
      if (!running) run().catch(failed);
    },
    idle,
    get paused() {
      return paused;
    },
    stop: () => {
      stopped = true;
      wake?.();
    },
  };
};
