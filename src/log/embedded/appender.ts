import { asRevision, type NewEvent, type Revision, type StreamId } from '../../../domain/event.ts';
import { checkAppendAll, checkExpected, checkStream, type EncodedEvent, encodeEvents } from '../encode.ts';
import {
  type AppendAllResult,
  type AppendConflict,
  type Appended,
  type AppendResult,
  type EventLog,
  type Expected,
  LogError,
} from '../event-log.ts';
import type { Committer } from './committer.ts';
import { addEvent, type Group, nothingAppended } from './group.ts';
import type { Indexer } from './indexer.ts';
import { offsetOf, type Place, placeOf, positionOf, sequenceOf } from './place.ts';
import type { Reader } from './reader.ts';
import { idIn, slotOf } from './record.ts';
import type { Records } from './records.ts';
import type { Space } from './space.ts';
import type { Head } from './tail.ts';

export type AppenderOptions = {
  readonly records: Records;
  readonly indexer: Indexer;
  readonly reader: Reader;
  readonly committer: Committer;
  readonly space: Space;
  readonly clock: () => number;
};

export type Appender = Required<Pick<EventLog, 'append' | 'appendAll'>>;

/** Bytes accepted and not yet durable beyond which an append is refused, to be tried again. */
const maxPendingBytes = 64 * 2 ** 20;

type Standing = { readonly revision: number; readonly place: Place };
type Placed = Appended['events'];

const conflictWith = (head: Head, expected: Expected): AppendConflict => ({
  ok: false,
  stream: head.stream,
  expected,
  actual: head.revision < 0 ? 'none' : asRevision(head.revision),
});

const partlyKnown = (head: Head): LogError =>
  new LogError('invalid', `some of these event ids are known in ${head.stream}, others are not`, {
    stream: head.stream,
  });

/**
 * Decides an append against what was assigned before it, durable or not, and assigns revisions and sequences at
 * once. Whoever asked is told, ok or conflict, when all that the answer rests on is durable.
 */
export const createAppender = (options: AppenderOptions): Appender => {
  const { records, indexer, reader, committer, space, clock } = options;
  const { tail, store } = indexer;
  let recordedAtMs = records.last.recordedAtMs;

  /** Never decreases, whatever the machine's clock does. */
  const nowMs = (): number => {
    recordedAtMs = Math.max(recordedAtMs, clock());
    return recordedAtMs;
  };

  const idAt = (place: Place): string | undefined => {
    const pending = tail.ids.at(sequenceOf(place));
    if (pending !== undefined) return pending;
    const record = reader.record(place);
    const slot = record === undefined ? -1 : slotOf(record, offsetOf(place));
    return record === undefined || slot < 0 ? undefined : idIn(record, slot);
  };

  const placeAt = (head: Head, revision: number): Place | undefined =>
    revision >= head.base ? head.places[revision - head.base] : store.streams.placeOf(head.stream, revision);

  const isAt = (head: Head, revision: number, id: string): boolean => {
    const place = revision > head.revision ? undefined : placeAt(head, revision);
    return place !== undefined && idAt(place) === id;
  };

  /** Where the append would have put the events, when exactly they stand there. */
  const standingAt = (head: Head, encoded: readonly EncodedEvent[], from: number): Standing[] | undefined => {
    const lastIndex = encoded.length - 1;
    const isFirst = isAt(head, from, encoded[0]?.id ?? '');
    const isLast = lastIndex === 0 ? isFirst : isAt(head, from + lastIndex, encoded[lastIndex]?.id ?? '');
    if (!isFirst && !isLast) return undefined;
    return encoded.map(({ id }, index) => {
      const revision = from + index;
      const place = placeAt(head, revision);
      if (place === undefined || !isAt(head, revision, id)) throw partlyKnown(head);
      return { revision, place };
    });
  };

  /** The revision that stands at `place`, when it is one of this stream's and not yet flushed. */
  const revisionAt = (head: Head, place: Place): number => {
    let low = 0;
    let high = head.places.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = head.places[middle] ?? 0;
      if (found === place) return head.base + middle;
      if (found < place) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  };

  const standingOf = (head: Head, id: string): Standing | undefined => {
    if (tail.ids.isNew(id)) return undefined;
    for (const place of tail.ids.placesOf(id)) {
      const revision = revisionAt(head, place);
      if (revision >= 0) return { revision, place };
    }
    const stored = store.findId(id, head.hash);
    return stored !== undefined && stored.revision <= head.revision ? stored : undefined;
  };

  const standing = (head: Head, encoded: readonly EncodedEvent[]): Standing[] | undefined => {
    let found: Standing[] | undefined;
    for (const [index, { id }] of encoded.entries()) {
      const one = standingOf(head, id);
      if ((one !== undefined) !== (found !== undefined) && index > 0) throw partlyKnown(head);
      if (one === undefined) continue;
      found ??= [];
      found.push(one);
    }
    return found;
  };

  /** Undefined when the append is new and may go ahead. */
  const judge = (
    head: Head,
    encoded: readonly EncodedEvent[],
    expected: Expected,
  ): AppendResult | undefined => {
    let known: Standing[] | undefined;
    if (expected === 'any' || expected === 'exists') {
      known = standing(head, encoded);
      if (known === undefined && (expected === 'any' || head.revision >= 0)) return undefined;
    } else {
      const before = expected === 'none' ? -1 : expected;
      if (before === head.revision) return undefined;
      if (before < head.revision) known = standingAt(head, encoded, before + 1);
    }
    if (known === undefined) return conflictWith(head, expected);
    const events = known.map(({ revision, place }) => ({
      revision: asRevision(revision),
      position: positionOf(sequenceOf(place)),
    }));
    return { ok: true, events, duplicate: true };
  };

  const assign = (head: Head, encoded: readonly EncodedEvent[], group: Group): Placed => {
    const placed: { revision: Revision; position: ReturnType<typeof positionOf> }[] = [];
    for (const { id, type, data, metadata } of encoded) {
      const revision = head.revision + 1;
      let { kind } = head;
      if (kind === undefined || kind.type !== type) {
        kind = tail.kind(head.category, type);
        head.kind = kind;
        head.typeAndStream = `","${type}",${head.json},`;
      }
      const text = `["${id}${head.typeAndStream}${revision},${data},${metadata}]`;
      const offset = addEvent(group, text, nowMs, records.source);
      const sequence = group.lastSequence;
      tail.add(head, kind, id, placeOf(sequence, offset));
      head.revision = revision;
      placed.push({ revision: asRevision(revision), position: positionOf(sequence) });
    }
    return placed;
  };

  const newest = (head: Head): number => sequenceOf(head.places.at(-1) ?? 0);

  /** @throws {LogError} when there is no room for so much now. */
  const admit = (encoded: readonly EncodedEvent[]): void => {
    let bytes = 0;
    for (const { data, metadata } of encoded) bytes += data.length + metadata.length;
    const refusal = space.refuse(bytes, committer.pendingBytes);
    if (refusal !== undefined) throw refusal;
    if (committer.pendingBytes + bytes > maxPendingBytes) {
      throw new LogError('log_unavailable', 'too many appends wait for the disk; try again', {
        maxPendingBytes,
      });
    }
  };

  const append = (
    stream: StreamId,
    events: readonly NewEvent[],
    expected: Expected,
  ): Promise<AppendResult> => {
    checkExpected(expected);
    let head = tail.find(stream);
    if (head === undefined) {
      checkStream(stream);
      head = tail.head(stream);
    }
    const encoded = encodeEvents(stream, events);
    const known = judge(head, encoded, expected);
    if (known !== undefined) {
      return new Promise((resolve, reject) => {
        committer.whenDurable(newest(head), { resolve, reject, result: known });
      });
    }
    admit(encoded);
    const group = committer.open();
    const result: Appended = { ok: true, events: assign(head, encoded, group), duplicate: false };
    return new Promise((resolve, reject) => {
      group.waiters.push({ resolve, reject, result });
      committer.schedule();
    });
  };

  type Part = { readonly head: Head; readonly encoded: readonly EncodedEvent[]; readonly expected: Expected };

  /** Undefined when every part is as expected, and the events may be assigned. */
  const judgeAll = (parts: readonly Part[]): AppendAllResult | undefined => {
    let conflict: AppendAllResult | undefined;
    const known: Placed[] = [];
    let knownParts = 0;
    for (const { head, encoded, expected } of parts) {
      const isAsserted = encoded.length === 0;
      const before = expected === 'none' ? -1 : expected;
      const result = isAsserted ? undefined : judge(head, encoded, expected);
      if (result?.ok) knownParts++;
      known.push(result?.ok ? result.events : []);
      if (isAsserted ? before !== head.revision : result?.ok === false)
        conflict ??= conflictWith(head, expected);
    }
    if (knownParts === 0) return conflict;
    const partly = parts.find(({ encoded }, index) => encoded.length > 0 && known[index]?.length === 0);
    if (partly !== undefined) throw partlyKnown(partly.head);
    const position = known.flat().reduce((last, one) => (one.position > last ? one.position : last), start);
    return { ok: true, parts: known, position, duplicate: true };
  };

  const appendAll: Appender['appendAll'] = (given) => {
    const checked = checkAppendAll(given);
    const heads = tail.heads(checked.map(({ stream }) => stream));
    const parts = heads.map((head, index): Part => {
      const { events: encoded = [], expected = 'none' } = checked[index] ?? {};
      return { head, encoded, expected };
    });
    const encoded = parts.flatMap((part) => part.encoded);
    let result = judgeAll(parts);
    const group = committer.open();
    if (result === undefined) {
      admit(encoded);
      const placed = parts.map((part) => assign(part.head, part.encoded, group));
      // What it rests on is assigned before its own end, and so is written with it or before.
      result = { ok: true, parts: placed, position: positionOf(group.lastSequence), duplicate: false };
    }
    const told = result;
    return new Promise((resolve, reject) => {
      committer.whenDurable(group.lastSequence, {
        resolve: () => resolve(told),
        reject,
        result: nothingAppended,
      });
      if (encoded.length > 0) committer.schedule();
    });
  };

  return { append, appendAll };
};

const start = positionOf(0);
