import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { steadyNow } from '../../clock.ts';

export type DepartureLimits = {
  /** For anything that waits for its client to be taken. */
  readonly stallMs: number;
  /** Beyond that, a whole answer has to be taken at this pace. */
  readonly bytesPerSec: number;
  /** That all clients together have not read. */
  readonly maxUnreadBytes: number;
};

export const departureLimits: Omit<DepartureLimits, 'stallMs'> = {
  bytesPerSec: 32 * 1024,
  maxUnreadBytes: 256 * 1024 * 1024,
};

/** What a client had left unread when it was looked at, and since when. */
type Seen = {
  /** Bytes that were handed to the system, and those of a write that is under way that were not. */
  readonly done: number;
  readonly queued: number;
  readonly movedMs: number;
  /** The newest answer on the socket, and since when some of it is unread. */
  readonly answer: ServerResponse | undefined;
  readonly sinceMs: number;
  readonly mostUnread: number;
};

/**
 * Finds clients that do not read what they asked for. A WebSocket is one such too; of an answer in pieces (a live tail,
 * an export) only a standstill counts, as whoever writes it waits for the reader.
 *
 * @param cut Called for each.
 */
export const createDepartures = (
  limits: DepartureLimits,
  cut: (socket: Socket) => void,
  nowMs: () => number = steadyNow,
): { look(sockets: Iterable<Socket>, answerOf: (socket: Socket) => ServerResponse | undefined): void } => {
  const seen = new WeakMap<Socket, Seen>();

  const isLate = (socket: Socket, now: number, answer: ServerResponse | undefined): boolean => {
    const unread = socket.writableLength;
    const done = socket.bytesWritten - unread;
    const queued = queuedBytes(socket);
    const before = seen.get(socket);
    const moved = done !== before?.done || queued !== before.queued;
    if (before === undefined || (moved && answer !== before.answer)) {
      seen.set(socket, { done, queued, movedMs: now, answer, sinceMs: now, mostUnread: unread });
      return false;
    }
    const mostUnread = Math.max(unread, before.mostUnread);
    seen.set(socket, { ...before, done, queued, movedMs: moved ? now : before.movedMs, mostUnread });
    if (!moved && now - before.movedMs >= limits.stallMs) return true;
    const allowedMs = limits.stallMs + (mostUnread * 1_000) / limits.bytesPerSec;
    return answer?.writableEnded === true && now - before.sinceMs >= allowedMs;
  };

  return {
    look(sockets, answerOf) {
      const now = nowMs();
      const slow: Socket[] = [];
      let unreadBytes = 0;
      for (const socket of sockets) {
        if (socket.writableLength === 0) {
          seen.delete(socket);
        } else if (isLate(socket, now, answerOf(socket))) {
          cut(socket);
        } else {
          unreadBytes += socket.writableLength;
          slow.push(socket);
        }
      }
      if (unreadBytes <= limits.maxUnreadBytes) return;
      const since = (socket: Socket): number => seen.get(socket)?.sinceMs ?? now;
      for (const socket of slow.sort((one, other) => since(one) - since(other))) {
        unreadBytes -= socket.writableLength;
        cut(socket);
        if (unreadBytes <= limits.maxUnreadBytes) return;
      }
    },
  };
};

/** Of the write that is under way: Node counts it as a whole until its last byte has left, and has no other way to tell. */
const queuedBytes = (socket: Socket): number => {
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null) return 0;
  const size: unknown = Reflect.get(handle, 'writeQueueSize');
  return typeof size === 'number' ? size : 0;
};
