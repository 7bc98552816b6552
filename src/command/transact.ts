import {
  asRevision,
  type LogEvent,
  type NewMetadata,
  type Position,
  type StreamId,
} from '../../domain/event.ts';
import { newId } from '../ids.ts';
import type { AppendedAll, EventLog, StreamAppend } from '../log/event-log.ts';
import type { EventReceipt } from '../nexus-core.ts';
import { evolved, type Handled, type Known, newEvent, type StreamStates } from './stream-states.ts';

/** What a transaction makes of the states of its streams: at most one event on each. */
export type DecidedTransaction<Event, Rejection> =
  | {
      readonly ok: true;
      readonly succeeded: boolean;
      readonly events: readonly { readonly stream: StreamId; readonly event: Event }[];
    }
  | { readonly ok: false; readonly rejection: Rejection };

export type Transaction<State, Event, Rejection> = {
  /** All that may be read or written, each once. */
  readonly streams: readonly StreamId[];
  /** Called for each try. The streams that it asks for are those that it rests on: they must not change meanwhile. */
  decide(stateOf: (stream: StreamId) => State): DecidedTransaction<Event, Rejection>;
  readonly metadata: NewMetadata;
  /** Told from the caller's own id of the command. */
  readonly repeats?: {
    /** Id of the event on a stream. */
    eventId(stream: StreamId): string;
    /** Where one event at least stands if the command came before and wrote any. */
    readonly streams: readonly StreamId[];
  };
};

export type TransactionOutcome<State, Rejection> =
  | {
      readonly outcome: 'done';
      readonly succeeded: boolean;
      readonly events: readonly EventReceipt[];
      /** Everything stood like this as of this position of the log. */
      readonly position: Position;
      /** The state of a stream behind the transaction. */
      stateOf(stream: StreamId): State;
    }
  /** It came before: its events, in order, those that are left of them. */
  | { readonly outcome: 'repeated'; readonly recorded: readonly LogEvent[] }
  /** As of `position`. */
  | { readonly outcome: 'rejected'; readonly rejection: Rejection; readonly position: Position }
  | { readonly outcome: 'busy'; readonly attempts: number };

export type TransactOptions = {
  readonly log: EventLog;
  readonly appendAll: NonNullable<EventLog['appendAll']>;
  readonly states: StreamStates;
  /** Other nodes may write to the same streams. */
  readonly isShared: boolean;
  /** Runs work when no other one of the same name is under way. */
  readonly alone: <Value>(name: string, work: () => Promise<Value>) => Promise<Value>;
};

/** How streams are loaded and folded; what is decided on them, a transaction says. */
type Folded<State, Event> = Handled<State, never, Event, unknown>;

type States<State> = ReadonlyMap<StreamId, Known<State>>;

type Now<State> = Pick<Known<State>, 'state' | 'revision'>;

type Reserved<State> = {
  readonly known: States<State>;
  /** With what is certain of each stream (`reserve` of the states). */
  release(now: (stream: StreamId) => Now<State> | null | undefined): void;
};

const maxAttempts = 32;

/**
 * Decides on several streams and appends to them in one commit (docs/adr/0029-transactions.md). Whatever is answered, a
 * refusal too, was true at one moment between the call and its end.
 */
export const createTransact = ({ log, appendAll, states, isShared, alone }: TransactOptions) => {
  /**
   * The states of `streams` and how to give them back. The order of the names is that of everyone, so that of those who
   * wait for each other one goes on.
   */
  const reserve = async <State, Event>(
    handled: Folded<State, Event>,
    streams: readonly StreamId[],
  ): Promise<Reserved<State>> => {
    const known = new Map<StreamId, Known<State>>();
    const releases = new Map<StreamId, ReturnType<typeof states.reserve<State>>>();
    const release: Reserved<State>['release'] = (now) => {
      for (const [stream, one] of releases) one(now(stream));
    };
    try {
      for (const stream of streams.toSorted()) {
        let one = states.load(handled, stream);
        while (one.commit !== undefined) {
          await one.commit;
          one = states.load(handled, stream);
        }
        known.set(stream, one);
        releases.set(stream, states.reserve(stream, one));
      }
      return { known, release };
    } catch (error) {
      release(() => undefined);
      throw error;
    }
  };

  const loadAll = <State, Event>(
    handled: Folded<State, Event>,
    streams: readonly StreamId[],
  ): States<State> => new Map(streams.map((stream) => [stream, states.load(handled, stream)]));

  /** `count` events next to `position`, in log order. */
  const nextTo = async (
    position: Position,
    direction: 'forwards' | 'backwards',
    count: number,
  ): Promise<readonly LogEvent[]> => {
    const events: LogEvent[] = [];
    for (let after = position; events.length < count; ) {
      const page = await log.readAll({ after, direction, limit: count - events.length });
      events.push(...page.events);
      if (!page.more) break;
      after = page.position;
    }
    return direction === 'forwards' ? events : events.toReversed();
  };

  /** All events of the transaction that `event` is one of. */
  const whole = async (event: LogEvent): Promise<readonly LogEvent[]> => {
    const { transaction, commandId } = event.metadata;
    if (transaction === undefined) return [event];
    const { index, count } = transaction;
    const before = await nextTo(event.position, 'backwards', index);
    const behind = await nextTo(event.position, 'forwards', count - index - 1);
    // Where some were truncated, others' events come in their place.
    const isOwn = ({ metadata }: LogEvent) =>
      metadata.commandId === commandId && metadata.transaction?.count === count;
    return [...before.filter(isOwn), event, ...behind.filter(isOwn)];
  };

  const recordedBefore = async ({
    eventId,
    streams,
  }: NonNullable<Transaction<never, never, never>['repeats']>): Promise<readonly LogEvent[] | undefined> => {
    for (const stream of streams) {
      const found = await states.earlier(stream, (index) => (index === 0 ? eventId(stream) : ''));
      if (found?.[0] !== undefined) return whole(found[0]);
    }
    return undefined;
  };

  type Written<State, Event, Rejection> = {
    readonly decided: DecidedTransaction<Event, Rejection>;
    readonly result: AppendedAll;
    readonly ids: readonly string[];
    /** Of the streams that were read or written, as they are behind it. */
    readonly after: ReadonlyMap<StreamId, Now<State>>;
  };

  /** Decides and appends without waiting in between. Undefined when a stream was not what it was thought to be. */
  const write = async <State, Event extends { readonly type: string; readonly data: unknown }, Rejection>(
    handled: Folded<State, Event>,
    { decide, metadata }: Transaction<State, Event, Rejection>,
    known: States<State>,
    idOf: (stream: StreamId) => string,
  ): Promise<Written<State, Event, Rejection> | undefined> => {
    const knownOf = (stream: StreamId): Known<State> => known.get(stream) ?? states.load(handled, stream);
    const read = new Set<StreamId>();
    const decided = decide((stream) => {
      read.add(stream);
      return knownOf(stream).state;
    });
    const made = decided.ok ? decided.events : [];
    const count = made.length;
    const ids = made.map(({ stream }) => idOf(stream));
    const after = new Map<StreamId, Now<State>>([...read].map((stream) => [stream, knownOf(stream)]));
    const expectedOf = (stream: StreamId): StreamAppend['expected'] => {
      const { revision } = knownOf(stream);
      return revision < 0 ? 'none' : asRevision(revision);
    };
    const writes = made.map(({ stream, event }, index) => {
      after.set(stream, evolved(handled, knownOf(stream), [event], metadata));
      const transaction = { index, count, succeeded: decided.ok && decided.succeeded };
      const own = newEvent({ ...event, id: ids[index] ?? '' }, { ...metadata, transaction });
      return { stream, events: [own], expected: expectedOf(stream) };
    });
    const written = new Set(made.map(({ stream }) => stream));
    const asserted = [...read].filter((stream) => !written.has(stream));
    const appended = appendAll([
      ...writes,
      ...asserted.map((stream) => ({ stream, events: [], expected: expectedOf(stream) })),
    ]);
    const commit = appended.then(
      (result) => result.ok && !result.duplicate,
      () => false,
    );
    // On a shared log the streams are reserved, and nobody decides on what is not certain.
    const settles = isShared
      ? []
      : made.map(({ stream }) => states.expect(stream, after.get(stream) ?? knownOf(stream), commit));
    const settle = (outcome: 'written' | 'duplicate' | 'void'): void => {
      for (const one of settles) one(outcome);
    };
    try {
      const result = await appended;
      settle(result.ok ? (result.duplicate ? 'duplicate' : 'written') : 'void');
      if (result.ok) return { decided, result, ids, after };
      if (!isShared) states.drop(result.stream);
      return undefined;
    } catch (error) {
      settle('void');
      throw error;
    }
  };

  const receiptsOf = <State, Event extends { readonly type: string }, Rejection>({
    decided,
    result,
    ids,
  }: Written<State, Event, Rejection>): readonly EventReceipt[] =>
    decided.ok
      ? decided.events.flatMap(({ stream, event: { type } }, index) =>
          (result.parts[index] ?? []).map((place) => ({ id: ids[index] ?? '', type, stream, ...place })),
        )
      : [];

  /** Undefined when a stream was not what it was thought to be. */
  const attempt = async <State, Event extends { readonly type: string; readonly data: unknown }, Rejection>(
    handled: Folded<State, Event>,
    transaction: Transaction<State, Event, Rejection>,
    idOf: (stream: StreamId) => string,
    reserved: States<State> | undefined,
  ): Promise<
    | {
        readonly outcome: TransactionOutcome<State, Rejection>;
        readonly after?: ReadonlyMap<StreamId, Now<State>>;
      }
    | undefined
  > => {
    const { streams, repeats } = transaction;
    // Looked for behind the load: what another node writes in between makes the append conflict.
    const recorded = repeats === undefined ? undefined : await recordedBefore(repeats);
    if (recorded !== undefined) return { outcome: { outcome: 'repeated', recorded } };
    const known = reserved ?? loadAll(handled, streams);
    const written = await write(handled, transaction, known, idOf);
    if (written === undefined) return undefined;
    const { decided, result, after } = written;
    const { position, duplicate } = result;
    if (!decided.ok)
      return { outcome: { outcome: 'rejected', rejection: decided.rejection, position }, after };
    // Another node has run the same command: what it decided on is told by its events.
    if (duplicate && repeats !== undefined) return undefined;
    const outcome = {
      outcome: 'done',
      succeeded: decided.succeeded,
      events: receiptsOf(written),
      position,
      stateOf: (stream: StreamId) => (after.get(stream) ?? states.load(handled, stream)).state,
    } as const;
    return duplicate ? { outcome } : { outcome, after };
  };

  const decideAndAppend = async <
    State,
    Event extends { readonly type: string; readonly data: unknown },
    Rejection,
  >(
    handled: Folded<State, Event>,
    transaction: Transaction<State, Event, Rejection>,
  ): Promise<TransactionOutcome<State, Rejection>> => {
    const { streams, repeats } = transaction;
    const ids = new Map<StreamId, string>();
    const idOf = (stream: StreamId): string => {
      const id = ids.get(stream) ?? repeats?.eventId(stream) ?? newId();
      ids.set(stream, id);
      return id;
    };
    const reserved = isShared ? await reserve(handled, streams) : undefined;
    let known = reserved?.known;
    let now: (stream: StreamId) => Now<State> | null | undefined = () => null;
    try {
      for (let count = 1; count <= maxAttempts; count++) {
        const done = await attempt(handled, transaction, idOf, known);
        if (done !== undefined) {
          const { after } = done;
          if (after !== undefined) now = (stream) => after.get(stream) ?? (count === 1 ? undefined : null);
          return done.outcome;
        }
        if (reserved === undefined) {
          await Promise.all(streams.map((stream) => states.refresh(handled, stream)));
          continue;
        }
        // Still reserved: from here to the next append only other nodes can come between.
        const fresh = streams.map(async (stream): Promise<[StreamId, Known<State>]> => {
          return [stream, { ...(await states.newest(handled, stream)), commit: undefined }];
        });
        known = new Map(await Promise.all(fresh));
      }
      return { outcome: 'busy', attempts: maxAttempts };
    } finally {
      reserved?.release(now);
    }
  };

  /** @throws {LogError} when the log cannot tell or take it. */
  return <State, Event extends { readonly type: string; readonly data: unknown }, Rejection>(
    handled: Folded<State, Event>,
    transaction: Transaction<State, Event, Rejection>,
  ): Promise<TransactionOutcome<State, Rejection>> => {
    const work = () => decideAndAppend(handled, transaction);
    const [first] = transaction.repeats?.streams ?? [];
    if (first === undefined || transaction.repeats === undefined) return work();
    return alone(transaction.repeats.eventId(first), work);
  };
};
