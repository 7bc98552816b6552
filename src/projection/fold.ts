import { type AnyEvent, decodeEvent } from '../../domain/catalog.ts';
import {
  categoryOf,
  type LogEvent,
  type Position,
  type RecordedEvent,
  type StreamId,
} from '../../domain/event.ts';
import {
  type AnyDocument,
  type AnyProjection,
  foldEvent,
  forgottenBy,
  keysOf,
} from '../../projections/index.ts';
import type { Forgotten } from '../../projections/projection.ts';
import type { ReadChange, ReadStore } from './read-store.ts';

/** A stream that a projection could not fold on, and stands still at since. */
export type Parked = {
  readonly projection: string;
  readonly stream: StreamId;
  /** The event that could not be folded; what stands in the stream behind it is left out too. */
  readonly position: Position;
  readonly eventId: string;
  readonly type: string;
  readonly reason: string;
};

export type FoldedBatch = {
  readonly changes: readonly ReadChange[];
  /** History that the events end. */
  readonly forgotten: readonly Forgotten[];
  /** Streams that this batch parked; their records are among `changes`. */
  readonly parked: readonly Parked[];
};

/** Model of the read store that holds the parked streams. */
export const parkedModel = '$parked';

const parkedKey = (projection: string, stream: string): string => `${projection} ${stream}`;

const maxReasonLength = 1_000;

export const listParked = (store: Pick<ReadStore, 'range'>, limit = 1_000): Parked[] => {
  const parked: Parked[] = [];
  for (const [, record] of store.range<Parked>(parkedModel)) {
    parked.push(record);
    if (parked.length === limit) break;
  }
  return parked;
};

type Attempt<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly reason: string };

const attempt = <Value>(task: () => Value): Attempt<Value> => {
  try {
    return { ok: true, value: task() };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
};

/**
 * Folds batches of events into changes of documents, in memory: it reads from `store` and writes nothing.
 *
 * An event that a projection cannot decode or fold parks its stream for that projection; an event of a type that this
 * version does not know is left out, and is no fault.
 */
export const createFolder = (
  projections: readonly AnyProjection[],
  store: Pick<ReadStore, 'read' | 'range'>,
) => {
  const byCategory = new Map<string, AnyProjection[]>();
  for (const projection of projections) {
    const fed = byCategory.get(projection.category);
    if (fed === undefined) byCategory.set(projection.category, [projection]);
    else fed.push(projection);
  }
  let anyParked = listParked(store, 1).length > 0;

  return (events: readonly LogEvent[]): FoldedBatch => {
    const changes: ReadChange[] = [];
    const forgotten: Forgotten[] = [];
    const parked = new Map<string, Parked>();
    /** What this batch has made of the documents so far. */
    const newest = new Map<string, Map<string, AnyDocument | null>>();
    for (const { name } of projections) newest.set(name, new Map());

    const park = ({ name }: AnyProjection, event: LogEvent, reason: string): void => {
      const document: Parked = {
        projection: name,
        stream: event.stream,
        position: event.position,
        eventId: event.id,
        type: event.type,
        reason: reason.slice(0, maxReasonLength),
      };
      const key = parkedKey(name, event.stream);
      anyParked = true;
      parked.set(key, document);
      changes.push({ model: parkedModel, key, document });
    };

    const isParked = ({ name }: AnyProjection, { stream }: LogEvent): boolean => {
      if (!anyParked) return false;
      const key = parkedKey(name, stream);
      return parked.has(key) || store.read(parkedModel, key) !== undefined;
    };

    const foldInto = (
      projection: AnyProjection,
      event: RecordedEvent<AnyEvent>,
      key: string,
    ): string | undefined => {
      const { name, keepsHistory } = projection;
      const documents = newest.get(name);
      const made = documents?.get(key);
      const current = made === undefined ? store.read<AnyDocument>(name, key) : (made ?? undefined);
      const folded = attempt(() => foldEvent(projection, current, event, key));
      if (!folded.ok) return folded.reason;
      if (!folded.value.ok) return folded.value.reason;
      const { document } = folded.value;
      if (document === undefined) return undefined;
      documents?.set(key, document);
      const change = { model: name, key, document };
      changes.push(keepsHistory ? { ...change, historyAt: event.position, before: current } : change);
      return undefined;
    };

    /** The reason why the event cannot be folded, or undefined when it was. */
    const fold = (projection: AnyProjection, event: RecordedEvent<AnyEvent>): string | undefined => {
      const keys = attempt(() => keysOf(projection, event));
      if (!keys.ok) return keys.reason;
      for (const key of keys.value) {
        const reason = foldInto(projection, event, key);
        if (reason !== undefined) return reason;
      }
      const ended = attempt(() => forgottenBy(projection, event));
      if (!ended.ok) return ended.reason;
      if (ended.value !== undefined) forgotten.push(ended.value);
      return undefined;
    };

    for (const event of events) {
      const fed = byCategory.get(categoryOf(event.stream));
      if (fed === undefined) continue;
      const decoded = decodeEvent(event);
      if (decoded.ok && !decoded.known) continue;
      for (const projection of fed) {
        if (isParked(projection, event)) continue;
        const reason = decoded.ok ? fold(projection, decoded.event) : decoded.reason;
        if (reason !== undefined) park(projection, event, reason);
      }
    }
    return { changes, forgotten, parked: [...parked.values()] };
  };
};
