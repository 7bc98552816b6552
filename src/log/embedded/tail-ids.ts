import { isTimeOrdered } from './id-index.ts';
import { firstAtLeast, type Place, sequenceOf } from './place.ts';

/** Ids of the events that the index on disk lacks. */
export type TailIds = {
  /** True for an id that this log has certainly never seen; false says nothing. */
  isNew(id: string): boolean;
  add(id: string, place: Place): void;
  /** Places of the events with this id: one per stream that has it. */
  placesOf(id: string): readonly Place[];
  at(sequence: number): string | undefined;
  readonly size: number;
  readonly firstSequence: number;
  /** Ids from `firstSequence` to `sequence`; an empty text where there is no event. */
  upTo(sequence: number): readonly string[];
  forgetUpTo(sequence: number): void;
};

/** `greatestId` is the greatest time-ordered id of the index on disk. */
export const createTailIds = (firstSequence: number, greatestId: string): TailIds => {
  let first = firstSequence;
  let ids: string[] = [];
  // Time-ordered ids that come in ascending order need no map, and are known to be new at a glance: most do.
  let greatest = greatestId;
  let ascending: Place[] = [];
  // Nearly always one place; several when the same id stands in several streams.
  const others = new Map<string, Place | Place[]>();

  const idOf = (place: Place): string => ids[sequenceOf(place) - first] ?? '';

  const search = (id: string): Place | undefined => {
    let low = 0;
    let high = ascending.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (idOf(ascending[middle] ?? 0) < id) low = middle + 1;
      else high = middle;
    }
    const place = ascending[low];
    return place !== undefined && idOf(place) === id ? place : undefined;
  };

  const isNew = (id: string): boolean => isTimeOrdered(id) && id > greatest;

  return {
    isNew,
    add(id, place) {
      // Sequences that the scavenger removed leave a hole when the index is rebuilt.
      while (first + ids.length < sequenceOf(place)) ids.push('');
      ids.push(id);
      if (isNew(id)) {
        greatest = id;
        ascending.push(place);
      } else {
        const known = others.get(id);
        others.set(id, known === undefined ? place : [known, place].flat());
      }
    },
    placesOf(id) {
      const ordered = search(id);
      const other = others.get(id) ?? [];
      return ordered === undefined ? [other].flat() : [ordered, other].flat();
    },
    at: (sequence) => ids[sequence - first],
    get size() {
      return ids.length;
    },
    get firstSequence() {
      return first;
    },
    upTo: (sequence) => ids.slice(0, sequence + 1 - first),
    forgetUpTo(sequence) {
      const count = sequence + 1 - first;
      if (others.size > 0) {
        for (let index = 0; index < count; index++) {
          const id = ids[index] ?? '';
          const known = others.get(id);
          if (known === undefined) continue;
          const left = [known].flat().filter((place) => sequenceOf(place) > sequence);
          if (left.length === 0) others.delete(id);
          else others.set(id, left);
        }
      }
      ascending = ascending.slice(firstAtLeast(ascending, sequence + 1));
      ids = ids.slice(count);
      first = sequence + 1;
    },
  };
};
