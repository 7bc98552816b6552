import { setImmediate as nextTurn } from 'node:timers/promises';
import { asPosition, type LogEvent, type Position } from '../../../domain/event.ts';
import type { Priority } from '../../../domain/message/message.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Message, Watched } from '../../nexus-core.ts';
import type { Hub, WatchIterator } from '../../watch/hub.ts';
import { type Saved, type SavedSource, savedOf } from './checkpoint.ts';
import { createEntry, type Entry, type Origin, timesOf } from './entry.ts';
import { loadEvents } from './load.ts';
import { retrying } from './retrying.ts';
import type { Sink, Source } from './source.ts';
import { createWindow } from './window.ts';

export type LaneSource = Source & {
  /** Everything of the lane at or before it was handed over, or left to the scheduled ones. */
  readonly accepted: Position;
  /** Messages of the lane that it has met since it was made. */
  readonly met: number;
  /** Everything of the lane at or before it is settled. */
  readonly floor: Position;
  /** What was left to the scheduled ones at `position` is handed over by them: it is not read again after a restart. */
  pass(position: Position): void;
};

export type LaneSourceOptions = {
  readonly hub: Pick<Hub, 'watch'>;
  readonly log: Pick<EventLog, 'readStream' | 'start'>;
  readonly topic: string;
  readonly priority: Priority;
  readonly saved: SavedSource;
  readonly sink: Sink;
  readonly messageFrom: (event: LogEvent) => Message | undefined;
  /** True for a message that is to be delivered later and that the scheduled ones will deliver. */
  readonly isLater: (event: LogEvent, deliverAt: string) => boolean;
  /** True once the scheduled ones can find what stands at or before `position`; false when that takes too long. */
  readonly listed: (position: Position) => Promise<boolean>;
  /** True for one that was settled although the checkpoint does not say so. */
  readonly isSettled: (position: Position) => boolean;
  readonly onGap: (from: Position, to: Position) => void;
};

export const laneEntries = 2_048;
export const laneBytes = 4 * 1_048_576;
const batchEvents = 256;

/** Feeds a dispatcher with the messages of one priority, from its own place in the log. */
export const createLaneSource = (options: LaneSourceOptions): LaneSource => {
  const { hub, log, topic, priority, saved, sink, messageFrom } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const window = createWindow(laneEntries, laneBytes);
  /** What was handed over, in the order of their positions, each with that of the message before. */
  const unsettled = new Map<Entry, Position>();
  /** What counts against the window: not delivered yet. */
  const waiting = new Set<Entry>();
  let accepted = asPosition(saved.cursor);
  /** The farthest that was delivered: what stands behind it is read again after a restart. */
  let delivered = accepted;
  let pulling: WatchIterator | undefined;
  let met = 0;

  const origin: Origin = {
    delivered(entry) {
      if (waiting.delete(entry)) window.remove(entry.bytes);
      if (entry.message.position > delivered) delivered = entry.message.position;
    },
    settled(entry) {
      unsettled.delete(entry);
      if (waiting.delete(entry)) window.remove(entry.bytes);
    },
  };

  const entryOf = (event: LogEvent): Entry | undefined => {
    const message = messageFrom(event);
    if (message === undefined || options.isSettled(event.position)) return undefined;
    const { deliverAt, expiresAt } = timesOf(event);
    if (deliverAt !== undefined && options.isLater(event, deliverAt)) return undefined;
    return createEntry({ origin, message, place: event, expiresAt, nowMs: sink.nowMs() });
  };

  const take = (step: Watched<LogEvent>): void => {
    if (step.type === 'gap') options.onGap(step.from, step.to);
    if (step.type !== 'items') return;
    // All are looked at before any is taken: what cannot be read now is read again as a whole.
    const entries = step.items.map(entryOf).filter((entry) => entry !== undefined);
    met += step.items.length;
    let before = accepted;
    for (const entry of entries) {
      unsettled.set(entry, before);
      before = entry.message.position;
      waiting.add(entry);
      window.add(entry.bytes);
    }
    accepted = step.position;
    if (entries.length > 0) sink.accept(entries);
  };

  /** What is left to the scheduled ones must be in their list first, or their cursor could pass it unseen. */
  const waitForList = async (step: Watched<LogEvent>): Promise<void> => {
    if (step.type !== 'items' || step.items.every((event) => timesOf(event).deliverAt === undefined)) return;
    while (!signal.aborted && !(await options.listed(step.position))) await nextTurn();
  };

  const followOne = async (iterator: WatchIterator): Promise<void> => {
    for (;;) {
      await window.room();
      if (signal.aborted) return;
      pulling = iterator;
      const step = await iterator.next().finally(() => {
        pulling = undefined;
      });
      if (step.done === true) return;
      await waitForList(step.value);
      if (signal.aborted) return;
      take(step.value);
    }
  };

  const follow = async (): Promise<void> => {
    const filter = { topic, priority };
    const iterator = hub
      .watch({ filter, after: accepted, signal, maxBatchEvents: batchEvents })
      [Symbol.asyncIterator]();
    try {
      await followOne(iterator);
    } finally {
      await iterator.return?.();
    }
  };

  return {
    get accepted() {
      return pulling !== undefined && pulling.position > accepted ? pulling.position : accepted;
    },
    get met() {
      return met;
    },
    get floor() {
      for (const before of unsettled.values()) return before;
      return this.accepted;
    },
    pass(position) {
      if (position > delivered) delivered = position;
    },
    async restore() {
      const events = await loadEvents(log, saved.pending);
      const entries: Entry[] = [];
      for (const [index, one] of saved.pending.entries()) {
        const event = events[index];
        const message = event === undefined ? undefined : messageFrom(event);
        if (event === undefined || message === undefined || options.isSettled(event.position)) continue;
        const { expiresAt } = timesOf(event);
        const { attempts, failures, dueAtMs } = one;
        const entry = createEntry({
          origin,
          message,
          place: event,
          expiresAt,
          nowMs: sink.nowMs(),
          attempts,
          failures,
        });
        entry.dueAtMs = dueAtMs;
        entries.push(entry);
      }
      let before = saved.floor ?? log.start;
      for (const entry of entries) {
        unsettled.set(entry, before);
        before = entry.message.position;
      }
      sink.restored(entries);
    },
    start() {
      void retrying(follow, signal, sink.troubled);
    },
    save() {
      const idle = unsettled.size === 0;
      if (idle && this.accepted > delivered) delivered = this.accepted;
      const pending: Saved[] = [];
      const places: Position[] = [];
      for (const [entry, before] of unsettled) {
        if (entry.message.position > delivered) break;
        pending.push(savedOf(entry));
        places.push(before);
      }
      return { cursor: delivered, pending, floor: this.floor, before: places };
    },
    stop() {
      stopping.abort();
      window.close();
    },
  };
};
