/** What an instance is told of the time that it has: RFC 3339, and milliseconds for one whose clock is off. */
export const deadlineHeaders = (leftMs: number, timeOfDayMs: number): Record<string, string> => ({
  'x-nexus-deadline': new Date(timeOfDayMs + leftMs).toISOString(),
  'x-nexus-timeout-ms': String(Math.max(1, Math.ceil(leftMs))),
});

export const defaultTimeoutMs = 30_000;
export const maxAttempts = 3;

/**
 * How long one attempt may take: half of what is left where another one may follow, so that an instance which hangs
 * leaves time for one that does not.
 */
export const attemptMs = (leftMs: number, attempt: number, repeatable: boolean): number =>
  repeatable && attempt < maxAttempts ? leftMs / 2 : leftMs;
