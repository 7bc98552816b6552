import type { LogEvent, Position } from '../../../domain/event.ts';
import { topicMatches } from '../../../domain/names.ts';
import { steadyNow } from '../../clock.ts';
import { messageFrom } from '../../core/logs.ts';
import { newId } from '../../ids.ts';
import type { Logger } from '../../logger.ts';
import type { Context, NexusCore } from '../../nexus-core.ts';
import { createLogFeed } from './mesh/log-feed.ts';
import type { Feed, Outlet } from './outlet.ts';
import { createPrevious } from './previous.ts';
import { heartbeatTopic } from './topics.ts';

export type OpenedFeed = Feed & { close(): Promise<void> };

export type FeedOptions = {
  readonly core: NexusCore;
  readonly context: Context;
  readonly logger: Logger;
  /** Identity of the log: without it no other node can follow it here. */
  readonly logId: string | undefined;
};

const heartbeatMs = 1_000;

/**
 * Hands every message from now on, once and in log order, to the outlets that want it, as `[topic, JSON]`: the message,
 * the `epoch` of this feed (a new one each time the hub starts) and `prevPosition`, where the message before on the same
 * topic stands. About each second a heartbeat tells up to where that has been done.
 *
 * @throws {Error} when the hub cannot be watched.
 */
export const openFeed = async ({ core, context, logger, logId }: FeedOptions): Promise<OpenedFeed> => {
  const controller = new AbortController();
  const { signal } = controller;
  const watch = await core.watchEvents({ all: true }, { signal }, context);
  if (!watch.ok) throw new Error(`the hub's messages cannot be watched: ${watch.problem.detail}`);
  const epoch = newId();
  const previous = createPrevious(core, context, steadyNow);
  const outlets = new Set<Outlet>();
  let head: Position = watch.value.position;

  const { sent } = core.meters.zeromq;

  const sendTo = (
    wanting: readonly Outlet[],
    type: 'message' | 'heartbeat' | 'log',
    frames: readonly string[],
  ): Promise<unknown> => {
    sent.add(type, wanting.length);
    return Promise.all(
      wanting.map((outlet) =>
        // A socket that is just being closed, or takes nothing now: like all that it drops, the log has it.
        outlet.send(frames).catch((error: unknown) => logger.debug({ err: error }, 'ZeroMQ dropped a frame')),
      ),
    );
  };

  const publish = async (event: LogEvent): Promise<void> => {
    const message = messageFrom(event);
    // What is told to one asker is no message for all.
    if (message === undefined || !topicMatches('>', message.topic)) return;
    const wanting = [...outlets].filter((outlet) => outlet.wants(message.topic));
    if (wanting.length === 0) {
      previous.saw(message);
      return;
    }
    const before = previous.of(message);
    const prevPosition = before instanceof Promise ? await before : before;
    await sendTo(wanting, 'message', [message.topic, JSON.stringify({ ...message, epoch, prevPosition })]);
  };

  const run = async (): Promise<void> => {
    for await (const step of watch.value.items) {
      if (step.type === 'items') for (const event of step.items) await publish(event);
      // What is left in front of the end of a gap still comes.
      if (step.type !== 'gap') head = step.position;
    }
  };
  const running = run().catch((error: unknown) => {
    if (!signal.aborted) logger.error({ err: error }, 'ZeroMQ no longer publishes');
  });

  const logFeed =
    logId === undefined
      ? undefined
      : createLogFeed({
          core,
          context,
          logger,
          logId,
          epoch,
          send: (frames) =>
            sendTo(
              [...outlets].filter((outlet) => outlet.wantsLog),
              'log',
              frames,
            ),
        });

  let heartbeatIsDue = false;
  const heartbeat = (): void => {
    heartbeatIsDue = false;
    const wanting = [...outlets].filter((outlet) => outlet.wants(heartbeatTopic));
    if (wanting.length > 0)
      void sendTo(wanting, 'heartbeat', [heartbeatTopic, JSON.stringify({ epoch, position: head })]);
  };
  const checkLogFeed = (): void => logFeed?.want([...outlets].some((outlet) => outlet.wantsLog));
  const timer = setInterval(() => {
    heartbeat();
    for (const outlet of outlets) outlet.tick?.();
    checkLogFeed();
  }, heartbeatMs);
  timer.unref();

  return {
    add: (outlet) => {
      outlets.add(outlet);
      return () => {
        outlets.delete(outlet);
        checkLogFeed();
      };
    },
    changed: (asksForHeartbeat) => {
      checkLogFeed();
      if (!asksForHeartbeat || heartbeatIsDue) return;
      heartbeatIsDue = true;
      setImmediate(heartbeat);
    },
    close: async () => {
      clearInterval(timer);
      controller.abort();
      await Promise.all([running, logFeed?.close()]);
    },
  };
};
