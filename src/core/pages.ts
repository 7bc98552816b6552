import { roughBytes } from '../rough-bytes.ts';

/** About how many bytes of events or documents one answer holds: a page of large ones ends before its limit. */
export const maxPageBytes = 4 * 1_048_576;
/** A list that has no pages is refused beyond this. */
export const maxListBytes = 128 * 1_048_576;

const itemBytes = 256;
const firstReadEvents = 32;
export const maxReadEvents = 1_000;

/** What an event or a document counts for, of its value that varies in size. */
export const weigh = (value: unknown): number => itemBytes + roughBytes(value, maxListBytes);

/** Sizes the reads of a log behind one another, so that none brings much more than a page of bytes into memory. */
export type ReadSizes = {
  /** Events to read at once, at most `wanted`. */
  next(wanted: number): number;
  /** Takes note of what a read has brought, and tells what that counts for. */
  saw(events: readonly { readonly data: unknown }[]): number;
};

export const createReadSizes = (): ReadSizes => {
  let size = firstReadEvents;
  return {
    next: (wanted) => Math.max(1, Math.min(wanted, size)),
    saw(events) {
      let bytes = 0;
      for (const { data } of events) bytes += weigh(data);
      const fitting = bytes === 0 ? maxReadEvents : Math.floor((maxPageBytes * events.length) / bytes);
      size = Math.max(1, Math.min(maxReadEvents, fitting, size * 4));
      return bytes;
    },
  };
};
