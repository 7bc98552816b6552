import { crc32 } from 'node:zlib';
import { categoryOf, type StreamId } from '../../../domain/event.ts';
import { firstAtLeast, type Place } from './place.ts';
import type { TailIds } from './tail-ids.ts';

/** Events of one category and type that the index on disk lacks, in log order. */
export type Kind = { readonly category: string; readonly type: string; places: Place[] };

/** A stream with what the index on disk lacks of it. */
export type Head = {
  readonly stream: StreamId;
  /** Its name as JSON text. */
  readonly json: string;
  readonly category: string;
  /** Tells the streams apart in the index of ids. */
  readonly hash: number;
  /** Newest assigned revision, durable or not; -1 when it has no event. */
  revision: number;
  /** Revision of `places[0]`; `revision + 1` when there are none. */
  base: number;
  places: Place[];
  /** Of the newest event, and the part of an event's text that all of this stream and type share. */
  kind: Kind | undefined;
  typeAndStream: string;
};

/** What one flush takes: the first `count` places of each, up to `lastSequence`. */
export type Flush = {
  readonly lastSequence: number;
  readonly heads: readonly { readonly head: Head; readonly count: number }[];
  readonly kinds: readonly { readonly kind: Kind; readonly count: number }[];
  readonly firstSequence: number;
  /** Ids of the events from `firstSequence` on. */
  readonly ids: readonly string[];
};

/**
 * The newest part of the index, in memory: every assigned event that is not yet in the index on disk. Bounded by the
 * flushes of its owner, and to `maxHeads` streams that have nothing to flush.
 */
export type Tail = {
  /** Ids of the assigned events that the index on disk lacks. */
  readonly ids: TailIds;
  /** The stream's head, remembered from now on. */
  head(stream: StreamId): Head;
  /** The heads of several streams, none of which is forgotten over another one. */
  heads(streams: readonly StreamId[]): readonly Head[];
  /** The stream's head, when it is remembered. */
  find(stream: StreamId): Head | undefined;
  /** The same for a reader: not remembered, so that reading strangers' names fills no memory. */
  peek(stream: StreamId): Head;
  kind(category: string, type: string): Kind;
  kinds(): Iterable<Kind>;
  add(head: Head, kind: Kind, id: string, place: Place): void;
  begin(durable: number): Flush;
  /** The flush is in the index on disk: forget it here. */
  end(flush: Flush): void;
};

const maxHeads = 100_000;

/** A type has no space in it, a category may. */
const kindKey = (category: string, type: string): string => `${type} ${category}`;

const countUpTo = (places: readonly Place[], durable: number): number => firstAtLeast(places, durable + 1);

/** `lastRevision` answers what the index on disk knows of a stream, -1 for nothing. */
export const createTail = (ids: TailIds, lastRevision: (stream: StreamId) => number): Tail => {
  const heads = new Map<StreamId, Head>();
  const kinds = new Map<string, Kind>();
  let dirtyHeads: Head[] = [];
  let dirtyKinds: Kind[] = [];
  const load = (stream: StreamId): Head => {
    const revision = lastRevision(stream);
    const json = JSON.stringify(stream);
    const hash = crc32(stream);
    const category = categoryOf(stream);
    return {
      stream,
      json,
      category,
      hash,
      revision,
      base: revision + 1,
      places: [],
      kind: undefined,
      typeAndStream: '',
    };
  };

  const forgetClean = (): void => {
    if (heads.size <= maxHeads) return;
    for (const [stream, head] of heads) {
      if (head.places.length === 0) heads.delete(stream);
      if (heads.size <= maxHeads / 2) return;
    }
  };

  const known = (stream: StreamId): Head => {
    let head = heads.get(stream);
    if (head === undefined) {
      head = load(stream);
      heads.set(stream, head);
    }
    return head;
  };

  return {
    ids,
    head(stream) {
      if (!heads.has(stream)) forgetClean();
      return known(stream);
    },
    heads(streams) {
      forgetClean();
      return streams.map(known);
    },
    find: (stream) => heads.get(stream),
    peek: (stream) => heads.get(stream) ?? load(stream),
    kind(category, type) {
      const key = kindKey(category, type);
      let kind = kinds.get(key);
      if (kind === undefined) {
        kind = { category, type, places: [] };
        kinds.set(key, kind);
      }
      return kind;
    },
    kinds: () => kinds.values(),
    add(head, kind, id, place) {
      if (head.places.push(place) === 1) dirtyHeads.push(head);
      if (kind.places.push(place) === 1) dirtyKinds.push(kind);
      ids.add(id, place);
    },
    begin(durable) {
      const flushed = dirtyHeads.map((head) => ({ head, count: countUpTo(head.places, durable) }));
      const flushedKinds = dirtyKinds.map((kind) => ({ kind, count: countUpTo(kind.places, durable) }));
      return {
        lastSequence: durable,
        heads: flushed.filter(({ count }) => count > 0),
        kinds: flushedKinds.filter(({ count }) => count > 0),
        firstSequence: ids.firstSequence,
        ids: ids.upTo(durable),
      };
    },
    end(flush) {
      for (const { head, count } of flush.heads) {
        head.places = head.places.slice(count);
        head.base += count;
      }
      for (const { kind, count } of flush.kinds) kind.places = kind.places.slice(count);
      dirtyHeads = dirtyHeads.filter((head) => head.places.length > 0);
      dirtyKinds = dirtyKinds.filter((kind) => kind.places.length > 0);
      ids.forgetUpTo(flush.lastSequence);
    },
  };
};

/** Newest durable revision of a stream, -1 when it has none. */
export const durableRevision = (head: Head, durable: number): number =>
  head.base - 1 + countUpTo(head.places, durable);
