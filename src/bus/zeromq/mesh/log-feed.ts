import type { LogEvent, Position } from '../../../../domain/event.ts';
import type { Logger } from '../../../logger.ts';
import type { Context, NexusCore } from '../../../nexus-core.ts';
import { encodeBatch } from './batch.ts';

export type LogFeedOptions = {
  readonly core: NexusCore;
  readonly context: Context;
  readonly logger: Logger;
  readonly logId: string;
  readonly epoch: string;
  readonly send: (frames: readonly string[]) => Promise<unknown>;
};

/** Gives other nodes the log as this one reads it, while any of them listens. */
export type LogFeed = {
  /** Whether anyone listens now; to be told again each second, as a log that is away is tried again then. */
  want(wanted: boolean): void;
  close(): Promise<void>;
};

/** Characters after which a batch is sent; the event that passes it is still part of it. */
const batchLength = 65_536;

export const createLogFeed = (options: LogFeedOptions): LogFeed => {
  const { core, context, logger, logId, epoch, send } = options;
  let running: { readonly controller: AbortController; readonly done: Promise<void> } | undefined;

  const run = async (signal: AbortSignal): Promise<void> => {
    const watch = await core.watchEvents({ all: true }, { signal }, context);
    if (!watch.ok) throw new Error(watch.problem.detail);
    let previous: Position = watch.value.position;

    const flush = async (events: readonly LogEvent[], texts: readonly string[]): Promise<void> => {
      const last = events.at(-1)?.position;
      if (last === undefined) return;
      await send(encodeBatch({ logId, epoch, previous, last }, texts));
      previous = last;
    };

    for await (const step of watch.value.items) {
      if (step.type !== 'items') continue;
      let from = 0;
      let texts: string[] = [];
      let length = 0;
      for (const [index, event] of step.items.entries()) {
        const text = JSON.stringify(event);
        texts.push(text);
        length += text.length;
        if (length < batchLength) continue;
        await flush(step.items.slice(from, index + 1), texts);
        from = index + 1;
        texts = [];
        length = 0;
      }
      await flush(step.items.slice(from), texts);
    }
  };

  return {
    want: (wanted) => {
      if (!wanted) {
        running?.controller.abort();
        return;
      }
      if (running !== undefined) return;
      const controller = new AbortController();
      const done = run(controller.signal)
        .catch((error: unknown) => {
          if (!controller.signal.aborted)
            logger.debug({ err: error }, 'the log cannot be given to other nodes now');
        })
        .finally(() => {
          running = undefined;
        });
      running = { controller, done };
    },
    close: async () => {
      running?.controller.abort();
      await running?.done;
    },
  };
};
