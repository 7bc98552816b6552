import { type LogEvent, type Position, streamId } from '../../../domain/event.ts';
import type { Priority } from '../../../domain/message/message.ts';
import { topicMatches } from '../../../domain/names.ts';
import type { ScheduledDocument } from '../../../projections/documents.ts';
import { dueOfKey } from '../../../projections/scheduled.ts';
import type { Clock } from '../../clock.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Message } from '../../nexus-core.ts';
import type { Runner } from '../../projection/runner.ts';
import { type SavedSource, savedOf } from './checkpoint.ts';
import { createEntry, type Entry, type Origin, type Place, timesOf } from './entry.ts';
import { loadEvents } from './load.ts';
import { retrying } from './retrying.ts';
import type { Sink, Source } from './source.ts';
import { createWindow } from './window.ts';

export type ScheduledSource = Source & {
  /** The key behind which nothing was looked at: what is due at or before it is the lanes' to deliver. */
  readonly cursor: string;
  /** Scheduled messages that the lanes have met and that are not due, of the next 20,000 of all topics. */
  readonly later: number;
  /** Scheduled messages came. */
  poke(): void;
};

export type ScheduledSourceOptions = {
  readonly runner: Pick<Runner, 'store' | 'reached'>;
  readonly log: Pick<EventLog, 'readStream'>;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly topic: string;
  /** Position behind which the subscription delivers. */
  readonly from: Position;
  readonly saved: SavedSource;
  readonly sink: Sink;
  readonly messageFrom: (event: LogEvent) => Message | undefined;
  /** How far the lane of a priority has gone. */
  readonly accepted: (priority: Priority) => Position;
  /** The message at `position` is handed over here, and no longer the lane's. */
  readonly passed: (priority: Priority, position: Position) => void;
  /** True for one that was settled although the checkpoint does not say so. */
  readonly isSettled: (position: Position) => boolean;
};

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const model = 'scheduled';
const windowEntries = 256;
const windowBytes = 4 * 1_048_576;
/** Documents that one look goes through, whoever's they are. */
const lookEntries = 1_000;
const countEntries = 20_000;
const reachedMs = 5_000;
/** Until it is looked whether the read models have come closer. */
const behindMs = 100;
/** A timer's longest wait; looks that are due later come in steps. */
const maxWaitMs = 60_000;

/** Delivers messages at the time that they were published for: follows the clock through a list that is ordered by it. */
export const createScheduledSource = (options: ScheduledSourceOptions): ScheduledSource => {
  const { runner, log, clock, wallMs, topic, from, saved, sink, messageFrom, accepted } = options;
  const stopping = new AbortController();
  const window = createWindow(windowEntries, windowBytes);
  const unsettled = new Set<Entry>();
  let { cursor } = saved;
  /** What the cursor has passed and that is being read. */
  let owed: readonly Place[] = [];
  let wake = Promise.withResolvers<void>();

  const origin: Origin = {
    delivered: () => {},
    settled(entry) {
      if (unsettled.delete(entry)) window.remove(entry.bytes);
    },
  };

  const hand = (entries: readonly Entry[], how: Sink['accept']): void => {
    for (const entry of entries) {
      unsettled.add(entry);
      window.add(entry.bytes);
    }
    if (entries.length > 0) how(entries);
  };

  const entryOf = (event: LogEvent | undefined, more: Partial<Entry> = {}): Entry | undefined => {
    const message = event === undefined ? undefined : messageFrom(event);
    if (event === undefined || message === undefined || options.isSettled(event.position)) return undefined;
    const { expiresAt } = timesOf(event);
    return Object.assign(
      createEntry({ origin, message, place: event, expiresAt, nowMs: sink.nowMs() }),
      more,
    );
  };

  /**
   * Moves the cursor over what has become due, which is owed then, all in one turn: a lane that meets a scheduled message
   * before or behind it finds the cursor on the one side or on the other. Answers when the next falls due, if known.
   */
  const look = (): number | undefined => {
    const now = new Date(wallMs()).toISOString();
    const found: Place[] = [];
    let looked = 0;
    owed = found;
    for (const [key, document] of runner.store.range<ScheduledDocument>(model, { after: cursor })) {
      const due = dueOfKey(key);
      if (due > now) {
        if (now > cursor) cursor = now;
        return Date.parse(due);
      }
      if (++looked > lookEntries || found.length === windowEntries) return 0;
      cursor = key;
      const { position, priority } = document;
      if (position <= from || !topicMatches(topic, document.topic)) continue;
      // One that its lane has not met yet will be due when it does.
      if (position > accepted(priority)) continue;
      options.passed(priority, position);
      found.push({ stream: streamId('topic', document.topic), revision: document.revision });
    }
    if (now > cursor) cursor = now;
    return undefined;
  };

  const farthest = (): Position =>
    (['LOW', 'NORMAL', 'HIGH', 'CRITICAL'] as const)
      .map(accepted)
      .reduce((left, right) => (left > right ? left : right));

  const handOwed = async (): Promise<void> => {
    const events = await loadEvents(log, owed);
    if (stopping.signal.aborted) return;
    owed = [];
    hand(
      events.map((event) => entryOf(event)).filter((entry) => entry !== undefined),
      sink.accept,
    );
  };

  const step = async (): Promise<number | undefined> => {
    await handOwed();
    // The list must hold what the lanes have left to it before the cursor may pass.
    if (!(await runner.reached(farthest(), reachedMs))) return wallMs() + behindMs;
    // In a turn of its own: what the lanes have been given, they have looked at.
    await nextTurn();
    if (stopping.signal.aborted) return undefined;
    const nextMs = look();
    await handOwed();
    return nextMs;
  };

  const follow = async (): Promise<void> => {
    const { signal } = stopping;
    while (!signal.aborted) {
      await window.room();
      if (signal.aborted) return;
      wake = Promise.withResolvers<void>();
      const nextMs = await step();
      if (nextMs === undefined) {
        await wake.promise;
        continue;
      }
      const waitMs = Math.min(maxWaitMs, nextMs - wallMs());
      if (waitMs <= 0) continue;
      const cancel = clock.after(waitMs, wake.resolve);
      await wake.promise;
      cancel();
    }
  };

  return {
    get cursor() {
      return cursor;
    },
    get later() {
      let count = 0;
      let looked = 0;
      for (const [, document] of runner.store.range<ScheduledDocument>(model, { after: cursor })) {
        if (++looked > countEntries) break;
        const { position, priority } = document;
        if (position > from && position <= accepted(priority) && topicMatches(topic, document.topic)) count++;
      }
      return count;
    },
    poke: () => wake.resolve(),
    async restore() {
      const events = await loadEvents(log, saved.pending);
      const entries = saved.pending.map(({ attempts, failures, dueAtMs }, index) =>
        entryOf(events[index], { attempts, failures, dueAtMs }),
      );
      hand(
        entries.filter((entry) => entry !== undefined),
        sink.restored,
      );
    },
    start() {
      void retrying(follow, stopping.signal, sink.troubled);
    },
    save: () => ({
      cursor,
      pending: [
        ...[...unsettled].map(savedOf),
        ...owed.map(({ stream, revision }) => ({ stream, revision, attempts: 0, dueAtMs: 0, failures: [] })),
      ],
    }),
    stop() {
      stopping.abort();
      window.close();
      wake.resolve();
    },
  };
};
