import type { XPublisher } from 'zeromq';
import { allows, type Subject } from '../../../domain/access.ts';
import { BoundedMap } from '../../bounded-map.ts';
import { createInterest } from './interest.ts';
import { heartbeatTopic, logTopic } from './topics.ts';

/** One XPUB socket: everybody's, or that of one connection. */
export type Outlet = {
  wants(topic: string): boolean;
  /** Another node follows the log here. */
  readonly wantsLog: boolean;
  /** Never waits for a subscriber: what one does not take is dropped. */
  send(frames: readonly string[]): Promise<void>;
  /** To be called about each second. */
  tick?(): void;
};

export type Feed = {
  add(outlet: Outlet): () => void;
  /** An outlet wants something else than before; `heartbeat`: and a heartbeat at once. */
  changed(heartbeat: boolean): void;
};

/** The socket that everybody on this machine shares. Resolves when it was closed. */
export const serveShared = async (socket: XPublisher, feed: Feed): Promise<void> => {
  const interest = createInterest();
  const remove = feed.add({
    wants: interest.wants,
    get wantsLog() {
      return interest.has(logTopic);
    },
    send: async (frames) => {
      if (!socket.closed) await socket.send([...frames]);
    },
  });
  try {
    // libzmq keeps subscriptions for whoever reads them, without a limit.
    for await (const [frame] of socket) {
      if (frame !== undefined) feed.changed(interest.take(frame) === heartbeatTopic);
    }
  } finally {
    remove();
  }
};

/** What an outlet of one connection needs of it. */
export type OutletLine = {
  readonly sentBytes: number;
  readonly stalled: boolean;
  heard(): void;
  drop(): void;
};

const maxPrefixes = 1_000;
/** A client that changes its mind more often than this is cut. */
const maxChangesPerTick = 10_000;
/** What may wait for one client; beyond it messages are dropped for it. */
const maxQueuedBytes = 8 * 1024 * 1024;
const maxKnownTopics = 1_000;

/** Bytes that libzmq makes of a frame under CURVE: nonce, box, command name, flags and length (RFC 26). */
const curveBytes = (frame: string): number => {
  const bytes = Buffer.byteLength(frame) + 33;
  return bytes + (bytes > 255 ? 9 : 2);
};

/** The socket of one connection, whose client is `subject`. Resolves when it was closed. */
export const serveSubject = async (
  socket: XPublisher,
  subject: Subject,
  line: OutletLine,
  feed: Feed,
): Promise<void> => {
  const interest = createInterest();
  const readable = new BoundedMap<string, boolean>(maxKnownTopics);
  const followsLog = allows(subject, { scope: 'log:read' });
  let changes = 0;
  let queuedBytes = 0;
  let seenBytes = line.sentBytes;

  const mayRead = (topic: string): boolean => {
    const known = readable.get(topic);
    if (known !== undefined) return known;
    const may = topic === heartbeatTopic || allows(subject, { scope: 'events:read', topic });
    readable.set(topic, may);
    return may;
  };
  /** What has left the socket since it was last asked no longer waits there. */
  const settle = (): boolean => {
    const moved = line.sentBytes - seenBytes;
    seenBytes = line.sentBytes;
    queuedBytes = Math.max(0, queuedBytes - moved);
    return moved > 0;
  };

  const remove = feed.add({
    wants: (topic) => interest.wants(topic) && mayRead(topic),
    get wantsLog() {
      return followsLog && interest.has(logTopic);
    },
    send: async (frames) => {
      settle();
      if (socket.closed || queuedBytes > maxQueuedBytes) return;
      for (const frame of frames) queuedBytes += curveBytes(frame);
      await socket.send([...frames]);
    },
    tick: () => {
      changes = 0;
      // Nothing left it for a second, and the client takes what comes: libzmq has dropped what was counted.
      if (!settle() && !line.stalled) queuedBytes = 0;
    },
  });
  try {
    for await (const [frame] of socket) {
      line.heard();
      if (frame === undefined) continue;
      feed.changed(interest.take(frame) === heartbeatTopic);
      if (++changes > maxChangesPerTick || interest.size > maxPrefixes) line.drop();
    }
  } finally {
    remove();
  }
};
