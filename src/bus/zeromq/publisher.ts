import { XPublisher } from 'zeromq';
import { newId } from '../../ids.ts';
import type { Logger } from '../../logger.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import { type Endpoint, socketOptions } from './endpoint.ts';
import { createPrevious } from './previous.ts';

export type Publisher = {
  /** What was bound, `tcp://HOST:PORT`. */
  readonly endpoint: string;
  close(): Promise<void>;
};

/** Subscriptions are all that a subscriber sends: a byte and a prefix. */
const maxSubscriptionBytes = 4_096;
const sendHighWaterMark = 1_000;

/**
 * Publishes every message from now on as `[topic, JSON]`: the message, the `epoch` of this socket (a new one each time
 * the hub starts) and `prevPosition`, where the message before on the same topic stands. One send is in flight at a
 * time; libzmq drops what a subscriber does not take, and the log has it.
 *
 * @throws {Error} `EADDRINUSE` and the like, in `code`.
 */
export const openPublisher = async (
  core: NexusCore,
  endpoint: Endpoint,
  context: Context,
  logger: Logger,
): Promise<Publisher> => {
  const socket = new XPublisher({
    ...socketOptions,
    sendHighWaterMark,
    maxMessageSize: maxSubscriptionBytes,
  });
  const controller = new AbortController();
  try {
    await socket.bind(endpoint.address);
  } catch (error) {
    socket.close();
    throw error;
  }
  const watch = await core.watchMessages('>', { signal: controller.signal }, context);
  if (!watch.ok) {
    socket.close();
    throw new Error(`the hub's messages cannot be watched: ${watch.problem.detail}`);
  }
  const epoch = newId();
  const previous = createPrevious(core, context);

  const publish = async (): Promise<void> => {
    for await (const step of watch.value.items) {
      if (step.type !== 'items') continue;
      for (const message of step.items) {
        const before = previous(message);
        const prevPosition = before instanceof Promise ? await before : before;
        if (socket.closed) return;
        await socket.send([message.topic, JSON.stringify({ ...message, epoch, prevPosition })]);
      }
    }
  };
  /** libzmq keeps subscriptions for whoever reads them, without a limit. */
  const discardSubscriptions = async (): Promise<void> => {
    for await (const _subscription of socket) if (socket.closed) return;
  };

  const tell = (error: unknown): void => {
    if (!socket.closed) logger.error({ err: error }, 'ZeroMQ no longer publishes');
  };
  const done = Promise.all([publish().catch(tell), discardSubscriptions().catch(tell)]);

  return {
    endpoint: socket.lastEndpoint ?? endpoint.address,
    close: async () => {
      controller.abort();
      socket.close();
      await done;
    },
  };
};
