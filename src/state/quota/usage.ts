import { prefixOf } from '../../../domain/names.ts';
import type { StateSize } from '../../../domain/state-policy/quota.ts';
import type { StateDocument } from '../../../projections/documents.ts';
import { byBytes } from '../../by-bytes.ts';
import type { ReadStore } from '../../projection/read-store.ts';
import { sizeOf } from './size.ts';

export type PageLimits = { readonly pageKeys: number; readonly pageBytes: number };

/**
 * What the living keys of one pattern take up: those that a count has passed, kept up with what is folded since. A count
 * goes through the keys in their order, so that a change behind it is added, and one in front of it is yet to be met.
 */
export type Usage = {
  readonly pattern: string;
  readonly keys: number;
  readonly bytes: number;
  /** True once the count has passed all keys. */
  readonly isCounted: boolean;
  /** What appends under way may add. */
  readonly reserved: StateSize;
  /** Resolves once it is counted, or counts no more. */
  readonly settled: Promise<void>;
  /** Counts one page of what the store holds at this moment; true when it was the last one. */
  countPage(store: Pick<ReadStore, 'read' | 'range'>, limits: PageLimits): boolean;
  /** A key, which matches the pattern, was changed. */
  changed(key: string, before: StateSize, after: StateSize): void;
  reserve(more: StateSize): void;
  forgetReserved(): void;
  stop(): void;
};

export const createUsage = (pattern: string): Usage => {
  const prefix = prefixOf(pattern);
  const settled = Promise.withResolvers<void>();
  let [keys, bytes] = [0, 0];
  let [reservedKeys, reservedBytes] = [0, 0];
  let last: string | undefined;
  let isCounted = false;

  const add = (size: StateSize): void => {
    keys += size.keys;
    bytes += size.bytes;
  };

  const finish = (): true => {
    isCounted = true;
    settled.resolve();
    return true;
  };

  const hasPassed = (key: string): boolean => isCounted || (last !== undefined && byBytes(key, last) <= 0);

  return {
    pattern,
    get keys() {
      return keys;
    },
    get bytes() {
      return bytes;
    },
    get isCounted() {
      return isCounted;
    },
    get reserved() {
      return { keys: reservedKeys, bytes: reservedBytes };
    },
    settled: settled.promise,
    countPage(store, { pageKeys, pageBytes }) {
      if (prefix === undefined) {
        add(sizeOf(pattern, store.read<StateDocument>('state', pattern)));
        return finish();
      }
      let [pagedKeys, pagedBytes] = [0, 0];
      const options = last === undefined ? { prefix } : { prefix, after: last };
      for (const [key, document] of store.range<StateDocument>('state', options)) {
        const size = sizeOf(key, document);
        add(size);
        last = key;
        pagedKeys += 1;
        pagedBytes += size.bytes;
        if (pagedKeys >= pageKeys || pagedBytes >= pageBytes) return false;
      }
      return finish();
    },
    changed(key, before, after) {
      if (!hasPassed(key)) return;
      keys += after.keys - before.keys;
      bytes += after.bytes - before.bytes;
    },
    reserve(more) {
      reservedKeys += more.keys;
      reservedBytes += more.bytes;
    },
    forgetReserved() {
      [reservedKeys, reservedBytes] = [0, 0];
    },
    stop: () => settled.resolve(),
  };
};
