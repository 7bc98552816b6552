/** Counts by one label: a cell per value, so that to count is to add to a number. */
export class Tally<Value extends string = string> {
  readonly #cells = new Map<Value, { count: number }>();

  /** @param value one of a number that the code bounds, never a text from outside. */
  add(value: Value, by = 1): void {
    const cell = this.#cells.get(value);
    if (cell === undefined) this.#cells.set(value, { count: by });
    else cell.count += by;
  }

  *entries(): Iterable<readonly [value: Value, count: number]> {
    for (const [value, { count }] of this.#cells) yield [value, count];
  }
}

/** How many observations were at most each of some bounds; what prom-client calls a histogram. */
export class Distribution {
  /** Ascending, inclusive. */
  readonly bounds: readonly number[];
  /** Of observations by the first bound that they do not exceed, not cumulated; the last is of all that exceed every bound. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? 0)) at++;
    counts[at] = (counts[at] ?? 0) + 1;
    this.sum += value;
  }
}

/** Seconds that requests and calls take. */
export const requestBounds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const;
/** Seconds that calls of plugins take. */
export const pluginBounds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30,
] as const;
/** Seconds that a durable append takes. */
export const appendBounds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
] as const;
/** Events of one append. */
export const eventBounds = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000] as const;
