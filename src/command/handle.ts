import type { Decision } from '../../domain/decider.ts';
import { asRevision, type LogEvent, type NewMetadata, type StreamId } from '../../domain/event.ts';
import { newId } from '../ids.ts';
import type { Appended, EventLog, Expected } from '../log/event-log.ts';
import { createStreamStates, evolved, type Handled, type Known, newEvent } from './stream-states.ts';
import { createTransact } from './transact.ts';

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

const maxAttempts = 32;

/**
 * The only writer: load, decide, append with the revision that was decided on (docs/adr/0011-command-handler.md).
 *
 * Commands on one stream are pipelined where this process is the only writer: each decides on the state that the
 * appends before it will make, so a hot stream is bound by the group commit, not by one commit per command. On a log
 * that other nodes write to as well, each waits for the one before. An accepted decision is checked by its append;
 * a refusal is told only once the state that it rests on is known to be, or to have been after the command came, the log's.
 */
export const createHandler = (log: EventLog) => {
  const states = createStreamStates(log);
  /**
   * Other nodes may write to the same streams: when an append under way gives way to one of theirs, theirs has the
   * very revision that a decision on top of it would expect, and the log would take what nobody decided.
   */
  const isShared = log.kind !== 'embedded';

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
    const next = evolved(handled, known, events, options.metadata);
    const expected: Expected = known.revision < 0 ? 'none' : asRevision(known.revision);
    const written = log.append(
      stream,
      events.map((event) => newEvent(event, options.metadata)),
      expected,
    );
    const commit = written.then(
      (result) => result.ok && !result.duplicate,
      () => false,
    );
    const settle = states.expect(stream, next, commit);
    try {
      const result = await written;
      settle(result.ok ? (result.duplicate ? 'duplicate' : 'written') : 'void');
      return result.ok ? result : undefined;
    } catch (error) {
      settle('void');
      throw error;
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
      let known = states.load(handled, stream);
      // Nothing is awaited between this load and the append, so of those that wait the first one goes on alone.
      while (isShared && known.commit !== undefined) {
        await known.commit;
        known = states.load(handled, stream);
      }
      if (options.eventId !== undefined) {
        // Looked for behind the load: what another node writes in between makes the append conflict, and the next look
        // finds it. Of this process's own commands none has the same id meanwhile.
        const recorded = await states.earlier(stream, options.eventId);
        if (recorded !== undefined) return { outcome: 'repeated', recorded };
        if (!isShared) known = states.load(handled, stream);
      }
      const { expectedRevision } = options;
      if (expectedRevision !== undefined && expectedRevision !== known.revision) {
        if (await states.confirmed(stream, known)) {
          return { outcome: 'conflict', expected: expectedRevision, actual: known.revision };
        }
        await states.refresh(handled, stream);
        continue;
      }
      const decision: Decision<Event, Rejection> = handled.decider.decide(command, known.state);
      if (!decision.ok || decision.events.length === 0) {
        if (await states.confirmed(stream, known)) {
          return decision.ok
            ? { outcome: 'unchanged', revision: known.revision }
            : { outcome: 'rejected', rejection: decision.rejection };
        }
        await states.refresh(handled, stream);
        continue;
      }
      const events = decision.events.map((event, index) => ({ ...event, id: idAt(index) }));
      const appended = await append(handled, stream, known, events, options);
      if (appended !== undefined) return { outcome: 'done', before: known.state, appended, events };
      await states.refresh(handled, stream);
    }
    return { outcome: 'busy', attempts: maxAttempts };
  };

  const { appendAll } = log;
  return {
    /** Undefined where the log cannot append to several streams in one commit. */
    transact:
      appendAll === undefined
        ? undefined
        : createTransact({ log, appendAll: (parts) => appendAll(parts), states, isShared, alone }),

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

    newest: states.newest,

    /** The events that the command with these ids has written to `stream` before, or undefined; see `HandleOptions`. */
    recorded: async ({ eventId }: HandleOptions, stream: StreamId) =>
      eventId === undefined ? undefined : states.earlier(stream, eventId),

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
