import type { PluginFailure, PluginRecord } from '../../../domain/plugin/plugin.ts';
import type { Logger } from '../../logger.ts';
import type { RecordPlugin } from '../runtime.ts';
import type { Death, LimitName } from '../sandbox/sandbox.ts';

/** What one plugin's doings become in the log: bounded, however often it fails. */
export type Reports = {
  failed(cause: PluginFailure, reason: string, version: string): Promise<void>;
  /** A death that is the plugin's own fault. */
  struck(death: Death, version: string): Promise<void>;
  limited(limit: LimitName, detail: string, version: string): void;
  record(event: PluginRecord): Promise<void>;
};

const windowMs = 600_000;
const maxFailures = 20;
const limitEveryMs = 60_000;
const maxReasonLength = 1_024;

/** The latest moments within `spanMs`, `max` of them at most. */
const createMoments = (now: () => number, spanMs: number, max: number) => {
  const moments: number[] = [];
  return {
    /** How many there are, this one counted; at most one more than `max`. */
    add(): number {
      const at = now();
      while (moments[0] !== undefined && moments[0] <= at - spanMs) moments.shift();
      if (moments.length <= max) moments.push(at);
      return moments.length;
    },
    get count() {
      const at = now();
      return moments.filter((moment) => moment > at - spanMs).length;
    },
  };
};

const failureOf = ({ cause }: Death): PluginFailure => (cause === 'sibling' ? 'crash' : cause);

export const createReports = (
  name: string,
  node: string,
  record: RecordPlugin,
  now: () => number,
  logger: Logger,
): Reports => {
  const failures = createMoments(now, windowMs, maxFailures);
  const strikes = createMoments(now, windowMs, 100);
  const limits = new Map<LimitName, { toldMs: number; count: number }>();

  const failed = async (cause: PluginFailure, reason: string, version: string): Promise<void> => {
    const text = reason.slice(0, maxReasonLength).toWellFormed();
    logger.warn({ plugin: name, version, cause, reason: text }, 'a plugin failed');
    if (failures.add() > maxFailures) return;
    await record(name, {
      type: 'PluginFailed',
      data: { reason: text, cause, version, node, strikes: strikes.count },
    });
  };

  return {
    failed,
    struck(death, version) {
      strikes.add();
      return failed(failureOf(death), death.reason, version);
    },
    limited(limit, detail, version) {
      const known = limits.get(limit) ?? { toldMs: Number.NEGATIVE_INFINITY, count: 0 };
      known.count += 1;
      limits.set(limit, known);
      if (now() - known.toldMs < limitEveryMs) return;
      const { count } = known;
      limits.set(limit, { toldMs: now(), count: 0 });
      const text = detail.slice(0, maxReasonLength).toWellFormed();
      void record(name, { type: 'PluginLimitExceeded', data: { limit, detail: text, version, node, count } });
    },
    record: (event) => record(name, event),
  };
};
