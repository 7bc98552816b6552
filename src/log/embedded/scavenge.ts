import { setImmediate as nextTurn } from 'node:timers/promises';
import { categoryOf, type StreamId } from '../../../domain/event.ts';
import type { Committer } from './committer.ts';
import { nothingAppended } from './group.ts';
import type { Indexer } from './indexer.ts';
import type { Marks } from './marks.ts';
import { type Place, placeOf, recordKeyOf } from './place.ts';
import type { Recent } from './recent.ts';
import { eventsIn, type Record, sequenceIn, withOnly } from './record.ts';
import type { Records } from './records.ts';

export type Freed = { readonly events: number; readonly bytes: number };

export type ScavengeOptions = {
  readonly records: Records;
  readonly indexer: Indexer;
  readonly marks: Marks;
  readonly recent: Recent;
  readonly committer: Committer;
  readonly signal: AbortSignal;
};

const stepRecords = 64;
const maxKeys = 100_000;
const stepBytes = 2 * 2 ** 20;

type Step = {
  readonly rewrites: (readonly [key: number, buffer: Buffer | undefined])[];
  readonly dropped: Map<
    string,
    { readonly kind: readonly [category: string, type: string]; readonly places: Place[] }
  >;
  events: number;
  bytes: number;
  /** Index of the key to go on from; undefined at the end. */
  next: number | undefined;
};

const rewrite = (step: Step, record: Record, targets: ReadonlyMap<StreamId, number>): void => {
  const kept: number[] = [];
  for (const [slot, event] of eventsIn(record).entries()) {
    if (event.revision >= (targets.get(event.stream) ?? 0)) {
      kept.push(slot);
      continue;
    }
    const sequence = sequenceIn(record, slot);
    const kind = [categoryOf(event.stream), event.type] as const;
    const name = kind.join(' ');
    let dropped = step.dropped.get(name);
    if (dropped === undefined) {
      dropped = { kind, places: [] };
      step.dropped.set(name, dropped);
    }
    dropped.places.push(placeOf(sequence, sequence - record.key));
  }
  if (kept.length === record.count) return;
  const buffer = kept.length === 0 ? undefined : withOnly(record, kept);
  step.rewrites.push([record.key, buffer]);
  step.events += record.count - kept.length;
  step.bytes += record.buffer.length - (buffer?.length ?? 0);
};

/**
 * Rewrites the records that hold hidden events without them, step by step. After each step, and after a crash at
 * any point, the log reads the same: hidden events stay hidden by their marks until the last step is durable.
 */
export const scavengeLog = async (options: ScavengeOptions): Promise<Freed> => {
  const { records, indexer, marks, recent, committer, signal } = options;
  const targets = new Map(marks.hidden());
  if (targets.size === 0) return { events: 0, bytes: 0 };
  await indexer.flush();

  /** Keys of the records that hold hidden events, some at a time: what else stands in the log is not looked at. */
  const keysOfRecords = function* (): Iterable<readonly number[]> {
    let keys = new Set<number>();
    const sorted = (): readonly number[] => Array.from(Float64Array.from(keys).sort());
    for (const [stream, before] of targets) {
      for (let from: number | undefined = 0; from !== undefined; ) {
        const found = indexer.store.streams.below(stream, from, before);
        for (const place of found.places) keys.add(recordKeyOf(place));
        from = found.next;
        if (keys.size < maxKeys) continue;
        yield sorted();
        keys = new Set();
      }
    }
    yield sorted();
  };

  const takeStep = (keys: readonly number[], from: number): Step => {
    const step: Step = { rewrites: [], dropped: new Map(), events: 0, bytes: 0, next: undefined };
    let bytes = 0;
    for (let at = from; at < keys.length; at++) {
      if (at - from >= stepRecords || bytes >= stepBytes) {
        step.next = at;
        break;
      }
      // One that held hidden events only is gone since an earlier step.
      const record = records.at(keys[at] ?? 0);
      if (record === undefined) continue;
      bytes += record.buffer.length;
      rewrite(step, record, targets);
    }
    return step;
  };

  /** Resolves once the step's rewrites, and the marks of the last one, are durable. */
  const commit = (apply: (group: ReturnType<Committer['open']>) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      const group = committer.open();
      apply(group);
      group.waiters.push({ resolve: () => resolve(), reject, result: nothingAppended });
      committer.schedule();
    });

  const freed = { events: 0, bytes: 0 };
  for (const keys of keysOfRecords()) {
    for (let from: number | undefined = 0; from !== undefined; ) {
      const step = takeStep(keys, from);
      if (step.rewrites.length > 0) {
        await commit((group) => group.rewrites.push(...step.rewrites));
        await indexer.store.dropPlaces(step.dropped.values());
        freed.events += step.events;
        freed.bytes += step.bytes;
      }
      if (signal.aborted) return freed;
      await nextTurn();
      from = step.next;
    }
  }

  await indexer.store.dropRevisions(targets);
  // Followers at the head must not be handed from memory what is gone from the disk.
  recent.clear();
  await commit((group) => {
    for (const [stream, before] of targets)
      group.marks.set(stream, marks.raise(stream, { before, freed: before }));
  });
  return freed;
};
