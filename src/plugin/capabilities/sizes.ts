import type { Json } from '../../../domain/event.ts';
import { unitsOf } from '../../../domain/json.ts';

/** No value or character takes more bytes than that, with what stands around it. */
const maxBytesPerUnit = 32;

/** True when the value takes more than `maxBytes` as JSON text. Small ones are told by their parts, without writing them out. */
export const exceeds = (value: Json, maxBytes: number): boolean => {
  const few = Math.floor(maxBytes / maxBytesPerUnit);
  return unitsOf(value, few) >= few && Buffer.byteLength(JSON.stringify(value)) > maxBytes;
};
