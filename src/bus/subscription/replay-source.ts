import { asPosition, type LogEvent, type Position } from '../../../domain/event.ts';
import { topicMatches } from '../../../domain/names.ts';
import type { ReplayDocument } from '../../../projections/documents.ts';
import { replayKey, replaysOf } from '../../../projections/replays.ts';
import type { Clock } from '../../clock.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Message } from '../../nexus-core.ts';
import type { Runner } from '../../projection/runner.ts';
import { createPace, createSleeper, type Pace } from '../replay/pace.ts';
import type { Ranges } from '../replay/range.ts';
import { type SavedSource, savedOf } from './checkpoint.ts';
import { createEntry, type Entry, type Origin, timesOf } from './entry.ts';
import { loadEvents } from './load.ts';
import { encodeReplayCursor, parseReplayCursor } from './replay-cursor.ts';
import { retrying } from './retrying.ts';
import type { Sink, Source } from './source.ts';
import { createWindow } from './window.ts';

export type ReplaySource = Source & {
  /** Replays were asked for, or stopped. */
  poke(): void;
};

export type ReplaySourceOptions = {
  readonly runner: Pick<Runner, 'store'>;
  readonly ranges: Ranges;
  readonly log: Pick<EventLog, 'readStream'>;
  /** The subscription's. */
  readonly name: string;
  readonly topic: string;
  /** Of the event that began it, or began it anew: replays that were asked for before are over. */
  readonly fromAt: Position;
  readonly saved: SavedSource;
  readonly sink: Sink;
  readonly messageFrom: (event: LogEvent) => Message | undefined;
  /** Steady. */
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly onGap: (from: Position, to: Position) => void;
};

export const replayEntries = 256;
const replayBytes = 4 * 1_048_576;
const model = 'replays';

/** A replay that is being carried out, and how far. */
type Running = {
  readonly document: ReplayDocument;
  readonly pace: Pace;
  position: Position;
  messages: number;
};

/**
 * Delivers stretches of history again, one replay after another, in the order in which they were asked for
 * (docs/adr/0022-replay.md): 256 messages at most are handed over and unsettled at a time.
 */
export const createReplaySource = (options: ReplaySourceOptions): ReplaySource => {
  const { runner, ranges, log, name, topic, fromAt, saved, sink, messageFrom, clock, wallMs } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const window = createWindow(replayEntries, replayBytes);
  const sleeper = createSleeper(clock);
  const unsettled = new Set<Entry>();
  let { request, progress } = parseReplayCursor(saved.cursor);
  let running: Running | undefined;
  let wake = Promise.withResolvers<void>();
  let idle = Promise.withResolvers<void>();

  const origin: Origin = {
    delivered: () => {},
    settled(entry) {
      if (unsettled.delete(entry)) window.remove(entry.bytes);
      if (unsettled.size === 0) idle.resolve();
    },
  };

  const hand = (entries: readonly Entry[], how: Sink['accept']): void => {
    for (const entry of entries) {
      unsettled.add(entry);
      window.add(entry.bytes);
    }
    if (entries.length > 0) how(entries);
  };

  const entryOf = (event: LogEvent): Entry | undefined => {
    const message = messageFrom(event);
    if (message === undefined) return undefined;
    const { expiresAt } = timesOf(event);
    return createEntry({
      origin,
      message: { ...message, replay: true },
      place: event,
      expiresAt,
      nowMs: sink.nowMs(),
    });
  };

  /** Its topics may have been changed since, and a message that is still to be delivered is not history yet. */
  const isMeant = (event: LogEvent): boolean => {
    const message = messageFrom(event);
    if (message === undefined || !topicMatches(topic, message.topic)) return false;
    const { deliverAt } = timesOf(event);
    return deliverAt === undefined || Date.parse(deliverAt) <= wallMs();
  };

  const isWanted = ({ document }: Running): boolean =>
    !signal.aborted &&
    runner.store.read<ReplayDocument>(model, replayKey(name, document.revision)) !== undefined;

  /** The first replay that is not over. */
  const nextReplay = (): ReplayDocument | undefined => {
    const prefix = replaysOf(name);
    const range = request === 0 ? { prefix } : { prefix, after: replayKey(name, request - 1) };
    for (const [, document] of runner.store.range<ReplayDocument>(model, range)) {
      if (document.position > fromAt) return document;
    }
    return undefined;
  };

  const begin = (document: ReplayDocument): Running => {
    const before = document.revision === request ? progress : undefined;
    request = document.revision;
    const { speed } = document;
    return {
      document,
      pace: createPace({ speed, clock, wallMs, anchor: before?.anchor }),
      position: before?.position ?? asPosition(document.from),
      messages: before?.messages ?? 0,
    };
  };

  const handOver = (own: Running, events: readonly LogEvent[], position: Position): void => {
    const entries = events.flatMap((event) => entryOf(event) ?? []);
    own.messages += entries.length;
    own.position = position;
    hand(entries, sink.accept);
    sink.moved();
  };

  /** Each message when it is due; false once the replay is not wanted any more. */
  const handPaced = async (own: Running, events: readonly LogEvent[]): Promise<boolean> => {
    for (const event of events) {
      const publishedMs = Date.parse(event.metadata.recordedAt);
      for (;;) {
        if (!isWanted(own)) return false;
        const waitMs = own.pace.waitMs(publishedMs);
        if (waitMs === 0) break;
        await sleeper.sleep(waitMs);
      }
      await window.room();
      if (!isWanted(own)) return false;
      handOver(own, [event], event.position);
    }
    return true;
  };

  const carryOut = async (own: Running): Promise<void> => {
    const { document, position: from } = own;
    const to = asPosition(document.to);
    for await (const step of ranges.read({ topic: document.topic, from, to }, signal)) {
      if (step.type === 'gap') {
        options.onGap(step.from, step.to);
        continue;
      }
      const events = step.events.filter(isMeant);
      if (document.speed > 0 && !(await handPaced(own, events))) return;
      await window.room();
      if (!isWanted(own)) return;
      handOver(own, document.speed > 0 ? [] : events, step.position);
    }
    // It is over, and the next one begins, when everything of it is settled.
    while (unsettled.size > 0 && isWanted(own)) {
      idle = Promise.withResolvers();
      await idle.promise;
    }
  };

  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      wake = Promise.withResolvers<void>();
      const document = nextReplay();
      if (document === undefined) {
        await wake.promise;
        continue;
      }
      running = begin(document);
      try {
        await carryOut(running);
      } catch (error) {
        // It is gone on with from where it is.
        progress = progressOf(running);
        throw error;
      }
      if (signal.aborted) return;
      request = document.revision + 1;
      progress = undefined;
      running = undefined;
      sink.moved();
    }
  };

  const progressOf = ({ position, messages, pace }: Running) => ({ position, messages, anchor: pace.anchor });

  return {
    poke() {
      wake.resolve();
      idle.resolve();
      sleeper.wake();
    },
    async restore() {
      const events = await loadEvents(log, saved.pending);
      const entries = saved.pending.flatMap(({ attempts, failures, dueAtMs }, index) => {
        const event = events[index];
        const entry = event === undefined ? undefined : entryOf(event);
        return entry === undefined ? [] : [Object.assign(entry, { attempts, failures, dueAtMs })];
      });
      hand(entries, sink.restored);
    },
    start() {
      void retrying(follow, signal, sink.troubled);
    },
    save: () => ({
      cursor: encodeReplayCursor({
        request,
        progress: running === undefined ? progress : progressOf(running),
      }),
      pending: [...unsettled].map(savedOf),
    }),
    stop() {
      stopping.abort();
      window.close();
      wake.resolve();
      idle.resolve();
      sleeper.wake();
    },
  };
};
