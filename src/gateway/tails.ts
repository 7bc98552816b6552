import type { Position } from '../../domain/event.ts';
import { ProblemError, problem, type Result } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Message, StateChange, Watch, Watched } from '../nexus-core.ts';
import type { CredentialWatch } from './auth/credential-watch.ts';
import { createSink, type Sink } from './back-pressure.ts';
import type { RequestContext } from './context.ts';

/** Live tails by server-sent events (HTML standard, section 9.2). */
export type Tails = {
  /**
   * Serves one tail until the client goes, its credential ends, or `close`. Each item is an event whose id is its
   * position, so that `Last-Event-ID` resumes behind it; `caughtUp` and `gap` are events of those names.
   *
   * @throws {ProblemError} while nothing was answered yet.
   */
  serve<Item>(
    ctx: RequestContext,
    begin: (signal: AbortSignal) => Promise<Result<Watch<Item>>>,
    frames: Frames<Item>,
  ): Promise<void>;
  /** Ends every tail; their clients come back to wherever the hub is then. */
  close(): void;
};

export type TailOptions = {
  readonly logger: Logger;
  readonly watch: CredentialWatch['watch'];
  readonly maxTails?: number;
  /** How often a silent tail says that it is alive. */
  readonly heartbeatMs?: number;
  /** Told of each tail that begins (1) and ends (-1). */
  readonly counted?: (more: 1 | -1) => void;
};

const retryMs = 1_000;

export const createTails = (options: TailOptions): Tails => {
  const {
    logger,
    watch: watchCredential,
    maxTails = 1_024,
    heartbeatMs = 15_000,
    counted = () => {},
  } = options;
  const open = new Set<AbortController>();

  const serve: Tails['serve'] = async (ctx, begin, frames) => {
    if (open.size >= maxTails) {
      throw new ProblemError(problem('overloaded', `The hub has its ${maxTails} live tails`));
    }
    const { res } = ctx;
    const ending = new AbortController();
    const end = (): void => ending.abort();
    open.add(ending);
    counted(1);
    res.once('close', end);
    const stopWatching = watchCredential(ctx.state.subject, end);
    let heartbeat: NodeJS.Timeout | undefined;
    try {
      const watch = await begin(ending.signal);
      if (!watch.ok) throw new ProblemError(watch.problem);
      ctx.status = 200;
      res.setHeader('Content-Type', 'text/event-stream');
      // Proxies such as nginx would hold events back.
      res.setHeader('X-Accel-Buffering', 'no');
      if (ctx.method === 'HEAD') return;
      ctx.respond = false;
      const sink = createSink(res);
      // An id alone: whoever loses the connection before the first message resumes where this tail began.
      sink.write(`retry: ${retryMs}\nid: ${watch.value.position}\n\n`);
      await sink.flush();
      heartbeat = setInterval(() => {
        if (!res.writableNeedDrain) res.write(':\n\n');
      }, heartbeatMs).unref();
      await pump(watch.value.items, sink, frames);
    } catch (error) {
      if (!res.headersSent) throw error;
      logger.warn({ err: error }, 'a live tail broke off');
    } finally {
      stopWatching();
      clearInterval(heartbeat);
      res.off('close', end);
      open.delete(ending);
      counted(-1);
      ending.abort();
    }
    res.end();
  };

  return {
    serve,
    close: () => {
      for (const ending of open) ending.abort();
    },
  };
};

/** The events of a tail by the items that they tell. */
export type Frames<Item> = (item: Item) => string;

/** @param data Any JSON value. */
const frameOf = (position: Position, data: unknown): string =>
  `id: ${position}\ndata: ${JSON.stringify(data)}\n\n`;

/**
 * The core hands the same object to all watchers of a message: they share its text.
 *
 * @param dataOf Any JSON value.
 */
export const createFrames = (dataOf: (message: Message) => unknown): Frames<Message> => {
  const frames = new WeakMap<Message, string>();
  return (message) => {
    const made = frames.get(message);
    if (made !== undefined) return made;
    const frame = frameOf(message.position, dataOf(message));
    frames.set(message, frame);
    return frame;
  };
};

export const messageFrames = createFrames((message) => message);

/** Each watcher has objects of its own: there is nothing to share. */
export const stateFrames: Frames<StateChange> = (change) => frameOf(change.position, change);

const pump = async <Item>(
  items: AsyncIterable<Watched<Item>>,
  sink: Sink,
  frames: Frames<Item>,
): Promise<void> => {
  for await (const part of items) {
    switch (part.type) {
      case 'items':
        for (const item of part.items) {
          if (!(await sink.write(frames(item)))) return;
        }
        break;
      case 'caughtUp':
        sink.write(`id: ${part.position}\nevent: caughtUp\ndata: {"position":"${part.position}"}\n\n`);
        break;
      case 'gap':
        sink.write(`event: gap\ndata: ${JSON.stringify({ from: part.from, to: part.to })}\n\n`);
        break;
    }
    if (!(await sink.flush())) return;
  }
};
