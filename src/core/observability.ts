import { openDenials, type Refused } from '../audit/denials.ts';
import type { Clock } from '../clock.ts';
import { ok, type Problem, type Result } from '../errors.ts';
import { createExposition } from '../metrics/exposition.ts';
import { familiesOf } from '../metrics/families.ts';
import { createKeyCount } from '../metrics/key-count.ts';
import type { Context } from '../nexus-core.ts';
import type { Expiry } from '../state/expiry.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';

/** What the hub tells of itself (docs/adr/0043-observability.md). */
export const createObservability = (parts: Parts, expiry: Expiry, clock: Clock) => {
  const { log, logger, meters, node, runner } = parts;
  const denials = openDenials({ log, node, clock, logger, meters });
  /** Those that an operation has made are counted there: a host that tells of one again is passed over. */
  const counted = new WeakSet<Problem>();
  const keyCount = createKeyCount(runner);
  const exposition = createExposition(familiesOf({ parts, expiry, keyCount, meters }), (metric, error) =>
    logger.debug({ error, metric }, 'a metric could not be read'),
  );

  return {
    metrics: async (context: Context): Promise<Result<string>> =>
      demand(context, { scope: 'log:read' }) ?? ok(await exposition.text()),
    denied(problem: Problem, who: Refused): void {
      if (!counted.has(problem)) denials.denied(problem, who);
    },
    /** For operations of the core, whatever protocol they came by. */
    onProblem(problem: Problem, context: Context | undefined): void {
      meters.refusals.add(problem.code);
      if (context === undefined) return;
      counted.add(problem);
      denials.denied(problem, { subject: context.subject.id });
    },
    async close(): Promise<void> {
      keyCount.close();
      await denials.close();
    },
  };
};
