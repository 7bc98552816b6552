import type { Result } from '../../errors.ts';
import type { Context, NexusCore, Watch, Watched, WatchInput } from '../../nexus-core.ts';
import type { WatchSelector } from './frame.ts';
import type { Outbox } from './outbox.ts';
import { encodeTexts } from './text-frame.ts';

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

/**
 * Frames of batches by the batch and what the frames begin with: watchers of one topic are handed the same batch, and
 * most clients leave the name of their subscription to the hub, so that one encoding goes to all of their sockets.
 */
const encodedBatches = new WeakMap<readonly object[], Map<string, Buffer>>();
/** Names of one batch whose frames are kept: more would be clients with names of their own, which share nothing. */
const maxNames = 8;

const noFrames = Buffer.alloc(0);

/** All of a batch as frames, or undefined when they would take more than `room`. */
const framesOf = (
  items: readonly object[],
  head: string,
  encode: (item: object) => string,
  room: number,
): Buffer | undefined => {
  if (items.length === 0) return noFrames;
  const known = encodedBatches.get(items)?.get(head);
  if (known !== undefined) return known.length <= room ? known : undefined;
  const texts: string[] = [];
  let characters = 0;
  for (const item of items) {
    const text = head + tailOf(item, encode);
    characters += text.length;
    if (characters > room) return undefined;
    texts.push(text);
  }
  const frames = encodeTexts(texts);
  const byHead = encodedBatches.get(items) ?? new Map<string, Buffer>();
  if (byHead.size === 0) encodedBatches.set(items, byHead);
  if (byHead.size < maxNames) byHead.set(head, frames);
  return frames.length <= room ? frames : undefined;
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

  /** Frame by frame, each when there is room. */
  const sendSlowly = async (items: readonly object[]): Promise<void> => {
    for (const item of items) {
      while (outbox.full && !signal.aborted) await outbox.drained();
      if (signal.aborted) return;
      outbox.send(head + tailOf(item, encode));
    }
  };

  /** A promise only when it has to wait for the socket. */
  const send = (step: Watched<object>): Promise<void> | undefined => {
    if (step.type === 'items') {
      const frames = framesOf(step.items, head, encode, outbox.room);
      if (frames === undefined) return sendSlowly(step.items);
      outbox.sendFrames(frames);
    } else if (step.type === 'gap') {
      outbox.send(`{"type":"gap","subscription":${name},"from":"${step.from}","to":"${step.to}"}`);
    } else if (tellCaughtUp) {
      tellCaughtUp = false;
      outbox.send(`{"type":"caughtUp","subscription":${name},"position":"${step.position}"}`);
    }
    return undefined;
  };

  for await (const step of source.watch.items) {
    if (signal.aborted) return;
    const waiting = send(step);
    if (waiting !== undefined) await waiting;
  }
};
