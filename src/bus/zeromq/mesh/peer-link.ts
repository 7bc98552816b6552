import { Subscriber } from 'zeromq';
import type { PeerEndpoint } from '../../../config/endpoint.ts';
import type { Logger } from '../../../logger.ts';
import type { Hub } from '../../../watch/hub.ts';
import { socketOptions } from '../endpoint.ts';
import { heartbeatTopic, logTopic } from '../topics.ts';
import { BatchFault, decodeBatch, maxBatchBytes } from './batch.ts';

export type PeerKeys = { readonly publicKey: string; readonly secretKey: string };

export type PeerLinkOptions = {
  readonly peer: PeerEndpoint;
  /** This node's own; undefined: no CURVE. */
  readonly keys: PeerKeys | undefined;
  readonly hub: Pick<Hub, 'offer' | 'position'>;
  readonly logId: string;
  readonly logger: Logger;
  /** Of a clock that is never set back. */
  readonly nowMs: () => number;
  /** A peer that is not heard for so long is connected to anew; 5,000 unless given. */
  readonly silenceMs?: number;
};

export type PeerLinkStats = {
  readonly address: string;
  /** Heard within the silence that is allowed. */
  readonly connected: boolean;
  readonly batches: number;
  /** Batches that brought nothing new, and were not decoded. */
  readonly skipped: number;
  readonly refused: number;
};

export type PeerLink = {
  stats(): PeerLinkStats;
  close(): Promise<void>;
};

const checkMs = 1_000;
/** Batches that wait in libzmq; the rest waits at the peer, which drops what this node does not take. */
const receiveHighWaterMark = 32;

/**
 * Follows the log through another node, and offers what it brings to this node's hub. What is lost on the way, the log
 * brings (docs/adr/0017-mesh.md). Goes on until it is closed, whatever becomes of the peer.
 */
export const openPeerLink = (options: PeerLinkOptions): PeerLink => {
  const { peer, keys, hub, logId, logger, nowMs, silenceMs = 5_000 } = options;
  const { address } = peer;
  let socket: Subscriber | undefined;
  let receiving: Promise<void> = Promise.resolve();
  let closed = false;
  let heardAt = nowMs();
  let connected = false;
  let batches = 0;
  let skipped = 0;
  let refused = 0;
  /** What was told of this peer since it was connected: each trouble once. */
  const told = new Set<string>();

  const tell = (trouble: string, facts: object = {}): void => {
    if (told.has(trouble)) return;
    told.add(trouble);
    logger.warn({ peer: address, ...facts }, trouble);
  };

  const takeBatch = (frames: readonly Buffer[]): void => {
    const batch = decodeBatch(frames, hub.position.length);
    if (batch.logId !== logId) {
      refused++;
      tell('a peer is on another log: nothing is taken from it');
      return;
    }
    if (batch.last <= hub.position) skipped++;
    else hub.offer({ previous: batch.previous, events: batch.events() });
    batches++;
  };

  const take = ([topic, ...frames]: readonly Buffer[]): void => {
    heardAt = nowMs();
    if (!connected) {
      connected = true;
      told.clear();
      logger.info({ peer: address }, 'a peer is heard');
    }
    if (String(topic) !== logTopic) return;
    try {
      takeBatch(frames);
    } catch (error) {
      if (!(error instanceof BatchFault)) throw error;
      refused++;
      tell('a peer sends what is no batch of the log', { reason: error.message });
    }
  };

  const receive = async (from: Subscriber): Promise<void> => {
    for await (const frames of from) take(frames);
  };

  const connect = (): void => {
    const fresh = new Subscriber({
      ...socketOptions,
      linger: 0,
      reconnectInterval: 100,
      reconnectMaxInterval: 1_000,
      receiveHighWaterMark,
      maxMessageSize: maxBatchBytes,
      ...(keys === undefined
        ? {}
        : {
            curvePublicKey: keys.publicKey,
            curveSecretKey: keys.secretKey,
            curveServerKey: peer.serverKey ?? keys.publicKey,
          }),
    });
    fresh.subscribe(logTopic, heartbeatTopic);
    fresh.connect(address);
    socket = fresh;
    heardAt = nowMs();
    receiving = receive(fresh).catch((error: unknown) => {
      if (fresh.closed) return;
      logger.error({ err: error, peer: address }, 'a peer is no longer listened to');
      fresh.close();
    });
  };

  const check = (): void => {
    if (closed || nowMs() - heardAt < silenceMs) return;
    connected = false;
    tell('a peer is silent: it is connected to anew until it answers');
    socket?.close();
    connect();
  };

  connect();
  const timer = setInterval(check, checkMs);
  timer.unref();

  return {
    stats: () => ({ address, connected, batches, skipped, refused }),
    close: async () => {
      closed = true;
      clearInterval(timer);
      socket?.close();
      await receiving;
    },
  };
};
