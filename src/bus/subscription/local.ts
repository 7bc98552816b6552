import { setImmediate as nextTurn } from 'node:timers/promises';
import { decodeEvent } from '../../../domain/catalog.ts';
import {
  asPosition,
  type LogEvent,
  type NewEvent,
  type Position,
  type Revision,
  streamId,
} from '../../../domain/event.ts';
import { type Priority, priorities } from '../../../domain/message/message.ts';
import { settingsOf } from '../../../domain/subscription/settings.ts';
import type { DeadLetter, Owner } from '../../../domain/subscription/subscription.ts';
import { letterKey } from '../../../projections/dead-letters.ts';
import type { DeadLetterDocument, SubscriptionDocument } from '../../../projections/documents.ts';
import type { Clock } from '../../clock.ts';
import { newId } from '../../ids.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Gap, Message } from '../../nexus-core.ts';
import type { Runner } from '../../projection/runner.ts';
import type { Hub } from '../../watch/hub.ts';
import type { Ranges } from '../replay/range.ts';
import { decodeState, encodeState, freshState, resetState, type SavedState } from './checkpoint.ts';
import { createDispatcher, type Dispatcher } from './dispatcher.ts';
import { createLag } from './lag.ts';
import { createLaneSource, type LaneSource } from './lane-source.ts';
import { createRedriveSource } from './redrive-source.ts';
import { createReplaySource } from './replay-source.ts';
import { createScheduledSource } from './scheduled-source.ts';

export type LocalOptions = {
  readonly document: SubscriptionDocument;
  /** As whom this node serves it; null on a log that no other node writes to. */
  readonly owner: Owner | null;
  readonly isOwner: () => boolean;
  readonly node: string;
  readonly log: EventLog;
  readonly hub: Pick<Hub, 'watch' | 'position'>;
  readonly ranges: Ranges;
  readonly runner: Pick<Runner, 'store' | 'reached'>;
  readonly messageFrom: (event: LogEvent) => Message | undefined;
  readonly bury: (document: SubscriptionDocument, letters: readonly DeadLetter[]) => Promise<'done' | 'lost'>;
  readonly clock: Clock;
  readonly wallMs: () => number;
  readonly random?: () => number;
  readonly lost: () => void;
  readonly troubled: (error: unknown) => void;
  readonly onGap: (from: Position, to: Position) => void;
  /** So many events of the log were hidden, whose space can be freed. */
  readonly truncated: (events: number) => void;
  /** In place of the newest checkpoint, and newer than that. */
  readonly state?: SavedState;
};

export type Live = {
  readonly position: Position;
  readonly lagEvents: number;
  readonly inFlight: number;
  /** What retention has taken last before it was delivered; null when it has taken nothing. */
  readonly gap: Gap | null;
};

/** A subscription that this node serves. */
export type Local = {
  readonly document: SubscriptionDocument;
  readonly dispatcher: Dispatcher;
  /** Everything that matches at or before it is settled. */
  readonly position: Position;
  live(): Promise<Live>;
  /** The document as it stands now: settings and pause are taken over, redrives and replays are looked for. */
  update(document: SubscriptionDocument): void;
  /** Scheduled messages came. */
  poke(): void;
  /** Closes it, and tells what it would have saved to who goes on from there. */
  handOver(): Promise<SavedState>;
  /** At once; resolves when nothing of it is being written any more, so that another checkpoint may follow. */
  close(): Promise<void>;
  drain(): Promise<void>;
};

const maxFences = 16;
const readModelsMs = 5_000;

type Checkpoint = { readonly revision: Revision | undefined; readonly state: SavedState | undefined };

/** The newest checkpoint; its state is undefined when it is of an earlier subscription of this name. */
export const readCheckpoint = async (
  log: Pick<EventLog, 'readStream'>,
  { name, created }: Pick<SubscriptionDocument, 'name' | 'created'>,
): Promise<Checkpoint> => {
  const [newest] = await log.readStream(streamId('checkpoint', name), { direction: 'backwards', limit: 1 });
  if (newest === undefined) return { revision: undefined, state: undefined };
  const decoded = decodeEvent(newest);
  const data =
    decoded.ok && decoded.known && decoded.event.type === 'SubscriptionCheckpointed'
      ? decoded.event.data
      : undefined;
  const own = data !== undefined && data.created === created;
  return { revision: newest.revision, state: own ? decodeState(data.state) : undefined };
};

/**
 * Takes up the subscription where its newest checkpoint left it. On a shared log it writes one of its own first, which no
 * former owner's can follow.
 *
 * @throws {Error} while the log cannot be read or written, or the lease may be over; may be tried again.
 */
export const openLocal = async (options: LocalOptions): Promise<Local> => {
  const { log, hub, runner, owner, clock, wallMs, node, troubled } = options;
  const { name, created } = options.document;
  let { document } = options;
  const stream = streamId('checkpoint', name);
  const nowIso = (): string => new Date(wallMs()).toISOString();

  const begin = (saved: SavedState | undefined): SavedState => {
    const from = asPosition(document.from);
    if (saved === undefined) return freshState(from, document.resets, nowIso(), Number(created));
    return saved.resets === document.resets ? saved : resetState(saved, from, document.resets, nowIso());
  };

  let { revision, state: found } = await readCheckpoint(log, document);
  let state = begin(options.state ?? found);
  /** A checkpoint that the log has not answered: it may stand there, and goes there again as the same event. */
  let unanswered: NewEvent | undefined;

  const put = async (event: NewEvent): Promise<boolean> => {
    unanswered = event;
    const appended = await log.append(stream, [event], revision ?? 'none');
    unanswered = undefined;
    if (!appended.ok) return false;
    revision = appended.events[0]?.revision;
    // Only the newest is kept; one that stays behind for a while does no harm.
    if (revision !== undefined) log.truncate(stream, revision).then(() => options.truncated(1), troubled);
    return true;
  };

  /** False when somebody else's stands behind the newest that is known. */
  const append = async (saved: SavedState): Promise<boolean> => {
    const metadata = { actor: 'system', correlationId: newId(), causationId: null, node, schema: 1 };
    const data = { created, owner, state: encodeState(saved) };
    const event = { id: newId(), type: 'SubscriptionCheckpointed', data, metadata };
    return (unanswered === undefined || (await put(unanswered))) && put(event);
  };

  for (let attempt = 1; owner !== null; attempt++) {
    // Behind the read: who takes it over after this look appends behind what was read, and that is a conflict here.
    if (!options.isOwner()) throw new Error(`the lease under which ${name} is served may be over`);
    if (await append(state)) break;
    if (attempt === maxFences) throw new Error(`the checkpoint of ${name} cannot be taken over`);
    ({ revision, state: found } = await readCheckpoint(log, document));
    state = begin(options.state ?? found);
  }

  const letterAt = (position: Position): DeadLetterDocument | undefined =>
    runner.store.read<DeadLetterDocument>('dead-letters', letterKey(name, position));
  const openedAt = await log.position();
  /** Dead letters that a checkpoint may not know of are in the read models once these have reached the log's end. */
  const settledBefore = (position: Position): boolean => {
    if (position > openedAt) return false;
    const letter = letterAt(position);
    // One that died in a replay says nothing of its lane.
    return letter !== undefined && letter.replay !== true && letter.position > document.fromAt;
  };

  let { gap } = state;
  /** Each lane meets it by itself. */
  const onGap = (from: Position, to: Position): void => {
    if (gap !== undefined && to <= gap.to) return;
    gap = { from, to };
    options.onGap(from, to);
  };

  const collect = (): SavedState => ({
    resets: document.resets,
    lanes: {
      LOW: lanes.LOW.save(),
      NORMAL: lanes.NORMAL.save(),
      HIGH: lanes.HIGH.save(),
      CRITICAL: lanes.CRITICAL.save(),
    },
    scheduled: scheduled.save(),
    redrive: redrive.save(),
    replay: replay.save(),
    gap,
  });

  /** The newest save, whatever becomes of it. */
  let written: Promise<unknown> = Promise.resolve();

  const dispatcher = createDispatcher({
    settings: settingsOf(document),
    paused: true,
    clock,
    wallMs,
    ...(options.random === undefined ? {} : { random: options.random }),
    isOwner: options.isOwner,
    bury: (letters) => options.bury(document, letters),
    save: async () => {
      const appended = append(collect());
      written = appended.catch(() => undefined);
      return (await appended) ? 'done' : 'lost';
    },
    lost: () => {
      void close();
      options.lost();
    },
    troubled,
  });
  const { sink } = dispatcher;

  const scheduled = createScheduledSource({
    runner,
    log,
    clock,
    wallMs,
    topic: document.topic,
    from: asPosition(document.from),
    saved: state.scheduled,
    sink,
    messageFrom: options.messageFrom,
    accepted: (priority) => lanes[priority].accepted,
    passed: (priority, place) => lanes[priority].pass(place),
    isSettled: settledBefore,
  });
  const laneOf = (priority: Priority): LaneSource =>
    createLaneSource({
      hub,
      log,
      topic: document.topic,
      priority,
      saved: state.lanes[priority],
      sink,
      messageFrom: options.messageFrom,
      isLater: (event, deliverAt) =>
        deliverAt > event.metadata.recordedAt && `${deliverAt}/${event.position}` > scheduled.cursor,
      listed: (place) => runner.reached(place, readModelsMs),
      isSettled: settledBefore,
      onGap,
    });
  const lanes: Readonly<Record<Priority, LaneSource>> = {
    LOW: laneOf('LOW'),
    NORMAL: laneOf('NORMAL'),
    HIGH: laneOf('HIGH'),
    CRITICAL: laneOf('CRITICAL'),
  };
  const redrive = createRedriveSource({
    log,
    stream: streamId('subscription', name),
    saved: state.redrive,
    sink,
    messageFrom: options.messageFrom,
    diedAgain: (dead, revision) => {
      const letter = letterAt(asPosition(dead.position));
      return letter !== undefined && letter.letter > revision && letter.replay === dead.replay;
    },
  });
  const replay = createReplaySource({
    runner,
    ranges: options.ranges,
    log,
    name,
    topic: document.topic,
    fromAt: document.fromAt,
    saved: state.replay,
    sink,
    messageFrom: options.messageFrom,
    clock,
    wallMs,
    onGap: options.onGap,
  });
  const sources = [...priorities.map((priority) => lanes[priority]), scheduled, redrive, replay];
  const lag = createLag({ hub, topic: document.topic, lanes });

  const close = async (): Promise<void> => {
    lag.stop();
    for (const source of sources) source.stop();
    dispatcher.close();
    await written;
  };

  try {
    // Behind the end of the log as it was, so that dead letters and scheduled messages are all known.
    if (!(await runner.reached(openedAt, readModelsMs)))
      throw new Error('the read models are behind the log');
    for (const source of sources) await source.restore();
  } catch (error) {
    await close();
    throw error;
  }
  const position = (): Position =>
    priorities
      .map((priority) => lanes[priority].floor)
      .reduce((left, right) => (left < right ? left : right));
  dispatcher.update(settingsOf(document), document.status === 'paused');
  for (const source of sources) source.start();
  if (options.state !== undefined) sink.moved();

  return {
    get document() {
      return document;
    },
    dispatcher,
    get position() {
      return position();
    },
    async live() {
      const behind = await lag.behind();
      await nextTurn();
      return {
        position: position(),
        lagEvents: behind + dispatcher.unsettled + scheduled.later,
        inFlight: dispatcher.inFlight,
        gap: gap ?? null,
      };
    },
    update(next) {
      document = next;
      dispatcher.update(settingsOf(next), next.status === 'paused');
      redrive.poke();
      replay.poke();
    },
    poke: scheduled.poke,
    async handOver() {
      await nextTurn();
      const left = collect();
      await close();
      return left;
    },
    close,
    async drain() {
      await dispatcher.drain();
      await close();
    },
  };
};
