/** Time in which what was seen loses all but 1/e of its weight. */
export const tauMs = 10_000;
/** Calls are counted in halves of a window of 10 s: what is older than that never counts, what is 5 s old always does. */
const halfWindowMs = 5_000;

/**
 * What this process has seen of calls to instances: a row of numbers each, all in one array, so that a pick among a
 * hundred thousand reads two lines of memory per instance and not a dozen.
 */
export type Stats = { values: Float64Array; readonly free: number[]; rows: number };

/** Numbers of a row, by their place in it. */
const latencyMs = 0;
const latencyAtMs = 1;
/** Calls and failures, each worth e^(-age / tau) as of `decayedAtMs`. */
const calls = 2;
const failures = 3;
const decayedAtMs = 4;
const consecutiveFailures = 5;
const half = 6;
const halfCalls = 7;
const halfFailures = 8;
const earlierCalls = 9;
const earlierFailures = 10;
const width = 16;

export const createStats = (): Stats => ({ values: new Float64Array(16 * width), free: [], rows: 0 });

/** A row of its own, of zeros; `releaseRow` gives it back. */
export const takeRow = (stats: Stats): number => {
  const row = stats.free.pop() ?? stats.rows++ * width;
  if (row >= stats.values.length) {
    const wider = new Float64Array(stats.values.length * 2);
    wider.set(stats.values);
    stats.values = wider;
  }
  return row;
};

export const releaseRow = (stats: Stats, row: number): void => {
  stats.values.fill(0, row, row + width);
  stats.free.push(row);
};

/** The latency of a service as a whole: a mean in which a call is worth e^(-age / tau). */
export type MeanLatency = { sumMs: number; calls: number; atMs: number };
export const createMeanLatency = (): MeanLatency => ({ sumMs: 0, calls: 0, atMs: 0 });

const decay = (sinceMs: number): number => (sinceMs <= 0 ? 1 : Math.exp(-sinceMs / tauMs));

export const addToMean = (mean: MeanLatency, ms: number, nowMs: number): void => {
  const kept = decay(nowMs - mean.atMs);
  mean.sumMs = mean.sumMs * kept + ms;
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
export const latencyOf = ({ values }: Stats, row: number, meanMs: number, nowMs: number): number => {
  const peakMs = values[row + latencyMs] ?? 0;
  if (peakMs === 0) return meanMs;
  return meanMs + (peakMs - meanMs) * decay(nowMs - (values[row + latencyAtMs] ?? 0));
};

export const addLatency = ({ values }: Stats, row: number, ms: number, nowMs: number): void => {
  const peakMs = values[row + latencyMs] ?? 0;
  const kept = peakMs === 0 || ms > peakMs ? 0 : decay(nowMs - (values[row + latencyAtMs] ?? 0));
  values[row + latencyMs] = Math.max(ms + (peakMs - ms) * kept, 0.001);
  values[row + latencyAtMs] = nowMs;
};

/** Turns to the half window of `nowMs`. */
const turnWindow = (values: Float64Array, row: number, nowMs: number): void => {
  const now = Math.floor(nowMs / halfWindowMs);
  const before = values[row + half] ?? 0;
  if (now <= before) return;
  const isNext = now === before + 1;
  values[row + earlierCalls] = isNext ? (values[row + halfCalls] ?? 0) : 0;
  values[row + earlierFailures] = isNext ? (values[row + halfFailures] ?? 0) : 0;
  values[row + halfCalls] = 0;
  values[row + halfFailures] = 0;
  values[row + half] = now;
};

export const addCall = ({ values }: Stats, row: number, failed: boolean, nowMs: number): void => {
  const kept = decay(nowMs - (values[row + decayedAtMs] ?? 0));
  const failure = failed ? 1 : 0;
  values[row + calls] = (values[row + calls] ?? 0) * kept + 1;
  values[row + failures] = (values[row + failures] ?? 0) * kept + failure;
  values[row + decayedAtMs] = nowMs;
  values[row + consecutiveFailures] = failed ? (values[row + consecutiveFailures] ?? 0) + 1 : 0;
  turnWindow(values, row, nowMs);
  values[row + halfCalls] = (values[row + halfCalls] ?? 0) + 1;
  values[row + halfFailures] = (values[row + halfFailures] ?? 0) + failure;
};

/** As of the last call. */
export const failuresInRow = ({ values }: Stats, row: number): number =>
  values[row + consecutiveFailures] ?? 0;
export const recentCalls = ({ values }: Stats, row: number): number =>
  (values[row + halfCalls] ?? 0) + (values[row + earlierCalls] ?? 0);
export const recentFailures = ({ values }: Stats, row: number): number =>
  (values[row + halfFailures] ?? 0) + (values[row + earlierFailures] ?? 0);

/** What was seen of calls no longer counts; the latency does. */
export const forgetCalls = ({ values }: Stats, row: number): void => {
  values.fill(0, row + calls, row + width);
};

/**
 * How much dearer failures make an instance, by the share of its calls that failed: 1 at none, 1.001 at 1 %, 2 at 10 %,
 * 1,001 at all, for one that answers nothing has nothing under way and looks idle. Goes back to 1 while nobody calls
 * it, as the calls that failed lose their weight.
 */
export const penaltyOf = ({ values }: Stats, row: number, nowMs: number): number => {
  const failed = values[row + failures] ?? 0;
  if (failed === 0) return 1;
  const kept = decay(nowMs - (values[row + decayedAtMs] ?? 0));
  const share = (failed * kept) / ((values[row + calls] ?? 0) * kept + 1);
  return 1 + 1_000 * share ** 3;
};
