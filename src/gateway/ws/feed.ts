import type { Result } from '../../errors.ts';
import type { Context, NexusCore, Watch, Watched, WatchInput } from '../../nexus-core.ts';
import type { WatchSelector } from './frame.ts';
import type { Outbox } from './outbox.ts';

/** What stands behind `"subscription":"…",` in a frame: the same text for every subscription that an item goes to. */
const tails = new WeakMap<object, string>();

const tailOf = (item: object, encode: (item: object) => string): string => {
  const known = tails.get(item);
  if (known !== undefined) return known;
  const tail = encode(item);
  tails.set(item, tail);
  return tail;
};

const plainTail = (item: object): string => JSON.stringify(item).slice(1);

/** The frame's own type is `event`, so the type of the event itself is told as `eventType`. */
const eventTail = (item: object): string => {
  const { type, ...rest } = item as { readonly type?: unknown };
  return JSON.stringify({ eventType: type, ...rest }).slice(1);
};

/** A watch made ready to be written to a socket. */
export type Source = {
  readonly watch: Watch<object>;
  /** `type` of the frames that carry its items. */
  readonly itemType: 'message' | 'state' | 'event' | 'service';
  /** `type` of the frame that confirms it. */
  readonly confirmType: 'subscribed' | 'watching' | 'tailing';
  /** What was asked for, told in the confirmation. */
  readonly facts: Readonly<Record<string, unknown>>;
};

export const openSource = async (
  core: NexusCore,
  selector: WatchSelector,
  input: WatchInput,
  context: Context,
): Promise<Result<Source>> => {
  switch (selector.kind) {
    case 'messages': {
      const watch = await core.watchMessages(selector.topic, input, context);
      return source(watch, 'message', 'subscribed', { topic: selector.topic });
    }
    case 'state':
      return source(await core.watchState(selector.by, input, context), 'state', 'watching', selector.by);
    case 'events':
      return source(await core.watchEvents(selector.by, input, context), 'event', 'tailing', selector.by);
    case 'services': {
      const { name } = selector;
      return source(await core.watchServices(name, input, context), 'service', 'watching', { name });
    }
  }
};

const source = (
  watch: Result<Watch<object>>,
  itemType: Source['itemType'],
  confirmType: Source['confirmType'],
  facts: Source['facts'],
): Result<Source> =>
  watch.ok ? { ok: true, value: { watch: watch.value, itemType, confirmType, facts } } : watch;

export type FeedOptions = {
  readonly source: Source;
  readonly subscription: string;
  readonly outbox: Outbox;
  readonly signal: AbortSignal;
  /** Tell the client once that history has been handed out. */
  readonly tellCaughtUp: boolean;
};

/**
 * Writes a watch to a socket until it ends or `signal` aborts. Nothing is pulled while the socket's buffer is full, so
 * a slow reader is fed from the log at its own pace.
 *
 * @throws what the watch throws.
 */
export const feed = async (options: FeedOptions): Promise<void> => {
  const { source, outbox, signal } = options;
  const name = JSON.stringify(options.subscription);
  const encode = source.itemType === 'event' ? eventTail : plainTail;
  const head = `{"type":"${source.itemType}","subscription":${name},`;
  let tellCaughtUp = options.tellCaughtUp;

  const send = async (step: Watched<object>): Promise<void> => {
    if (step.type === 'items') {
      for (const item of step.items) {
        while (outbox.full && !signal.aborted) await outbox.drained();
        if (signal.aborted) return;
        outbox.send(head + tailOf(item, encode));
      }
    } else if (step.type === 'gap') {
      outbox.send(`{"type":"gap","subscription":${name},"from":"${step.from}","to":"${step.to}"}`);
    } else if (tellCaughtUp) {
      tellCaughtUp = false;
      outbox.send(`{"type":"caughtUp","subscription":${name},"position":"${step.position}"}`);
    }
  };

  for await (const step of source.watch.items) {
    if (signal.aborted) return;
    await send(step);
  }
};
