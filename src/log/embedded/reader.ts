import { asRevision, type LogEvent, type StreamId } from '../../../domain/event.ts';
import {
  LogError,
  type LogPage,
  type ReadAllOptions,
  type ReadStreamOptions,
  type StreamHead,
} from '../event-log.ts';
import { indexCorrupt } from './blocks.ts';
import type { Indexer } from './indexer.ts';
import type { Marks } from './marks.ts';
import {
  firstAtLeast,
  offsetOf,
  type Place,
  positionOf,
  recordKeyOf,
  sequenceAt,
  sequenceOf,
} from './place.ts';
import { bytesIn, eventIn, eventsIn, type Record, sequenceIn, slotOf } from './record.ts';
import type { Records } from './records.ts';
import { durableRevision, type Kind } from './tail.ts';

export type Scanned = { readonly events: LogEvent[]; readonly last: number; readonly ended: boolean };

/** Reads what is durable. Every call is synchronous and works on one snapshot. */
export type Reader = {
  stream(stream: StreamId, options: ReadStreamOptions): LogEvent[];
  all(options: ReadAllOptions): LogPage;
  /**
   * Up to `limit` visible events behind `sequence`; `last` is how far it looked.
   *
   * @param maxBytes of records, after which no further one is read; no limit unless given.
   */
  scan(sequence: number, limit: number, maxBytes?: number): Scanned;
  head(stream: StreamId): StreamHead | undefined;
  /** The record of a place; undefined when it was scavenged. */
  record(place: Place): Record | undefined;
};

export type ReaderOptions = {
  readonly records: Records;
  readonly indexer: Indexer;
  readonly marks: Marks;
  readonly durable: () => number;
};

const maxLimit = 10_000;

const checkLimit = (limit: number): void => {
  if (Number.isInteger(limit) && limit >= 1 && limit <= maxLimit) return;
  throw new LogError('invalid', `limit is 1 to ${maxLimit}, not ${limit}`, { limit });
};

export const createReader = ({ records, indexer, marks, durable }: ReaderOptions): Reader => {
  const { tail, store } = indexer;

  /** Hands each event of `places` to `take` until it answers false; undefined for one that was scavenged. */
  const fetch = (
    places: Iterable<Place>,
    take: (event: LogEvent | undefined, place: Place, bytes: number) => boolean,
  ): void => {
    let record: Record | undefined;
    for (const place of places) {
      const key = recordKeyOf(place);
      if (record?.key !== key) record = records.at(key);
      const slot = record === undefined ? -1 : slotOf(record, offsetOf(place));
      const isWanted =
        record === undefined || slot < 0
          ? take(undefined, place, 0)
          : take(eventIn(record, slot), place, bytesIn(record, slot));
      if (!isWanted) return;
    }
  };

  const stream = (name: StreamId, options: ReadStreamOptions): LogEvent[] => {
    checkLimit(options.limit);
    const head = tail.peek(name);
    const newest = durableRevision(head, durable());
    const oldest = marks.before(name);
    const backwards = options.direction === 'backwards';
    const high = backwards
      ? Math.min(options.from ?? newest, newest)
      : Math.min(newest, Math.max(options.from ?? 0, oldest) + options.limit - 1);
    const low = backwards ? Math.max(oldest, high - options.limit + 1) : Math.max(options.from ?? 0, oldest);
    if (low > high) return [];
    const places = low < head.base ? store.streams.places(name, low, Math.min(high, head.base - 1)) : [];
    for (let revision = Math.max(low, head.base); revision <= high; revision++) {
      places.push(head.places[revision - head.base] ?? 0);
    }
    if (backwards) places.reverse();
    const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    const events: LogEvent[] = [];
    let brought = 0;
    fetch(places, (event, _place, bytes) => {
      const revision = backwards ? high - events.length : low + events.length;
      if (event?.stream !== name || event.revision !== revision) {
        throw indexCorrupt(store.directory, `revision ${revision} of ${name} is not where it should be`);
      }
      events.push(event);
      brought += bytes;
      return brought < maxBytes;
    });
    if (events.length !== high - low + 1 && brought < maxBytes) {
      throw indexCorrupt(store.directory, `${name} is incomplete`);
    }
    return events;
  };

  const take = (record: Record, slot: number, events: LogEvent[], decoded: LogEvent[] | undefined): void => {
    const event = decoded?.[slot] ?? eventIn(record, slot);
    if (!marks.hides(event)) events.push(event);
  };

  const scan = (sequence: number, limit: number, maxBytes = Number.POSITIVE_INFINITY): Scanned => {
    const head = durable();
    const events: LogEvent[] = [];
    let last = sequence;
    if (sequence >= head) return { events, last, ended: true };
    let looked = 0;
    for (const record of records.from(sequence + 1)) {
      if (looked >= maxBytes) return { events, last, ended: false };
      looked += record.buffer.length;
      const decoded = record.count <= limit - events.length ? eventsIn(record) : undefined;
      for (let slot = 0; slot < record.count; slot++) {
        const at = sequenceIn(record, slot);
        if (at <= sequence) continue;
        if (at > head) return { events, last, ended: true };
        take(record, slot, events, decoded);
        last = at;
        if (events.length === limit) return { events, last, ended: last >= head };
      }
    }
    return { events, last, ended: true };
  };

  const scanDown = (sequence: number, limit: number): Scanned => {
    const events: LogEvent[] = [];
    let last = sequence;
    for (const record of records.downFrom(sequence - 1)) {
      const decoded = record.count <= limit - events.length ? eventsIn(record) : undefined;
      for (let slot = record.count - 1; slot >= 0; slot--) {
        const at = sequenceIn(record, slot);
        if (at >= sequence) continue;
        take(record, slot, events, decoded);
        last = at;
        if (events.length === limit) return { events, last, ended: last === 1 };
      }
    }
    return { events, last, ended: true };
  };

  const matching = ({ category, types }: ReadAllOptions): Kind[] =>
    [...tail.kinds()].filter(
      (kind) =>
        (category === undefined || kind.category === category) && (types?.includes(kind.type) ?? true),
    );

  /** Up to `count` places of these kinds behind (backwards: before) `sequence`, nearest first. */
  const placesOf = (kinds: readonly Kind[], sequence: number, backwards: boolean, count: number): Place[] => {
    const found: Place[] = [];
    const end = durable();
    for (const { category, type, places } of kinds) {
      const from = backwards ? 0 : firstAtLeast(places, sequence + 1);
      const to = firstAtLeast(places, Math.min(backwards ? sequence : Number.MAX_SAFE_INTEGER, end + 1));
      const inMemory = backwards
        ? places.slice(Math.max(from, to - count), to)
        : places.slice(from, Math.min(to, from + count));
      const start = backwards ? Math.min(sequence, tail.ids.firstSequence) : sequence;
      const onDisk = store.kinds.places([category, type], start, backwards, count);
      for (const place of onDisk) if (sequenceOf(place) < tail.ids.firstSequence) found.push(place);
      for (const place of inMemory) found.push(place);
    }
    const sorted = Array.from(Float64Array.from(found).sort());
    return (backwards ? sorted.reverse() : sorted).slice(0, count);
  };

  const scanKinds = (options: ReadAllOptions, sequence: number, backwards: boolean): Scanned => {
    const kinds = matching(options);
    const events: LogEvent[] = [];
    let last = sequence;
    for (;;) {
      const wanted = options.limit - events.length;
      if (wanted === 0) return { events, last, ended: !backwards && last >= durable() };
      const places = placesOf(kinds, last, backwards, wanted);
      fetch(places, (event, place) => {
        // A place whose event is gone was scavenged just before the index could be told.
        if (event !== undefined && !marks.hides(event)) events.push(event);
        last = sequenceOf(place);
        return true;
      });
      if (places.length < wanted) return { events, last, ended: true };
    }
  };

  const all = (options: ReadAllOptions): LogPage => {
    checkLimit(options.limit);
    const backwards = options.direction === 'backwards';
    const newest = durable();
    const given = options.after === undefined ? undefined : sequenceAt(options.after);
    const filtered = options.category !== undefined || options.types !== undefined;
    const sequence = backwards ? Math.min(given ?? newest + 1, newest + 1) : (given ?? 0);
    const found = filtered
      ? scanKinds(options, sequence, backwards)
      : backwards
        ? scanDown(sequence, options.limit)
        : scan(sequence, options.limit);
    const { events } = found;
    if (backwards) {
      const position = found.ended ? (events.length > 0 ? 0 : (given ?? 0)) : found.last;
      return { events, position: positionOf(position), more: !found.ended };
    }
    const position = found.ended ? Math.max(newest, sequence) : found.last;
    return { events, position: positionOf(position), more: !found.ended };
  };

  return {
    stream,
    all,
    scan,
    head(name) {
      const revision = durableRevision(tail.peek(name), durable());
      if (revision < 0) return undefined;
      return { revision: asRevision(revision), truncatedBefore: asRevision(marks.before(name)) };
    },
    record: (place) => records.at(recordKeyOf(place)),
  };
};
