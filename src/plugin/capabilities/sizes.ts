import type { Json } from '../../../domain/event.ts';
import { isJsonArray } from '../../../domain/json.ts';

/** Bytes of JSON text: a number has 25 at most (`-1.2345678901234567e-100`), a character of a text 1 to 6. */
const perNumber = { least: 1, most: 25 };
const perCharacter = { least: 1, most: 6 };
/** Of a container, a text or a literal, what stands between two values, and between a name and its value. */
const around = { least: 2, most: 8 };

/**
 * True when the value takes more than `maxBytes` as JSON text. What its parts tell is not written out: small values, and
 * those that are too large by far, of which no more is looked at than it takes.
 */
export const exceeds = (value: Json, maxBytes: number): boolean => {
  let [least, most] = [0, 0];
  const count = (times: number, bytes: { readonly least: number; readonly most: number }): void => {
    least += times * bytes.least;
    most += times * bytes.most;
  };
  const walk = (item: Json): void => {
    count(1, typeof item === 'number' ? perNumber : around);
    if (typeof item === 'string') count(item.length, perCharacter);
    if (typeof item !== 'object' || item === null) return;
    if (isJsonArray(item)) {
      least += Math.max(0, item.length - 1);
      most += item.length;
      for (let index = 0; index < item.length && least <= maxBytes; index++) walk(item[index] ?? null);
      return;
    }
    for (const name in item) {
      if (least > maxBytes) return;
      count(name.length, perCharacter);
      count(1, around);
      walk(item[name] ?? null);
    }
  };
  walk(value);
  return least > maxBytes || (most > maxBytes && Buffer.byteLength(JSON.stringify(value)) > maxBytes);
};
