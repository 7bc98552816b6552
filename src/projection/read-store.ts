import type { Position } from '../../domain/event.ts';
import type { Forgotten } from '../../projections/projection.ts';

/** One change to a read model: a document put, with what its history keeps, or removed. */
export type ReadChange = {
  readonly model: string;
  readonly key: string;
  /** Null removes the document; a model that keeps history never does. */
  readonly document: unknown;
  /** Position of the event that made it; the history entry stands under it. Absent: no history is kept. */
  readonly historyAt?: Position;
  /** The document that stood there before the change, of models that keep history; undefined for none. Not stored. */
  readonly before?: unknown;
};

export type ReadBatch = {
  readonly changes: readonly ReadChange[];
  /** History that is gone once the changes are made; documents stay as they are. */
  readonly forgotten?: readonly Forgotten[];
  /** Position of the last event of the batch; written in the same transaction. */
  readonly checkpoint: Position;
  /** `recordedAt` (ms since 1970) of that event: the sample of the time index. */
  readonly recordedAtMs: number;
};

export type Past<Document> = { readonly position: Position; readonly document: Document };

export type RangeOptions = {
  readonly prefix?: string;
  /** Exclusive: go on behind this key. */
  readonly after?: string;
};

/**
 * Documents by model and key, with the checkpoint that they stand for.
 *
 * Reads are synchronous (memory-mapped) and see exactly the batches that `write` has resolved. Keys are ordered by
 * their UTF-8 bytes. Every stored document carries a checksum.
 *
 * @throws {ReadModelDamaged} from any read that meets a document which does not match its checksum.
 */
export type ReadStore = {
  /** Undefined when nothing was ever written. */
  readonly checkpoint: Position | undefined;
  read<Document>(model: string, key: string): Document | undefined;
  /** In key order; lazy, and valid only until the caller awaits. */
  range<Document>(
    model: string,
    options?: RangeOptions,
  ): Iterable<readonly [key: string, document: Document]>;
  /** Former documents of a key, newest first, `before` exclusive. */
  history<Document>(model: string, key: string, before?: Position): Iterable<Past<Document>>;
  /** The document as it was at `position` (inclusive), or undefined when there was none yet. */
  at<Document>(model: string, key: string, position: Position): Past<Document> | undefined;
  /** The oldest document that the key's history keeps, of those behind `after` (exclusive) when it is given. */
  oldest<Document>(model: string, key: string, after?: Position): Past<Document> | undefined;
  /**
   * Greatest sampled position whose `recordedAt` is not later than `timeMs`, or undefined when all are later.
   * Samples are batch ends, so the exact answer may stand at most one batch behind it: read on in the log.
   */
  sampleAt(timeMs: number): Position | undefined;
  /** All of it, or nothing; visible to reads once resolved. One call at a time. */
  write(batch: ReadBatch): Promise<void>;
  close(): Promise<void>;
};

export class ReadModelDamaged extends Error {
  override readonly name = 'ReadModelDamaged';
}
