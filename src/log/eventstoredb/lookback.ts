import { asRevision, type Position, type Revision } from '../../../domain/event.ts';
import type { StoredEvent } from './codec.ts';
import { type Session, withRetries } from './session.ts';

export type Place = { readonly revision: Revision; readonly position: Position };

/** Which of the ids asked for stand in a stream, and where the stream ended when that was read. */
export type Found = { readonly head: Revision | 'none'; readonly places: ReadonlyMap<string, Place> };

/** The newest part of a stream, by id: every event from revision `from` to `to`. */
type Known = { readonly places: Map<string, Place>; from: number; to: number; sinceMs: number };

type Question = {
  readonly ids: readonly string[];
  readonly sinceMs: number;
  readonly resolve: (found: Found) => void;
  readonly reject: (error: unknown) => void;
};

export type LookbackLimits = {
  /** Ids held over all streams; those of the stream that was asked for longest ago go first. */
  readonly heldIds: number;
  /** Events that one look takes from the server. */
  readonly events: number;
};

const defaults: LookbackLimits = { heldIds: 100_000, events: 100_000 };
const pages = { first: 32, further: 512 } as const;

const placesOf = (ids: readonly string[], known: ReadonlyMap<string, Place>): Map<string, Place> => {
  const places = new Map<string, Place>();
  for (const id of ids) {
    const place = known.get(id);
    if (place !== undefined) places.set(id, place);
  }
  return places;
};

/**
 * Finds event ids in the newest part of a stream. What was read once is held, so that the next look at the same stream
 * reads only what came since; those who ask about one stream at the same time share a look.
 */
export const createLookback = (session: Session, bounds: LookbackLimits = defaults) => {
  const streams = new Map<string, Known>();
  const questions = new Map<string, Question[]>();
  let held = 0;

  /** Hands events to `take`, newest first, until it answers false; false when the stream's beginning came first. */
  const walk = async (
    stream: string,
    from: number | undefined,
    take: (stored: StoredEvent) => boolean,
  ): Promise<boolean> => {
    let next = from;
    let size: number = pages.first;
    for (;;) {
      const page = await withRetries(session, `read of ${stream}`, () =>
        session.client.readStream(
          stream,
          { from: next, backwards: true, limit: size },
          session.limits.silenceMs,
        ),
      );
      for (const stored of page) if (!take(stored)) return true;
      const last = page.at(-1);
      if (last === undefined || page.length < size || last.revision === 0) return false;
      next = last.revision - 1;
      size = pages.further;
    }
  };

  const hold = (stream: string, known: Known): void => {
    streams.delete(stream);
    streams.set(stream, known);
    for (const [name, other] of streams) {
      if (held <= bounds.heldIds) return;
      held -= other.places.size;
      streams.delete(name);
    }
  };

  const put = (
    known: Known,
    event: { readonly id: string; readonly revision: number; readonly position: Position },
  ) => {
    if (!known.places.has(event.id)) held++;
    known.places.set(event.id, { revision: asRevision(event.revision), position: event.position });
  };

  const drop = (stream: string, known: Known | undefined): void => {
    held -= known?.places.size ?? 0;
    streams.delete(stream);
  };

  const look = async (stream: string, ids: readonly string[], sinceMs: number): Promise<Found> => {
    const before = streams.get(stream);
    let left = bounds.events;
    /** Where the known part begins in time once `stored` is left out; undefined when it is to be taken. */
    const cutAt = (stored: StoredEvent): number | undefined => {
      if (stored.recordedMs < sinceMs) return sinceMs;
      if (left-- > 0) return undefined;
      session.logger.warn({ stream, events: bounds.events }, 'ids are looked for in the newest events only');
      return stored.recordedMs + 1;
    };

    const news: StoredEvent[] = [];
    let joined = false;
    let beginsMs = Number.NEGATIVE_INFINITY;
    let head = before?.to ?? -1;
    await walk(stream, undefined, (stored) => {
      if (news.length === 0) head = Math.max(head, stored.revision);
      joined = before !== undefined && stored.revision <= before.to;
      const cut = joined ? undefined : cutAt(stored);
      if (cut !== undefined) beginsMs = cut;
      if (joined || cut !== undefined) return false;
      news.push(stored);
      return true;
    });
    let known = before;
    if (known === undefined || !joined) {
      drop(stream, before);
      known = { places: new Map(), from: news.at(-1)?.revision ?? head + 1, to: head, sinceMs: beginsMs };
    }
    const kept = known;
    for (const stored of news) put(kept, stored);
    kept.to = head;
    if (joined && kept.sinceMs > sinceMs && kept.from > 0) {
      const stopped = await walk(stream, kept.from - 1, (stored) => {
        const cut = cutAt(stored);
        if (cut !== undefined) kept.sinceMs = cut;
        else {
          put(kept, stored);
          kept.from = stored.revision;
        }
        return cut === undefined;
      });
      if (!stopped) kept.sinceMs = Number.NEGATIVE_INFINITY;
    }
    hold(stream, kept);

    return { head: head < 0 ? 'none' : asRevision(head), places: placesOf(ids, kept.places) };
  };

  /** One look at a time answers all that asked since the one before began. */
  const answer = async (stream: string): Promise<void> => {
    for (let asked = questions.get(stream) ?? []; asked.length > 0; asked = questions.get(stream) ?? []) {
      questions.set(stream, []);
      const ids = asked.flatMap((question) => question.ids);
      const sinceMs = Math.min(...asked.map((question) => question.sinceMs));
      try {
        const { head, places } = await look(stream, ids, sinceMs);
        for (const question of asked) question.resolve({ head, places: placesOf(question.ids, places) });
      } catch (error) {
        for (const question of asked) question.reject(error);
      }
    }
    questions.delete(stream);
  };

  return {
    /**
     * @param sinceMs Events recorded before (Unix ms, the server's clock) are not looked at.
     * @throws {LogError} `log_unavailable`.
     */
    find: (stream: string, ids: readonly string[], sinceMs: number): Promise<Found> => {
      const { promise, resolve, reject } = Promise.withResolvers<Found>();
      const question: Question = { ids, sinceMs, resolve, reject };
      const queue = questions.get(stream);
      if (queue === undefined) {
        questions.set(stream, [question]);
        void answer(stream);
      } else queue.push(question);
      return promise;
    },
  };
};

export type Lookback = ReturnType<typeof createLookback>;
