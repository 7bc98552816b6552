import type { StreamId } from '../../../domain/event.ts';
import type { AppendResult } from '../event-log.ts';
import {
  addToDraft,
  type Draft,
  encodeDraft,
  isFull,
  openDraft,
  type Record,
  type Source,
  trustRecord,
} from './record.ts';
import type { Mark } from './records.ts';

/** Someone who is told once the group is durable. */
export type Waiter = {
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: Error) => void;
  readonly result: AppendResult;
};

/** What those are told who wait for something else than events. */
export const nothingAppended: AppendResult = { ok: true, events: [], duplicate: false };

/** What goes to the disk in one transaction: events, truncation marks and rewritten records. */
export type Group = {
  readonly waiters: Waiter[];
  readonly records: Record[];
  readonly rewrites: (readonly [key: number, buffer: Buffer | undefined])[];
  readonly marks: Map<StreamId, Mark>;
  draft: Draft | undefined;
  /** Sequence of its newest event; that before the group when it has none. */
  lastSequence: number;
  /** About what it occupies in memory. */
  bytes: number;
};

export const createGroup = (lastSequence: number): Group => ({
  waiters: [],
  records: [],
  rewrites: [],
  marks: new Map(),
  draft: undefined,
  lastSequence,
  bytes: 0,
});

const arenaBytes = 1 << 20;
let arena = Buffer.allocUnsafeSlow(arenaBytes);
let arenaUsed = 0;

/** Memory that nobody else writes to; a small piece keeps the megabyte that it was cut from. */
const allocate = (bytes: number): Buffer => {
  if (bytes > arenaBytes / 4) return Buffer.allocUnsafeSlow(bytes);
  if (arenaUsed + bytes > arenaBytes) {
    arena = Buffer.allocUnsafeSlow(arenaBytes);
    arenaUsed = 0;
  }
  const piece = arena.subarray(arenaUsed, arenaUsed + bytes);
  arenaUsed += bytes;
  return piece;
};

const sealDraft = (group: Group, source: Source): void => {
  const { draft } = group;
  if (draft === undefined) return;
  group.records.push(trustRecord(encodeDraft(draft, allocate), draft.key, source));
  group.draft = undefined;
};

/** Adds an event as the next sequence; returns how far it lies behind the key of its record. */
export const addEvent = (group: Group, eventText: string, nowMs: () => number, source: Source): number => {
  const sequence = group.lastSequence + 1;
  let { draft } = group;
  if (draft !== undefined && isFull(draft, eventText.length)) {
    sealDraft(group, source);
    draft = undefined;
  }
  if (draft === undefined) {
    draft = openDraft(sequence, nowMs());
    group.draft = draft;
  }
  addToDraft(draft, eventText);
  group.lastSequence = sequence;
  group.bytes += eventText.length;
  return sequence - draft.key;
};

export const sealGroup = (group: Group, source: Source): void => sealDraft(group, source);

export const isEmptyGroup = (group: Group): boolean =>
  group.waiters.length === 0 &&
  group.draft === undefined &&
  group.records.length === 0 &&
  group.marks.size === 0 &&
  group.rewrites.length === 0;
