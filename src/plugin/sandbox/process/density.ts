import type { Json } from '../../../../domain/event.ts';
import { isJsonArray } from '../../../../domain/json.ts';

/** A value costs the hub as much time as so many bytes of text, however short it is. */
export const bytesPerValue = 16;
/** An object of more members is a hash table to V8, and each of its members costs as much as so many values. */
const maxMembers = 100;
const valuesPerMember = 8;

/**
 * How many values there are, those in large objects counted several times; `max` or more when there are more. Of those that
 * are too many few are looked at.
 */
export const valuesOf = (value: Json, max: number): number => {
  let values = 1;
  const walk = (item: Json): void => {
    if (typeof item !== 'object' || item === null) return;
    if (isJsonArray(item)) {
      values += item.length;
      for (let index = 0; index < item.length && values < max; index++) walk(item[index] ?? null);
      return;
    }
    let members = 0;
    for (const name in item) {
      values += ++members > maxMembers ? valuesPerMember : 1;
      if (values >= max) return;
      walk(item[name] ?? null);
    }
  };
  walk(value);
  return values;
};
