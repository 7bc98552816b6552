import type { Result } from './errors.ts';
import type { Meters } from './metrics/meters.ts';
import type { Context } from './nexus-core.ts';

export type ObservabilityApi = {
  /** What is counted while the hub works: hosts add to it. */
  readonly meters: Meters;
  /** What this node has counted and knows of itself, in the text format of Prometheus (docs/observability.md). */
  metrics(context: Context): Promise<Result<string>>;
};
