import type { HookName } from '../../../domain/plugin/manifest.ts';
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
  /** An answer of a hook that cannot be used; in the log of the hub alone. */
  unusable(hook: HookName, reason: string): void;
  record(event: PluginRecord): Promise<void>;
};

const windowMs = 600_000;
const maxFailures = 20;
const tellEveryMs = 60_000;
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

/** Of what may come with every message: how often it came since it was told of last, when that is long enough ago. */
const createTelling = <Key>(now: () => number) => {
  const known = new Map<Key, { readonly toldMs: number; readonly count: number }>();
  return {
    /** Counts one more. @returns the count when it is to be told, undefined when not yet. */
    add(key: Key): number | undefined {
      const { toldMs, count } = known.get(key) ?? { toldMs: Number.NEGATIVE_INFINITY, count: 0 };
      const at = now();
      const isDue = at - toldMs >= tellEveryMs;
      known.set(key, isDue ? { toldMs: at, count: 0 } : { toldMs, count: count + 1 });
      return isDue ? count + 1 : undefined;
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
  const limits = createTelling<LimitName>(now);
  const unusable = createTelling<HookName>(now);

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
      const count = limits.add(limit);
      if (count === undefined) return;
      const text = detail.slice(0, maxReasonLength).toWellFormed();
      void record(name, { type: 'PluginLimitExceeded', data: { limit, detail: text, version, node, count } });
    },
    unusable(hook, reason) {
      const count = unusable.add(hook);
      if (count === undefined) return;
      logger.warn({ plugin: name, hook, reason, count }, 'a plugin gave an answer that cannot be used');
    },
    record: (event) => record(name, event),
  };
};
