const withinMs = 600_000;
const fallsUntilHeld = 3;
const firstHoldMs = 10_000;
const lastHoldMs = 300_000;

export type Hold = {
  /** Within the 10 minutes before it became good. */
  readonly falls: number;
  readonly forMs: number;
  /** Milliseconds since 1970. */
  readonly untilMs: number;
};

/** How long an instance that fell so often has to stay good: 10 s from the third fall on, doubled per fall, 5 min at most. */
export const holdMs = (falls: number): number =>
  falls < fallsUntilHeld ? 0 : Math.min(firstHoldMs * 2 ** (falls - fallsUntilHeld), lastHoldMs);

/**
 * How an instance that is good since `goodSinceMs` is held down; undefined when it is not. A function of its falls alone,
 * which every node and every start reads in the same document.
 *
 * @param falls RFC 3339, newest first.
 * @param goodSinceMs since 1970.
 */
export const holdOf = (falls: readonly string[], goodSinceMs: number): Hold | undefined => {
  if (falls.length < fallsUntilHeld) return undefined;
  const times = falls.map((at) => Date.parse(at));
  // One whose calls fail may fall while heartbeats and probes go on being good.
  const fromMs = Math.max(goodSinceMs, ...times);
  const recent = times.filter((at) => at > fromMs - withinMs).length;
  const forMs = holdMs(recent);
  return forMs === 0 ? undefined : { falls: recent, forMs, untilMs: fromMs + forMs };
};
