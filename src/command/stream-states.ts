import type { Decider } from '../../domain/decider.ts';
import {
  asRevision,
  type LogEvent,
  type NewEvent,
  type NewMetadata,
  type StreamId,
} from '../../domain/event.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { EventLog } from '../log/event-log.ts';
import { roughBytes } from '../rough-bytes.ts';
import { createLookBack } from './look-back.ts';

/** A decider bound to where its streams are remembered. */
export type Handled<State, Command, Event, Rejection> = {
  readonly decider: Decider<State, Command, Event, Rejection>;
  /** The state as the read models know it, perhaps behind the log; undefined when they know nothing. */
  restore(stream: StreamId): { readonly state: State; readonly revision: number } | undefined;
  /** The event of the union, or undefined for one that this decider does not know. */
  decode(event: LogEvent): Event | undefined;
};

/** What is known of a stream: `revision` -1 is an empty one. `commit` is set while the append that made it is under way. */
export type Known<State> = {
  readonly state: State;
  readonly revision: number;
  commit: Promise<boolean> | undefined;
};

const maxCached = 4_096;
/** A state that is larger than this is read again rather than kept. */
const maxCachedBytes = 16_384;
const refreshEvents = 128;

/** What this process knows of its streams' states, and how it is brought up to the log. */
export const createStreamStates = (log: EventLog) => {
  const cache = new BoundedMap<StreamId, Known<unknown>>(maxCached);

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

  /** The state of `stream` as the log has it: of the read models, with what the log has behind them folded in. */
  const newest = async <State, Command, Event, Rejection>(
    handled: Handled<State, Command, Event, Rejection>,
    stream: StreamId,
  ): Promise<Pick<Known<State>, 'state' | 'revision'>> => {
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
      if (page.length < refreshEvents) return { state, revision };
    }
  };

  /** A cached state may rest on an append that failed. */
  const refresh = async <State, Command, Event, Rejection>(
    handled: Handled<State, Command, Event, Rejection>,
    stream: StreamId,
  ): Promise<void> => {
    const { state, revision } = await newest(handled, stream);
    const newer = cache.get(stream);
    if (newer === undefined || newer.revision < revision)
      remember(stream, { state, revision, commit: undefined });
  };

  /**
   * Takes note of what an append that is under way makes of a stream. Decided on by later commands at once; what they
   * decide is void when the append fails, and their own fails too.
   *
   * @param commit true once it is written, by this very append.
   * @returns to be called with what came of it.
   */
  const expect = <State>(
    stream: StreamId,
    { state, revision }: Pick<Known<State>, 'state' | 'revision'>,
    commit: Promise<boolean>,
  ): ((outcome: 'written' | 'duplicate' | 'void') => void) => {
    const next: Known<State> = { state, revision, commit };
    remember(stream, next);
    return (outcome) => {
      if (outcome !== 'written' || roughBytes(state, maxCachedBytes) >= maxCachedBytes) forget(stream, next);
      if (outcome === 'void') cache.delete(stream);
      next.commit = undefined;
    };
  };

  /**
   * Keeps a stream for one who has to wait for others too: whoever waits for `commit` waits until what is returned is
   * called, with what is certain of the stream then; null when nothing is, undefined when it is as it was.
   */
  const reserve = <State>(
    stream: StreamId,
    known: Known<State>,
  ): ((now: Pick<Known<State>, 'state' | 'revision'> | null | undefined) => void) => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const before = cache.get(stream);
    const reserved: Known<State> = { ...known, commit: promise };
    remember(stream, reserved);
    return (now) => {
      if (cache.get(stream) === reserved) {
        cache.delete(stream);
        const kept = now === undefined ? before : now;
        if (kept && roughBytes(kept.state, maxCachedBytes) < maxCachedBytes)
          remember(stream, { ...kept, commit: undefined });
      }
      resolve(false);
    };
  };

  /** What is thought of a stream has turned out wrong. */
  const drop = (stream: StreamId): void => {
    cache.delete(stream);
  };

  /** True when the log's newest revision is, or was after the command came, the one that the decision rests on. */
  const confirmed = async (stream: StreamId, known: Known<unknown>): Promise<boolean> => {
    if (known.commit !== undefined) return known.commit;
    const head = await log.head(stream);
    return (head?.revision ?? -1) === known.revision;
  };

  return { load, newest, refresh, expect, reserve, drop, earlier: createLookBack(log), confirmed };
};

export type StreamStates = ReturnType<typeof createStreamStates>;

/** What `events` make of a state. */
export const evolved = <
  State,
  Command,
  Event extends { readonly type: string; readonly data: unknown },
  Rejection,
>(
  { decider }: Pick<Handled<State, Command, Event, Rejection>, 'decider'>,
  known: Pick<Known<State>, 'state' | 'revision'>,
  events: readonly Event[],
  { actor }: NewMetadata,
): Pick<Known<State>, 'state' | 'revision'> => {
  let { state, revision } = known;
  for (const event of events) {
    revision++;
    state = decider.evolve(state, event, { revision: asRevision(revision), actor });
  }
  return { state, revision };
};

export const newEvent = (
  event: { readonly id: string; readonly type: string; readonly data: unknown },
  metadata: NewMetadata,
): NewEvent => ({ id: event.id, type: event.type, data: event.data, metadata });
