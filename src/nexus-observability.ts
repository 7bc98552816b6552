import type { Refused } from './audit/denials.ts';
import type { Problem, Result } from './errors.ts';
import type { Meters } from './metrics/meters.ts';
import type { Context } from './nexus-core.ts';
import type { Tracing } from './tracing/tracing.ts';

export type ObservabilityApi = {
  /** What is counted while the hub works: hosts add to it. */
  readonly meters: Meters;
  /** What this node has counted and knows of itself, in the text format of Prometheus (docs/observability.md). */
  metrics(context: Context): Promise<Result<string>>;
  /** Undefined when no provider of traces was registered when the core was opened. */
  readonly tracing: Tracing | undefined;
  /** Tells the audit of a refusal that no operation has made: of whoever a host did not let in. */
  denied(problem: Problem, who: Refused): void;
};
