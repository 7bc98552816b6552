import type { Json } from '../../../domain/event.ts';
import { nothing, type StateSize } from '../../../domain/state-policy/quota.ts';
import type { StateDocument } from '../../../projections/documents.ts';

/** What a key with this value takes up. */
export const sizeOfValue = (key: string, value: Json): StateSize => ({
  keys: 1,
  bytes: Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value)),
});

/** What the document of a key counts; nothing when there is none, or the key is deleted. */
export const sizeOf = (key: string, document: StateDocument | undefined): StateSize =>
  document === undefined || document.deleted ? nothing : sizeOfValue(key, document.value);
