import { setTimeout as delay } from 'node:timers/promises';
import type { LogEvent, Position } from '../../domain/event.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Logger } from '../logger.ts';
import type { Gap, Watched } from '../nexus-core.ts';
import { roughBytes } from '../rough-bytes.ts';
import { selectionOf, type WatchFilter } from './filter.ts';
import { createGroups } from './groups.ts';
import { createOffers, type Offer } from './offers.ts';
import { createRing } from './ring.ts';
import { createTrims } from './trims.ts';
import { createTurns } from './turns.ts';
import {
  createWatcher,
  defaultBatchEvents,
  type Watcher,
  type WatcherHost,
  type WatchOptions,
} from './watcher.ts';

export type { WatchFilter } from './filter.ts';
export type { WatchOptions } from './watcher.ts';

export type HubOptions = {
  readonly log: EventLog;
  readonly logger: Logger;
  /** Newest dispatched events that are kept in memory for slightly late watchers; 8,192 unless given. */
  readonly ringEvents?: number;
  /** Bytes of the above; 8 MiB unless given. */
  readonly ringBytes?: number;
  /** Bytes that may wait in the queue of one watcher; 1 MiB unless given. */
  readonly maxBufferedBytes?: number;
  /** Reads of the log at a time for all watchers that are catching up; 8 unless given. */
  readonly maxReads?: number;
  /** Events that other nodes have offered too early and that are kept for a while; 1,000 unless given. */
  readonly maxOfferedEvents?: number;
  /** Bytes of the above; 4 MiB unless given, which an append of the largest kind fits into. */
  readonly maxOfferedBytes?: number;
};

export type WatchIterator = AsyncIterator<Watched<LogEvent>, undefined, undefined> & {
  /** While a `next()` is pending: all that is selected at or before it has been handed out. */
  readonly position: Position;
};

export type HubStats = {
  readonly watchers: number;
  readonly synced: number;
  readonly catchingUp: number;
  /** Watchers that a dispatched event is matched against: the synced ones. */
  readonly indexed: number;
  /** Waiting in all queues now, and the most that ever waited in one. */
  readonly queuedEvents: number;
  readonly queuedBytes: number;
  readonly peakQueuedEvents: number;
  /** How often a synced watcher was too slow and is fed from the log since. */
  readonly lagged: number;
  readonly activeReads: number;
  readonly waitingReads: number;
  readonly ringEvents: number;
  readonly ringBytes: number;
  readonly dispatchedEvents: number;
  /** Of them, those that another node's offer brought before the log did. */
  readonly offeredEvents: number;
  /** Offered too early, and waiting for what stands before them. */
  readonly heldEvents: number;
};

/**
 * The only follower of the log: hands each commit to the watchers that it concerns (docs/adr/0007-watchers.md).
 *
 * No watcher holds up the log, the hub or another watcher: each has a bounded queue, and one that is slow, or starts
 * in the past, is fed from memory or the log at its own pace until it has caught up.
 */
export type Hub = {
  /**
   * Begins to follow the log at its end. Resolves once the log was reached; when it cannot be reached at the first
   * try it resolves too, and the hub goes on trying while watchers wait.
   */
  start(): Promise<void>;
  /** Newest event that was dispatched; the log's start until it was reached. */
  readonly position: Position;
  /** Newest event that the log had when it was reached for the first time; the log's start until then. */
  readonly began: Position;
  /** True while the log is followed; false before it was reached and while it cannot be. */
  readonly following: boolean;
  /**
   * Every event of `filter` behind `after`, once and in log order, then `caughtUp` once: what stood in the log when
   * the watch began has been handed out; then what comes.
   *
   * `gap` says that messages or versions of state keys behind the watch's place were removed by retention before they were
   * read, up to `to`, the newest one of them; what is left of other topics and keys before `to` still comes. It is told once, before the first item
   * behind the place, and again when more was removed in front of a watch that is behind. What was truncated otherwise
   * is told to a watch of one stream, when `after` is the log's start or an event of the stream is known from before;
   * then `to` is the first event that is left.
   *
   * Ends when `signal` aborts, the iterator returns, or the hub or the log closes. One `next()` at a time. Costs
   * nothing until it is iterated; each iteration is a watcher of its own.
   *
   * @throws {LogError} from `next()`: `log_corrupt`, `log_failed`. An unreachable log is waited for.
   */
  watch(options: WatchOptions & { readonly filter: WatchFilter }): {
    [Symbol.asyncIterator](): WatchIterator;
  };
  /**
   * Takes what another node of the same log has read from it. Dispatched at once when nothing stands between it and
   * `position`; otherwise kept, within limits, until the log or another offer has brought what does. Whichever way
   * brings an event first, it is dispatched once and in log order (docs/adr/0017-mesh.md).
   */
  offer(offer: Offer): void;
  /** What the read models know of retention up to `position`: spares a look through the log. */
  seedTrims(known: Iterable<readonly [trimId: string, removedTo: string]>, position: Position): void;
  /** What retention has removed of `filter` behind `after`, by all that the log has recorded; undefined when nothing. */
  gapBehind(after: Position, filter: WatchFilter): Promise<Gap | undefined>;
  /** Events that were dispatched behind `position`: exact while they are in memory, else at least so many. */
  countAfter(position: Position): number;
  stats(): HubStats;
  /** Ends every watch, then stops following. Idempotent. */
  close(): Promise<void>;
};

const firstRetryMs = 50;
/** What was appended since waits for this, so it is less than a command waits for its own effect. */
const maxRetryMs = 1_000;
const maxWeight = 2_000_000;

const weigh = (event: LogEvent): number => 400 + roughBytes(event.data, maxWeight);

const finished: IteratorResult<Watched<LogEvent>, undefined> = { done: true, value: undefined };

/** One watcher, pulled; a class for the reason that `Watcher` has methods alone. */
class Iteration implements WatchIterator {
  readonly #watcher: Watcher;

  constructor(watcher: Watcher) {
    this.#watcher = watcher;
  }

  get position(): Position {
    return this.#watcher.position();
  }

  next(): Promise<IteratorResult<Watched<LogEvent>, undefined>> {
    return this.#watcher.next();
  }

  return(): Promise<IteratorResult<Watched<LogEvent>, undefined>> {
    this.#watcher.end();
    return Promise.resolve(finished);
  }
}

export const createHub = ({
  log,
  logger,
  ringEvents = 8_192,
  ringBytes = 8 * 1_048_576,
  maxBufferedBytes = 1_048_576,
  maxReads = 8,
  maxOfferedEvents = 1_000,
  maxOfferedBytes = 4 * 1_048_576,
}: HubOptions): Hub => {
  const ring = createRing({ maxEvents: ringEvents, maxBytes: ringBytes }, log.start);
  const turns = createTurns(maxReads);
  const offers = createOffers({ maxEvents: maxOfferedEvents, maxBytes: maxOfferedBytes }, weigh);
  const trims = createTrims(log);
  const groups = createGroups<Watcher>(defaultBatchEvents);
  const watchers = new Set<Watcher>();
  const closing = new AbortController();
  const reached = Promise.withResolvers<void>();

  let position: Position | undefined;
  let began = log.start;
  /** Newest event that the log itself has brought: `position` is ahead of it while offers are faster. */
  let read: Position | undefined;
  let following = false;
  let running: Promise<void> | undefined;
  /** The last trouble that was told of: each is told once until something is dispatched again. */
  let told = '';
  let dispatched = 0;
  let offered = 0;
  let lagged = 0;
  let peakQueued = 0;

  const host: WatcherHost = {
    log,
    ring,
    turns,
    trims,
    maxBufferedBytes,
    reached: reached.promise,
    get position() {
      return position;
    },
    get read() {
      return read;
    },
    synced: (watcher) => groups.add(watcher.selection, watcher),
    lagging: (watcher) => {
      lagged++;
      groups.delete(watcher.selection, watcher);
    },
    ended: (watcher) => {
      groups.delete(watcher.selection, watcher);
      watchers.delete(watcher);
    },
  };

  const dispatch = (batch: readonly LogEvent[]): void => {
    trims.dispatched(batch, position ?? log.start);
    for (const event of batch) {
      if (position !== undefined && event.position <= position) continue;
      const bytes = weigh(event);
      groups.push(event, bytes);
      ring.push(event, bytes);
      position = event.position;
      dispatched++;
    }
    const concerned = groups.flush((watcher, events) => {
      peakQueued = Math.max(peakQueued, watcher.offer(events));
    });
    for (const watcher of concerned) watcher.wake();
  };

  /** What was offered and follows on what has been dispatched by now. */
  const dispatchOffered = (): void => {
    while (position !== undefined) {
      const events = offers.take(position);
      if (events === undefined) return;
      const before = dispatched;
      dispatch(events);
      offered += dispatched - before;
    }
  };

  const endWatchers = (): void => {
    for (const watcher of [...watchers]) watcher.end();
  };

  /** Follows until the log closes or fails. */
  const followOnce = async (): Promise<void> => {
    if (position === undefined) {
      const head = await log.position();
      ring.reset(head);
      began = head;
      position = head;
      read = head;
      reached.resolve();
      dispatchOffered();
    }
    following = true;
    for await (const batch of log.watch({ after: position, signal: closing.signal })) {
      following = true;
      told = '';
      read = batch.at(-1)?.position ?? read;
      dispatch(batch);
      dispatchOffered();
    }
  };

  const follow = async (firstTry: () => void): Promise<void> => {
    let waitMs = firstRetryMs;
    while (!closing.signal.aborted) {
      const before = position;
      try {
        const ended = followOnce();
        if (position === undefined) await Promise.race([ended, reached.promise]);
        firstTry();
        await ended;
        break;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== told) logger.warn({ error, position }, 'following the log failed; trying again');
        told = reason;
      }
      firstTry();
      following = false;
      if (position !== before) waitMs = firstRetryMs;
      await delay(waitMs, undefined, { signal: closing.signal }).catch(() => undefined);
      waitMs = Math.min(maxRetryMs, waitMs * 2);
    }
    following = false;
    reached.resolve();
    endWatchers();
  };

  const iterate = (options: WatchOptions & { readonly filter: WatchFilter }): WatchIterator => {
    if (options.signal.aborted || closing.signal.aborted) {
      const end = () => Promise.resolve(finished);
      return { next: end, return: end, position: options.after };
    }
    const watcher = createWatcher(host, selectionOf(options.filter), options, weigh);
    watchers.add(watcher);
    return new Iteration(watcher);
  };

  return {
    start() {
      const tried = Promise.withResolvers<void>();
      if (running === undefined) running = follow(tried.resolve);
      else tried.resolve();
      return tried.promise;
    },
    get position() {
      return position ?? log.start;
    },
    get began() {
      return began;
    },
    get following() {
      return following;
    },
    watch: (options) => ({ [Symbol.asyncIterator]: () => iterate(options) }),
    offer(offer) {
      const last = offer.events.at(-1)?.position;
      if (closing.signal.aborted || last === undefined || last <= (position ?? log.start)) return;
      offers.hold(offer);
      dispatchOffered();
    },
    seedTrims: trims.seed,
    async gapBehind(from, filter) {
      await trims.refresh();
      const to = trims.newestBehind(from, selectionOf(filter));
      return to === undefined ? undefined : { from, to };
    },
    countAfter: (after) => ring.countAfter(after),
    stats() {
      let synced = 0;
      let queuedEvents = 0;
      let queuedBytes = 0;
      for (const watcher of watchers) {
        const one = watcher.stats();
        if (one.synced) synced++;
        queuedEvents += one.queuedEvents;
        queuedBytes += one.queuedBytes;
      }
      return {
        watchers: watchers.size,
        synced,
        catchingUp: watchers.size - synced,
        indexed: groups.size,
        queuedEvents,
        queuedBytes,
        peakQueuedEvents: peakQueued,
        lagged,
        activeReads: turns.active,
        waitingReads: turns.waiting,
        ringEvents: ring.events,
        ringBytes: ring.bytes,
        dispatchedEvents: dispatched,
        offeredEvents: offered,
        heldEvents: offers.events,
      };
    },
    async close() {
      closing.abort();
      endWatchers();
      await running;
    },
  };
};
