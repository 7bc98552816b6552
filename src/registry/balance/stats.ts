/** Time in which what was seen loses all but 1/e of its weight. */
export const tauMs = 10_000;
const windowSec = 10;

/** What this process has seen of calls to one instance, or to all of a service: flat numbers, no history of calls. */
export type Stats = {
  /** Peak EWMA of the answers' latency as of `latencyAtMs`; 0 before the first answer. */
  latencyMs: number;
  latencyAtMs: number;
  /** Calls and failures, each worth e^(-age / tau) as of `decayedAtMs`. */
  calls: number;
  failures: number;
  decayedAtMs: number;
  consecutiveFailures: number;
  /** Calls of the last 10 seconds at [0 … 9], failures at [10 … 19], by second; undefined before the first call. */
  window: Uint32Array | undefined;
  windowSecond: number;
  windowCalls: number;
  windowFailures: number;
};

export const createStats = (): Stats => ({
  latencyMs: 0,
  latencyAtMs: 0,
  calls: 0,
  failures: 0,
  decayedAtMs: 0,
  consecutiveFailures: 0,
  window: undefined,
  windowSecond: 0,
  windowCalls: 0,
  windowFailures: 0,
});

/** The latency of a service as a whole: a mean in which a call is worth e^(-age / tau). */
export type MeanLatency = { sumMs: number; calls: number; atMs: number };
export const createMeanLatency = (): MeanLatency => ({ sumMs: 0, calls: 0, atMs: 0 });

const decay = (sinceMs: number): number => (sinceMs <= 0 ? 1 : Math.exp(-sinceMs / tauMs));

export const addToMean = (mean: MeanLatency, latencyMs: number, nowMs: number): void => {
  const kept = decay(nowMs - mean.atMs);
  mean.sumMs = mean.sumMs * kept + latencyMs;
  mean.calls = mean.calls * kept + 1;
  mean.atMs = nowMs;
};

/** At least a microsecond, so that a product with it is never nothing. */
export const meanOf = (mean: MeanLatency): number =>
  mean.calls > 0 ? Math.max(mean.sumMs / mean.calls, 0.001) : 1;

/**
 * Finagle's peak EWMA: a slower answer counts at once and in full, a faster one by and by. Without answers it goes
 * back to the service's mean, not to nothing: an instance that was slow is tried again, and never taken for the fastest.
 */
export const latencyOf = (stats: Stats, meanMs: number, nowMs: number): number =>
  stats.latencyMs === 0 ? meanMs : meanMs + (stats.latencyMs - meanMs) * decay(nowMs - stats.latencyAtMs);

export const addLatency = (stats: Stats, latencyMs: number, nowMs: number): void => {
  const kept = decay(nowMs - stats.latencyAtMs);
  stats.latencyMs =
    stats.latencyMs === 0 || latencyMs > stats.latencyMs
      ? Math.max(latencyMs, 0.001)
      : latencyMs + (stats.latencyMs - latencyMs) * kept;
  stats.latencyAtMs = nowMs;
};

/** Moves the window to the second of `nowMs`: what is older than 10 s leaves it. */
const turnWindow = (stats: Stats, window: Uint32Array, nowMs: number): number => {
  const second = Math.floor(nowMs / 1_000);
  const passed = Math.min(second - stats.windowSecond, windowSec);
  for (let step = 1; step <= passed; step++) {
    const slot = (second - passed + step) % windowSec;
    stats.windowCalls -= window[slot] ?? 0;
    stats.windowFailures -= window[slot + windowSec] ?? 0;
    window[slot] = 0;
    window[slot + windowSec] = 0;
  }
  if (second > stats.windowSecond) stats.windowSecond = second;
  return stats.windowSecond % windowSec;
};

export const addCall = (stats: Stats, failed: boolean, nowMs: number): void => {
  const kept = decay(nowMs - stats.decayedAtMs);
  stats.calls = stats.calls * kept + 1;
  stats.failures = stats.failures * kept + (failed ? 1 : 0);
  stats.decayedAtMs = nowMs;
  stats.consecutiveFailures = failed ? stats.consecutiveFailures + 1 : 0;
  stats.window ??= new Uint32Array(2 * windowSec);
  const slot = turnWindow(stats, stats.window, nowMs);
  stats.window[slot] = (stats.window[slot] ?? 0) + 1;
  stats.windowCalls++;
  if (!failed) return;
  stats.window[slot + windowSec] = (stats.window[slot + windowSec] ?? 0) + 1;
  stats.windowFailures++;
};

/** What was seen of calls no longer counts; the latency does. */
export const forgetFailures = (stats: Stats): void => {
  stats.failures = 0;
  stats.consecutiveFailures = 0;
  stats.window = undefined;
  stats.windowCalls = 0;
  stats.windowFailures = 0;
};

/**
 * How much dearer failures make an instance: 1 without any, about 26 when half of the calls fail, 101 at most. Goes
 * back to 1 while nobody calls it, as the calls that failed lose their weight.
 */
export const penaltyOf = (stats: Stats, nowMs: number): number => {
  if (stats.failures === 0) return 1;
  const kept = decay(nowMs - stats.decayedAtMs);
  const share = (stats.failures * kept) / (stats.calls * kept + 1);
  return 1 + 100 * share * share;
};
