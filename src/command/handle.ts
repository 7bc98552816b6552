import type { Decider, Decision } from '../../domain/decider.ts';
import {
  asRevision,
  type LogEvent,
  type NewEvent,
  type NewMetadata,
  type StreamId,
} from '../../domain/event.ts';
import { BoundedMap } from '../bounded-map.ts';
import { newId } from '../ids.ts';
import type { Appended, EventLog, Expected } from '../log/event-log.ts';
import { roughBytes } from '../rough-bytes.ts';

/** A decider bound to where its streams are remembered. */
export type Handled<State, Command, Event, Rejection> = {
  readonly decider: Decider<State, Command, Event, Rejection>;
  /** The state as the read models know it, perhaps behind the log; undefined when they know nothing. */
  restore(stream: StreamId): { readonly state: State; readonly revision: number } | undefined;
  /** The event of the union, or undefined for one that this decider does not know. */
  decode(event: LogEvent): Event | undefined;
};

export type Outcome<State, Event, Rejection> =
  | {
      readonly outcome: 'done';
      /** What the command was decided on. */
      readonly before: State;
      readonly appended: Appended;
      readonly events: readonly (Event & { readonly id: string })[];
    }
  /** The stream has the command's events already: nothing was written. In order, as they were recorded. */
  | { readonly outcome: 'repeated'; readonly recorded: readonly LogEvent[] }
  /** The command changes nothing: no event was written. `revision` is -1 for a stream without events. */
  | { readonly outcome: 'unchanged'; readonly revision: number }
  | { readonly outcome: 'rejected'; readonly rejection: Rejection }
  /** The caller's own `expectedRevision` is not the stream's. */
  | { readonly outcome: 'conflict'; readonly expected: number; readonly actual: number }
  /** Too many writers on this stream: each try met a newer state. */
  | { readonly outcome: 'busy'; readonly attempts: number };

export type HandleOptions = {
  readonly metadata: NewMetadata;
  /** Revision that the stream must have, -1 for none: one try, no second decision. */
  readonly expectedRevision?: number;
  /**
   * Ids of the events by index, told from the caller's own id of the command: the same command again finds the events that
   * it has made, among the newest 1,000 of the stream, or fewer where they are large (32 MiB).
   */
  readonly eventId?: (index: number) => string;
};

/** What is known of a stream: `revision` -1 is an empty one. `commit` is set while the append that made it is under way. */
type Known<State> = {
  readonly state: State;
  readonly revision: number;
  commit: Promise<boolean> | undefined;
};

const maxAttempts = 32;
const maxCached = 4_096;
/** A state that is larger than this is read again rather than kept. */
const maxCachedBytes = 16_384;
const lookEvents = 1_000;
const firstLookEvents = 32;
const refreshEvents = 128;
const maxLookBytes = 32 * 1_048_576;

/**
 * The only writer: load, decide, append with the revision that was decided on (docs/adr/0011-command-handler.md).
 *
 * Commands on one stream are pipelined where this process is the only writer: each decides on the state that the
 * appends before it will make, so a hot stream is bound by the group commit, not by one commit per command. On a log
 * that other nodes write to as well, each waits for the one before. An accepted decision is checked by its append;
 * a refusal is told only once the state that it rests on is known to be, or to have been after the command came, the log's.
 */
export const createHandler = (log: EventLog) => {
  const cache = new BoundedMap<StreamId, Known<unknown>>(maxCached);
  /**
   * Other nodes may write to the same streams: when an append under way gives way to one of theirs, theirs has the
   * very revision that a decision on top of it would expect, and the log would take what nobody decided.
   */
  const isShared = log.kind !== 'embedded';

  const remember = (stream: StreamId, known: Known<unknown>): void => {
    cache.set(stream, known);
  };

  const forget = (stream: StreamId, known: Known<unknown>): void => {
    if (cache.get(stream) === known) cache.delete(stream);
  };

  const load = <State, Command, Event, Rejection>(
    handled: Handled<State, Command, Event, Rejection>,
    stream: StreamId,
  ): Known<State> => {
    // The cache holds for each stream what the handler of that stream's category has put there.
    return (cache.get(stream) as Known<State> | undefined) ?? restore(handled, stream);
  };

  const restore = <State, Command, Event, Rejection>(
    handled: Handled<State, Command, Event, Rejection>,
    stream: StreamId,
  ): Known<State> => {
    const restored = handled.restore(stream);
    return {
      state: restored?.state ?? handled.decider.initial,
      revision: restored?.revision ?? -1,
      commit: undefined,
    };
  };

  /** Folds what the log has behind the read models: a cached state may rest on an append that failed. */
  const refresh = async <State, Command, Event, Rejection>(
    handled: Handled<State, Command, Event, Rejection>,
    stream: StreamId,
  ): Promise<void> => {
    let { state, revision } = restore(handled, stream);
    for (;;) {
      const page = await log.readStream(stream, { from: asRevision(revision + 1), limit: refreshEvents });
      for (const event of page) {
        const decoded = handled.decode(event);
        if (decoded !== undefined) {
          state = handled.decider.evolve(state, decoded, {
            revision: event.revision,
            actor: event.metadata.actor,
          });
        }
        revision = event.revision;
      }
      if (page.length < refreshEvents) break;
    }
    const newer = cache.get(stream);
    if (newer === undefined || newer.revision < revision)
      remember(stream, { state, revision, commit: undefined });
  };

  /** The events that a command of these ids has written before, or undefined. */
  const earlier = async (
    stream: StreamId,
    eventId: (index: number) => string,
  ): Promise<readonly LogEvent[] | undefined> => {
    const newest: LogEvent[] = [];
    let bytes = 0;
    for (let limit = firstLookEvents; ; limit *= 4) {
      const from = newest.at(-1)?.revision;
      if (from === 0) return undefined;
      const page = await log.readStream(stream, {
        direction: 'backwards',
        limit: Math.min(limit, lookEvents - newest.length),
        ...(from === undefined ? {} : { from: asRevision(from - 1) }),
      });
      for (const event of page) {
        newest.push(event);
        if (event.id === eventId(0)) return ofCommand(newest.toReversed(), eventId);
        bytes += roughBytes(event.data, maxLookBytes);
      }
      if (page.length === 0 || newest.length >= lookEvents || bytes >= maxLookBytes) return undefined;
    }
  };

  /** True when the log's newest revision is, or was after the command came, the one that the decision rests on. */
  const confirmed = async (stream: StreamId, known: Known<unknown>): Promise<boolean> => {
    if (known.commit !== undefined) return known.commit;
    const head = await log.head(stream);
    return (head?.revision ?? -1) === known.revision;
  };

  const append = async <
    State,
    Command,
    Event extends { readonly type: string; readonly data: unknown },
    Rejection,
  >(
    handled: Handled<State, Command, Event, Rejection>,
    stream: StreamId,
    known: Known<State>,
    events: readonly (Event & { readonly id: string })[],
    options: HandleOptions,
  ): Promise<Appended | undefined> => {
    let { state, revision } = known;
    for (const event of events) {
      revision++;
      state = handled.decider.evolve(state, event, {
        revision: asRevision(revision),
        actor: options.metadata.actor,
      });
    }
    const expected: Expected = known.revision < 0 ? 'none' : asRevision(known.revision);
    const written = log.append(
      stream,
      events.map((event) => newEvent(event, options.metadata)),
      expected,
    );
    const next: Known<State> = { state, revision, commit: undefined };
    // Decided on by later commands at once; what they decide is void when this append fails, and their own fails too.
    next.commit = written.then(
      (result) => result.ok && !result.duplicate,
      () => false,
    );
    remember(stream, next);
    try {
      const result = await written;
      if (!result.ok || result.duplicate || roughBytes(state, maxCachedBytes) >= maxCachedBytes)
        forget(stream, next);
      if (!result.ok) cache.delete(stream);
      return result.ok ? result : undefined;
    } catch (error) {
      cache.delete(stream);
      throw error;
    } finally {
      next.commit = undefined;
    }
  };

  /**
   * The commands with an id of the caller's that are under way, by their first event's id: the same one waits. On a
   * shared log by their stream: between the look for the id and the append another one would make it conflict.
   */
  const underWay = new Map<string, Promise<unknown>>();

  const alone = async <Value>(id: string, work: () => Promise<Value>): Promise<Value> => {
    for (let before = underWay.get(id); before !== undefined; before = underWay.get(id)) {
      await before.catch(() => undefined);
    }
    const own = work();
    underWay.set(id, own);
    try {
      return await own;
    } finally {
      underWay.delete(id);
    }
  };

  const decideAndAppend = async <
    State,
    Command,
    Event extends { readonly type: string; readonly data: unknown },
    Rejection,
  >(
    handled: Handled<State, Command, Event, Rejection>,
    stream: StreamId,
    command: Command,
    options: HandleOptions,
  ): Promise<Outcome<State, Event, Rejection>> => {
    const ids: string[] = [];
    const idAt = (index: number): string => {
      ids[index] ??= options.eventId?.(index) ?? newId();
      return ids[index];
    };
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      let known = load(handled, stream);
      // Nothing is awaited between this load and the append, so of those that wait the first one goes on alone.
      while (isShared && known.commit !== undefined) {
        await known.commit;
        known = load(handled, stream);
      }
      if (options.eventId !== undefined) {
        // Looked for behind the load: what another node writes in between makes the append conflict, and the next look
        // finds it. Of this process's own commands none has the same id meanwhile.
        const recorded = await earlier(stream, options.eventId);
        if (recorded !== undefined) return { outcome: 'repeated', recorded };
        if (!isShared) known = load(handled, stream);
      }
      const { expectedRevision } = options;
      if (expectedRevision !== undefined && expectedRevision !== known.revision) {
        if (await confirmed(stream, known)) {
          return { outcome: 'conflict', expected: expectedRevision, actual: known.revision };
        }
        await refresh(handled, stream);
        continue;
      }
      const decision: Decision<Event, Rejection> = handled.decider.decide(command, known.state);
      if (!decision.ok || decision.events.length === 0) {
        if (await confirmed(stream, known)) {
          return decision.ok
            ? { outcome: 'unchanged', revision: known.revision }
            : { outcome: 'rejected', rejection: decision.rejection };
        }
        await refresh(handled, stream);
        continue;
      }
      const events = decision.events.map((event, index) => ({ ...event, id: idAt(index) }));
      const appended = await append(handled, stream, known, events, options);
      if (appended !== undefined) return { outcome: 'done', before: known.state, appended, events };
      await refresh(handled, stream);
    }
    return { outcome: 'busy', attempts: maxAttempts };
  };

  return {
    /**
     * Decides `command` on the newest state of `stream` and appends what was decided.
     *
     * @throws {LogError} when the log cannot tell or take it.
     */
    handle: <State, Command, Event extends { readonly type: string; readonly data: unknown }, Rejection>(
      handled: Handled<State, Command, Event, Rejection>,
      stream: StreamId,
      command: Command,
      options: HandleOptions,
    ): Promise<Outcome<State, Event, Rejection>> => {
      const work = () => decideAndAppend(handled, stream, command, options);
      if (options.eventId === undefined) return work();
      return alone(isShared ? stream : options.eventId(0), work);
    },

    /** The events that the command with these ids has written to `stream` before, or undefined; see `HandleOptions`. */
    recorded: async ({ eventId }: HandleOptions, stream: StreamId) =>
      eventId === undefined ? undefined : earlier(stream, eventId),

    /** Appends events whose decision rests on no state: nothing is loaded, and the revision is whatever it is. */
    appendAny: <Event extends { readonly type: string; readonly data: unknown; readonly id: string }>(
      stream: StreamId,
      event: Event,
      metadata: NewMetadata,
      expected: Expected = 'any',
    ) => log.append(stream, [newEvent(event, metadata)], expected),
  };
};

export type Handler = ReturnType<typeof createHandler>;

/** Of events in order the first of which is a command's: those that are. */
const ofCommand = (events: readonly LogEvent[], eventId: (index: number) => string): readonly LogEvent[] => {
  const end = events.findIndex(({ id }, index) => id !== eventId(index));
  return end < 0 ? events : events.slice(0, end);
};

const newEvent = (
  event: { readonly id: string; readonly type: string; readonly data: unknown },
  metadata: NewMetadata,
): NewEvent => ({ id: event.id, type: event.type, data: event.data, metadata });
