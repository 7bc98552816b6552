import type { MetricConfiguration, Registry } from 'prom-client';
import type { Distribution, Tally } from './instruments.ts';

export type Labels = Readonly<Record<string, string>>;

/** One number of a family, under the values of its labels. */
export type Sample = { readonly labels?: Labels; readonly value: number };

type Named = { readonly name: string; readonly help: string; readonly labels?: readonly string[] };

/** A metric under one name. What it reads is read at each scrape; when that throws, the family is left out of it. */
export type Family = Named &
  (
    | {
        readonly type: 'counter' | 'gauge';
        readonly samples: () => Iterable<Sample> | Promise<Iterable<Sample>>;
      }
    | {
        readonly type: 'histogram';
        readonly series: () => Iterable<{ readonly labels?: Labels; readonly of: Distribution }>;
      }
  );

/** The counts of a tally under one label. */
export function* samplesOf(label: string, tally: Tally): Iterable<Sample> {
  for (const [value, count] of tally.entries()) yield { labels: { [label]: value }, value: count };
}

export type Exposition = {
  /** All families in the text format of Prometheus, version 0.0.4. One at a time: scrapes that come during one share the next. */
  text(): Promise<string>;
};

export const metricsMediaType = 'text/plain; version=0.0.4; charset=utf-8';

/** Gauges of the package that are named as if they were counters, or say what another one says. */
const misnamed = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

let ofProcess: Promise<Registry> | undefined;

/** What is of the process, however many hubs it holds: memory, processor time, event loop, garbage collection. */
const processRegistry = async (): Promise<Registry> => {
  const { collectDefaultMetrics, Registry: Made } = await import('prom-client');
  const register = new Made();
  collectDefaultMetrics({ register });
  for (const name of misnamed) register.removeSingleMetric(name);
  return register;
};

type Exposed = {
  readonly metricName: string;
  readonly value: number;
  readonly labels: Record<string, string | number>;
};

/** The cumulated buckets of one series, as Prometheus wants them. */
function* bucketsOf(name: string, labels: Labels, { bounds, counts, sum }: Distribution): Iterable<Exposed> {
  let count = 0;
  for (const [index, more] of counts.entries()) {
    count += more;
    const le = bounds[index] ?? '+Inf';
    yield { metricName: `${name}_bucket`, value: count, labels: { ...labels, le } };
  }
  yield { metricName: `${name}_sum`, value: sum, labels: { ...labels } };
  yield { metricName: `${name}_count`, value: count, labels: { ...labels } };
}

/** @param failed is told of a family that could not be read. */
export const createExposition = (
  families: readonly Family[],
  failed: (name: string, error: unknown) => void,
): Exposition => {
  let register: Promise<Registry> | undefined;

  const open = async (): Promise<Registry> => {
    const { Counter, Gauge, Histogram, Registry: Made } = await import('prom-client');
    const own = new Made();

    /** Reads what was counted elsewhere: its own counting, with a lookup by label and a number per bucket, is not used. */
    class CountedElsewhere extends Histogram<string> {
      readonly #config: MetricConfiguration<string>;
      readonly #read: () => Iterable<Exposed>;

      constructor(config: MetricConfiguration<string>, read: () => Iterable<Exposed>) {
        super(config);
        this.#config = config;
        this.#read = read;
      }

      /** What the registry asks a histogram for. */
      async getForPromString() {
        const { name, help } = this.#config;
        return { name, help, type: 'histogram', aggregator: 'sum', values: [...this.#read()] };
      }
    }

    for (const family of families) {
      const { name, help, labels: labelNames = [] } = family;
      const config = { name, help, labelNames: [...labelNames], registers: [own] };
      if (family.type === 'histogram') {
        new CountedElsewhere(config, function* () {
          for (const { labels = {}, of } of family.series()) yield* bucketsOf(name, labels, of);
        });
        continue;
      }
      const { type, samples } = family;
      const read = async (
        metric: { reset(): void },
        set: (labels: Record<string, string>, value: number) => void,
      ): Promise<void> => {
        metric.reset();
        try {
          for (const { labels = {}, value } of await samples()) set({ ...labels }, value);
        } catch (error) {
          failed(name, error);
        }
      };
      if (type === 'counter') {
        new Counter({
          ...config,
          collect() {
            return read(this, (labels, value) => this.inc(labels, value));
          },
        });
      } else {
        new Gauge({
          ...config,
          collect() {
            // What is not known is not 0, which a gauge without labels would begin with.
            const none = {
              reset: () => {
                this.reset();
                if (labelNames.length === 0) this.remove();
              },
            };
            return read(none, (labels, value) => this.set(labels, value));
          },
        });
      }
    }
    return own;
  };

  const scrape = async (): Promise<string> => {
    register ??= open();
    ofProcess ??= processRegistry();
    const [own, common] = await Promise.all([register, ofProcess]);
    const [ownText, commonText] = await Promise.all([own.metrics(), common.metrics()]);
    return `${ownText}\n${commonText}`;
  };

  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<string> | undefined;
  return {
    text() {
      next ??= running.then(() => {
        const own = scrape();
        running = own.catch(() => undefined);
        next = undefined;
        return own;
      });
      return next;
    },
  };
};
