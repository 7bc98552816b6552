import { ok, type Result } from '../errors.ts';
import { createExposition } from '../metrics/exposition.ts';
import { familiesOf } from '../metrics/families.ts';
import { createKeyCount } from '../metrics/key-count.ts';
import type { Context } from '../nexus-core.ts';
import type { Expiry } from '../state/expiry.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';

/** What the hub tells of itself (docs/adr/0043-observability.md). */
export const createObservability = (parts: Parts, expiry: Expiry) => {
  const { logger, meters, runner } = parts;
  const keyCount = createKeyCount(runner);
  const exposition = createExposition(familiesOf({ parts, expiry, keyCount, meters }), (metric, error) =>
    logger.debug({ error, metric }, 'a metric could not be read'),
  );

  return {
    metrics: async (context: Context): Promise<Result<string>> =>
      demand(context, { scope: 'log:read' }) ?? ok(await exposition.text()),
    close: keyCount.close,
  };
};
