export type Summary = {
  readonly n: number;
  readonly sum: number;
  readonly mean: number;
  readonly median: number;
  readonly p90: number;
  readonly max: number;
  readonly deviation: number;
};

const rounded = (value: number): number => Math.round(value * 100) / 100;

/** Linear interpolation between the two nearest ranks (Hyndman and Fan's type 7). `sorted` has at least one value. */
export const quantile = (sorted: readonly number[], share: number): number => {
  const rank = (sorted.length - 1) * share;
  const low = sorted[Math.floor(rank)] ?? 0;
  const high = sorted[Math.ceil(rank)] ?? low;
  return low + (high - low) * (rank - Math.floor(rank));
};

/** Undefined for no values; the deviation is that of a sample (n - 1), 0 for one value. */
export const summarise = (values: readonly number[]): Summary | undefined => {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const sum = values.reduce((total, value) => total + value, 0);
  const mean = sum / values.length;
  const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
  return {
    n: values.length,
    sum: rounded(sum),
    mean: rounded(mean),
    median: rounded(quantile(sorted, 0.5)),
    p90: rounded(quantile(sorted, 0.9)),
    max: sorted.at(-1) ?? 0,
    deviation: rounded(values.length === 1 ? 0 : Math.sqrt(squares / (values.length - 1))),
  };
};
