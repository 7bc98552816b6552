import { setTimeout as delay } from 'node:timers/promises';
import type { LogEvent, Position } from '../../domain/event.ts';
import { type EventLog, LogError } from '../log/event-log.ts';
import type { Watched } from '../nexus-core.ts';
import { type Selection, selects } from './filter.ts';
import type { Batch } from './groups.ts';
import { createHistory } from './history.ts';
import type { Ring } from './ring.ts';
import { isTrimmed, type Trims } from './trims.ts';
import type { Turns } from './turns.ts';

export type WatchOptions = {
  /** Exclusive. */
  readonly after: Position;
  readonly signal: AbortSignal;
  /** Dispatched events that may wait for the consumer before it is fed from the log instead; 1,024 unless given. */
  readonly maxBufferedEvents?: number;
  /** Greatest number of events in one item, and of events read from the log at once; 500 unless given. */
  readonly maxBatchEvents?: number;
  /** False for a consumer that need not know what retention has removed: its pages wait for no look at that. */
  readonly gaps?: boolean;
};

/** What a watcher needs of the hub that it belongs to. */
export type WatcherHost = {
  readonly log: EventLog;
  readonly ring: Ring;
  readonly turns: Turns;
  readonly trims: Trims;
  /** Newest dispatched event; undefined until the hub has reached the log. */
  readonly position: Position | undefined;
  /** Newest event that the log itself has brought, at or before `position`. */
  readonly read: Position | undefined;
  /** Resolves once `position` is known, or the hub was closed. */
  readonly reached: Promise<void>;
  readonly maxBufferedBytes: number;
  synced(watcher: Watcher): void;
  lagging(watcher: Watcher): void;
  ended(watcher: Watcher): void;
};

/** Methods alone: an object with getters of its own has a shape of its own, and calls on a thousand of them are slow. */
export type Watcher = {
  readonly selection: Selection;
  stats(): { readonly synced: boolean; readonly queuedEvents: number; readonly queuedBytes: number };
  /** While a `next()` is pending: all that is selected at or before it has been handed out. */
  position(): Position;
  /** Takes dispatched events of its selection, or falls behind when they are too much for its queue. Answers how many wait. */
  offer(batch: Batch): number;
  /** Hands to a waiting consumer what has come: once behind each dispatched batch. */
  wake(): void;
  end(): void;
  next(): Promise<IteratorResult<Watched<LogEvent>, undefined>>;
};

export const defaultBufferedEvents = 1_024;
export const defaultBatchEvents = 500;
const firstPageEvents = 32;
const minPageEvents = 8;
const firstRetryMs = 50;
const maxRetryMs = 2_000;

type Item = Watched<LogEvent>;

/**
 * One watcher: synced (handed each dispatched batch from a bounded queue) or catching up (fed from the ring or the
 * log, a page per pull). Every change between the two is made in one turn with the check that allows it, so that no
 * event falls between (docs/adr/0007-watchers.md).
 *
 * @param weigh about how many bytes an event takes: sizes the pages that are read.
 */
export const createWatcher = (
  host: WatcherHost,
  selection: Selection,
  options: WatchOptions,
  weigh: (event: LogEvent) => number,
): Watcher => {
  const { log, ring, turns, trims } = host;
  const maxEvents = options.maxBufferedEvents ?? defaultBufferedEvents;
  const maxBatch = options.maxBatchEvents ?? defaultBatchEvents;
  const history = createHistory(log, selection);
  const tellsTrims = options.gaps !== false && isTrimmed(selection);
  const abort = new AbortController();

  let state: 'catching-up' | 'synced' | 'ended' = 'catching-up';
  /** All that is selected at or before it has been handed out (or stands in the queue's front, when synced). */
  let cursor = options.after;
  let queue: Batch[] = [];
  let queuedEvents = 0;
  let queuedBytes = 0;
  /** Where the log ended when the watch began: `caughtUp` is due once the cursor has reached it. */
  let target: Position | undefined;
  let saidCaughtUp = false;
  /** Up to here the consumer knows that messages were removed. */
  let toldTo = log.start;
  let pageEvents = Math.min(firstPageEvents, maxBatch);
  let pending: PromiseWithResolvers<IteratorResult<Item, undefined>> | undefined;
  let held: Item | undefined;
  let feeding = false;

  const deliver = (item: Item): void => {
    const waiting = pending;
    pending = undefined;
    if (waiting === undefined) held = item;
    else waiting.resolve({ done: false, value: item });
  };

  const clearQueue = (): void => {
    queue = [];
    queuedEvents = 0;
    queuedBytes = 0;
  };

  const end = (): void => {
    if (state === 'ended') return;
    state = 'ended';
    clearQueue();
    held = undefined;
    options.signal.removeEventListener('abort', end);
    abort.abort();
    host.ended(watcher);
    const waiting = pending;
    pending = undefined;
    waiting?.resolve({ done: true, value: undefined });
  };

  const fail = (error: unknown): void => {
    const waiting = pending;
    pending = undefined;
    waiting?.reject(error);
    end();
  };

  const dueCaughtUp = (): Item | undefined => {
    if (saidCaughtUp || target === undefined || cursor < target) return undefined;
    saidCaughtUp = true;
    return { type: 'caughtUp', position: cursor };
  };

  /** What a synced watcher can hand out at once. */
  const take = (): Item | undefined => {
    const due = dueCaughtUp();
    if (due !== undefined) return due;
    const { position } = host;
    if (queue.length === 0) {
      if (position !== undefined && position > cursor) cursor = position;
      return undefined;
    }
    const items = takeQueued();
    cursor = items.at(-1)?.position ?? cursor;
    if (queue.length === 0 && position !== undefined && position > cursor) cursor = position;
    return { type: 'items', items, position: cursor };
  };

  const unqueue = ({ events, bytes }: Batch): readonly LogEvent[] => {
    queue.shift();
    queuedEvents -= events.length;
    queuedBytes -= bytes;
    return events;
  };

  /** A batch as it was offered, when there is but one or it is a full one; else as many events as one item may have. */
  const takeQueued = (): readonly LogEvent[] => {
    const [only, second] = queue;
    if (only !== undefined && (second === undefined || only.events.length === maxBatch)) {
      if (only.events.length <= maxBatch) return unqueue(only);
    }
    const items: LogEvent[] = [];
    for (let first = queue[0]; first !== undefined && items.length < maxBatch; first = queue[0]) {
      const room = maxBatch - items.length;
      if (first.events.length <= room) items.push(...unqueue(first));
      else {
        const [taken, left] = split(first, room);
        queue[0] = left;
        queuedEvents -= taken.events.length;
        queuedBytes -= taken.bytes;
        items.push(...taken.events);
      }
    }
    return items;
  };

  const batchOf = (events: readonly LogEvent[]): Batch => {
    let bytes = 0;
    for (const event of events) bytes += weigh(event);
    return { events, bytes };
  };

  const split = ({ events, bytes }: Batch, at: number): readonly [Batch, Batch] => {
    const taken = batchOf(events.slice(0, at));
    return [taken, { events: events.slice(at), bytes: bytes - taken.bytes }];
  };

  /** What the ring holds behind the cursor. In the same turn the watcher becomes synced when nothing is left there. */
  const takeFromRing = (head: Position): Item | undefined => {
    const items: LogEvent[] = [];
    let looked = head;
    ring.after(cursor, (event) => {
      if (selects(selection, event)) items.push(event);
      if (items.length < maxBatch) return true;
      looked = event.position;
      return false;
    });
    if (looked > cursor) cursor = looked;
    if (cursor >= head) {
      state = 'synced';
      host.synced(watcher);
    }
    return items.length > 0 ? { type: 'items', items, position: cursor } : undefined;
  };

  const sizeNextPage = (events: readonly LogEvent[]): void => {
    if (events.length === 0) {
      pageEvents = Math.min(maxBatch, pageEvents * 2);
      return;
    }
    let bytes = 0;
    for (const event of events) bytes += weigh(event);
    const fitting = Math.floor(host.maxBufferedBytes / Math.max(1, bytes / events.length));
    pageEvents = Math.max(minPageEvents, Math.min(maxBatch, fitting, pageEvents * 2));
  };

  /** Waits out a log that cannot be reached; any other failure is the consumer's to know. */
  const read = async <Value>(task: () => Promise<Value>): Promise<Value | undefined> => {
    for (let waitMs = firstRetryMs; ; waitMs = Math.min(maxRetryMs, waitMs * 2)) {
      try {
        return await turns.run(task, abort.signal);
      } catch (error) {
        if (!(error instanceof LogError)) throw error;
        if (error.code === 'log_closed') {
          end();
          return undefined;
        }
        if (error.code !== 'log_unavailable') throw error;
      }
      await delay(waitMs, undefined, { signal: abort.signal }).catch(() => undefined);
      if (abort.signal.aborted) return undefined;
    }
  };

  const readPage = async (reached: Position): Promise<void> => {
    // Not `position`: what another node has offered need not be there yet for reads of this one.
    const head = host.read;
    const known = head !== undefined && head > reached ? head : reached;
    const before = cursor;
    const page = await read(async () => {
      const found = await history.read(before, known, pageEvents);
      // Behind the read: what was removed before it is recorded by now.
      if (tellsTrims && !abort.signal.aborted) await trims.refresh();
      return found;
    });
    if (page === undefined || state !== 'catching-up') return;
    const removed = tellsTrims ? trims.newestBehind(before > toldTo ? before : toldTo, selection) : undefined;
    toldTo = removed ?? toldTo;
    if (removed !== undefined) deliver({ type: 'gap', from: before, to: removed });
    if (page.position > cursor) cursor = page.position;
    sizeNextPage(page.events);
    const first = page.events[0];
    if (page.gap && toldTo <= before) deliver({ type: 'gap', from: before, to: first?.position ?? cursor });
    if (first !== undefined) deliver({ type: 'items', items: page.events, position: cursor });
  };

  /** Feeds a consumer that waits, until it has something or the watcher is synced. */
  const feed = async (): Promise<void> => {
    while (pending !== undefined && state === 'catching-up') {
      if (host.position === undefined) await host.reached;
      target ??= await read(() => log.position());
      if (target === undefined || state !== 'catching-up') return;
      const head = host.position;
      // What stood in the log before is read from the log, which knows what was truncated since.
      const covered = head !== undefined && cursor >= ring.floor && cursor >= target;
      const item = dueCaughtUp() ?? (covered ? takeFromRing(head) : undefined) ?? dueCaughtUp();
      if (item !== undefined) deliver(item);
      else if (state === 'catching-up') await readPage(target);
    }
  };

  const startFeeding = (): void => {
    if (feeding) return;
    feeding = true;
    feed().then(
      () => {
        feeding = false;
        // What came while the loop was ending: another pull, or a lag of a watcher that has just become synced.
        if (pending !== undefined) watcher.wake();
      },
      (error: unknown) => {
        feeding = false;
        fail(error);
      },
    );
  };

  const watcher: Watcher = {
    selection,
    stats: () => ({ synced: state === 'synced', queuedEvents, queuedBytes }),
    position() {
      const head = host.position;
      return state === 'synced' && queue.length === 0 && head !== undefined && head > cursor ? head : cursor;
    },
    offer(offered) {
      if (state !== 'synced') return queuedEvents;
      const first = offered.events[0];
      // It became synced by what the ring held, which may reach beyond the beginning of the batch.
      const batch =
        first === undefined || first.position > cursor
          ? offered
          : batchOf(offered.events.filter((event) => event.position > cursor));
      const events = queuedEvents + batch.events.length;
      const bytes = queuedBytes + batch.bytes;
      if (batch.events.length === 0) return queuedEvents;
      // One event alone is taken whatever its size.
      if (events > maxEvents || (events > 1 && bytes > host.maxBufferedBytes)) {
        clearQueue();
        state = 'catching-up';
        host.lagging(watcher);
        return queuedEvents;
      }
      queue.push(batch);
      queuedEvents = events;
      queuedBytes = bytes;
      return events;
    },
    wake() {
      if (pending === undefined) return;
      if (state === 'catching-up') {
        startFeeding();
        return;
      }
      const item = state === 'synced' ? take() : undefined;
      if (item !== undefined) deliver(item);
    },
    end,
    next() {
      if (pending !== undefined) return Promise.reject(new TypeError('one next() of a watch at a time'));
      if (held !== undefined) {
        const value = held;
        held = undefined;
        return Promise.resolve({ done: false, value });
      }
      if (state === 'ended') return Promise.resolve({ done: true, value: undefined });
      const item = state === 'synced' ? take() : undefined;
      if (item !== undefined) return Promise.resolve({ done: false, value: item });
      pending = Promise.withResolvers();
      const { promise } = pending;
      if (state === 'catching-up') startFeeding();
      return promise;
    },
  };

  options.signal.addEventListener('abort', end, { once: true });
  return watcher;
};
