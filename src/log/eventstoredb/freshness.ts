/** Unix milliseconds of a UUIDv7, or undefined for any other UUID. */
export const timeOfId = (id: string): number | undefined =>
  id.charAt(14) === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;

/** Ids of a generation; two of them are held. */
const capacity = 100_000;
const generationMs = 30_000;
/** How far ahead of the clock an id that was made here may be: the counter of RFC 9562 may borrow from the future. */
const aheadMs = 1_000;

/**
 * Tells ids that cannot stand in the log yet from those that may: made a moment ago by this process (UUIDv7), and not
 * appended by it before. Holds at most two generations of ids, so that it never grows.
 */
export const createFreshness = (now: () => number = Date.now) => {
  let ids = new Set<string>();
  let older = new Set<string>();
  let idsSince = now();
  /** Every id appended since then is in one of the two. */
  let knownSince = idsSince;

  const turn = (at: number): void => {
    if (ids.size < capacity && at - idsSince < generationMs) return;
    older = ids;
    knownSince = idsSince;
    ids = new Set();
    idsSince = at;
  };

  return {
    /** True when every id is new for certain. Remembers them: asked again, they are not. */
    claim: (claimed: readonly string[]): boolean => {
      const at = now();
      turn(at);
      let fresh = true;
      for (const id of claimed) {
        const made = timeOfId(id);
        if (made === undefined || made < knownSince || made > at + aheadMs || ids.has(id) || older.has(id)) {
          fresh = false;
        }
        if (made !== undefined) ids.add(id);
      }
      return fresh;
    },
  };
};

export type Freshness = ReturnType<typeof createFreshness>;
