import { XPublisher } from 'zeromq';
import type { Endpoint } from '../../config/endpoint.ts';
import type { Logger } from '../../logger.ts';
import type { Curve } from './curve.ts';
import { bindSocket, socketOptions } from './endpoint.ts';
import type { OpenedFeed } from './feed.ts';
import { serveShared, serveSubject } from './outlet.ts';

export type Publisher = {
  /** What was bound, `tcp://HOST:PORT`. */
  readonly endpoint: string;
  close(): Promise<void>;
};

/** Subscriptions are all that a subscriber sends: a byte and a prefix. */
const maxSubscriptionBytes = 4_096;
const sendHighWaterMark = 1_000;

/**
 * Publishes to whoever connects. libzmq drops what a subscriber does not take, and the log has it.
 *
 * @throws {Error} `EADDRINUSE` and the like, in `code`.
 */
export const openPublisher = async (
  endpoint: Endpoint,
  feed: OpenedFeed,
  logger: Logger,
): Promise<Publisher> => {
  const socket = new XPublisher({
    ...socketOptions,
    sendHighWaterMark,
    maxMessageSize: maxSubscriptionBytes,
    // Whoever asks for heartbeats gets one at once, not only the first who does.
    verbosity: 'allSubs',
  });
  await bindSocket(socket, endpoint.address);
  const bound = socket.lastEndpoint ?? endpoint.address;
  const served = serveShared(socket, feed).catch((error: unknown) => {
    if (!socket.closed) logger.error({ err: error }, 'ZeroMQ no longer publishes');
  });
  return {
    endpoint: bound,
    close: async () => {
      socket.close();
      await served;
    },
  };
};

/**
 * Publishes to clients whose keys are known, to each the topics that its subject may read.
 *
 * @throws {Error} `EADDRINUSE` and the like, in `code`.
 */
export const openCurvePublisher = (
  endpoint: Endpoint,
  feed: OpenedFeed,
  curve: Curve,
  logger: Logger,
): Promise<Publisher> =>
  curve.serve('p', endpoint, async (domain, address, line) => {
    const socket = new XPublisher({
      ...curve.socketOptions(domain),
      // The outlet bounds what waits here, by bytes.
      sendHighWaterMark: 0,
      maxMessageSize: maxSubscriptionBytes,
    });
    await bindSocket(socket, address);
    let served: Promise<void> | undefined;
    return {
      begin: (subject) => {
        served = serveSubject(socket, subject, line, feed).catch((error: unknown) => {
          if (!socket.closed) logger.warn({ err: error }, 'ZeroMQ no longer publishes to a client');
        });
      },
      close: async () => {
        socket.close();
        await served;
      },
    };
  });
