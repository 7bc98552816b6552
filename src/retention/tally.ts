import type { LogEvent } from '../../domain/event.ts';

/** Of this share of the limit is a block: what is removed is whole blocks, so up to so much more than it must. */
const blocksPerLimit = 32;

type Block = { readonly from: number; bytes: number };

/**
 * How many bytes the newest messages of a topic have, in some 32 blocks of neighbours, however many messages there are:
 * what was counted once is not read again.
 */
export type Tally = {
  readonly maxBytes: number;
  /** Revision of the first message that was not counted. */
  readonly next: number;
  /** Revision of the oldest message that may stay. */
  readonly from: number;
  /** Counts the next message; the oldest blocks go while there is too much, the newest one never. */
  add(revision: number, bytes: number): void;
  /** Messages before `revision` are gone for another reason. */
  forget(revision: number): void;
};

/** @param start revision of the first message to count. */
export const createTally = (maxBytes: number, start: number): Tally => {
  const blockBytes = maxBytes / blocksPerLimit;
  const blocks: Block[] = [];
  let total = 0;
  let next = start;

  const dropOldest = (): void => {
    total -= blocks.shift()?.bytes ?? 0;
  };

  return {
    maxBytes,
    get next() {
      return next;
    },
    get from() {
      return blocks[0]?.from ?? next;
    },
    add(revision, bytes) {
      const newest = blocks.at(-1);
      if (newest === undefined || newest.bytes >= blockBytes) blocks.push({ from: revision, bytes });
      else newest.bytes += bytes;
      total += bytes;
      next = revision + 1;
      while (total > maxBytes && blocks.length > 1) dropOldest();
    },
    forget(revision) {
      for (let second = blocks[1]; second !== undefined && second.from <= revision; second = blocks[1])
        dropOldest();
      if (next < revision) {
        blocks.length = 0;
        total = 0;
        next = revision;
      }
    },
  };
};

const idBytes = 36;

/** What a message counts for: its id, type, data and metadata as JSON, as the log encodes them. */
export const bytesOf = ({ type, data, metadata }: LogEvent): number =>
  idBytes +
  type.length +
  Buffer.byteLength(JSON.stringify(data)) +
  Buffer.byteLength(JSON.stringify(metadata));
