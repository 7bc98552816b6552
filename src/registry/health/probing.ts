import { sameJson } from '../../../domain/json.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import type { Clock } from '../../clock.ts';
import type { Instance } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';
import type { Probe, ProbeResult } from './probe.ts';

export type Probing = {
  /**
   * Probes the instance from now on; soon, when its check is another one than before, or none was yet.
   *
   * @param isTakenOver another node did so until now: the first probe comes soon in any case.
   */
  watch(instance: Instance, isTakenOver?: boolean): void;
  forget(instance: Instance): void;
  /** Aborts what runs and resolves when it has ended. */
  close(): Promise<void>;
};

export type ProbingOptions = {
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly probe: Probe;
  readonly random: () => number;
  /** What came of a probe of an instance that is still watched, and whose check is still the same. */
  readonly onResult: (instance: Instance, result: ProbeResult) => void;
};

export const maxRunning = 256;
/**
 * Of these, for instances whose last probe was not good: each of them may take its whole time-out. However many are
 * dead, the others have the rest of the slots, which they leave within milliseconds.
 */
export const maxSuspects = 128;
const jitter = 0.1;
/** One that was never seen is probed within this time; the others are spread over their interval. */
const firstWithinMs = 500;

type Check = {
  readonly instance: Instance;
  readonly alarm: Alarm;
  /** What the next probe is told. */
  url: string;
  policy: ServiceDocument['healthCheck'];
  dueMs: number;
  running: AbortController | undefined;
  forgotten: boolean;
};

const isSuspect = ({ instance: { evidence } }: Check): boolean =>
  evidence.probe !== 'up' || evidence.failures > 0;

/**
 * Health checks of all instances that have one: each at its own interval ± 10 %, never two at a time of one instance, few
 * at a time in all, in the order in which they fell due.
 */
export const createProbing = (options: ProbingOptions): Probing => {
  const { clock, schedule, probe, random, onResult } = options;
  const checks = new Map<Instance, Check>();
  /** Those that fell due and wait for a slot; a set goes through them in that order. */
  const trusted = new Set<Check>();
  const suspects = new Set<Check>();
  const running = new Set<Promise<void>>();
  let suspectsRunning = 0;
  let closed = false;

  const soonMs = (
    { evidence }: Instance,
    { intervalMs }: Check['policy'],
    isUrgent = !evidence.seen,
  ): number => clock.now() + random() * (isUrgent ? Math.min(firstWithinMs, intervalMs) : intervalMs);

  const run = async (check: Check): Promise<void> => {
    const { instance, url, policy } = check;
    const controller = new AbortController();
    check.running = controller;
    const result = await probe(url, { timeoutMs: policy.timeoutMs, signal: controller.signal });
    check.running = undefined;
    if (check.forgotten || closed) return;
    if (check.url !== url || check.policy !== policy) {
      // A check that is another one by now: this says nothing about it.
      check.alarm.move(soonMs(instance, check.policy));
      return;
    }
    check.alarm.move(clock.now() + policy.intervalMs * (1 + jitter * (2 * random() - 1)));
    onResult(instance, result);
  };

  const start = (check: Check): void => {
    const suspect = suspects.delete(check);
    trusted.delete(check);
    if (suspect) suspectsRunning++;
    const started = run(check).finally(() => {
      running.delete(started);
      if (suspect) suspectsRunning--;
      next();
    });
    running.add(started);
  };

  /** The one that fell due first, of those that may have a slot. */
  const first = (): Check | undefined => {
    const [one] = trusted;
    const [other] = suspectsRunning < maxSuspects ? suspects : [];
    if (one === undefined || other === undefined) return one ?? other;
    return other.dueMs < one.dueMs ? other : one;
  };

  const next = (): void => {
    while (running.size < maxRunning && !closed) {
      const check = first();
      if (check === undefined) return;
      start(check);
    }
  };

  const ring = (check: Check): void => {
    if (check.running !== undefined || check.forgotten) return;
    check.dueMs = clock.now();
    (isSuspect(check) ? suspects : trusted).add(check);
    next();
  };

  const add = (instance: Instance, url: string, isTakenOver: boolean): void => {
    const policy = instance.document.healthCheck;
    const check: Check = {
      instance,
      url,
      policy,
      alarm: schedule.alarm(soonMs(instance, policy, isTakenOver || undefined), () => ring(check)),
      dueMs: 0,
      running: undefined,
      forgotten: false,
    };
    checks.set(instance, check);
  };

  const replace = (check: Check, url: string, policy: Check['policy']): void => {
    check.url = url;
    check.policy = policy;
    if (check.running === undefined && !trusted.has(check) && !suspects.has(check))
      check.alarm.move(soonMs(check.instance, policy));
  };

  const forget = (instance: Instance): void => {
    const check = checks.get(instance);
    if (check === undefined) return;
    check.forgotten = true;
    check.alarm.cancel();
    check.running?.abort();
    checks.delete(instance);
    trusted.delete(check);
    suspects.delete(check);
  };

  return {
    watch(instance, isTakenOver = false) {
      const { healthCheckUrl, healthCheck } = instance.document;
      const check = checks.get(instance);
      if (healthCheckUrl === null) forget(instance);
      else if (check === undefined) add(instance, healthCheckUrl, isTakenOver);
      else if (check.url !== healthCheckUrl || !sameJson(check.policy, healthCheck))
        replace(check, healthCheckUrl, healthCheck);
    },
    forget,
    async close() {
      closed = true;
      for (const { running: controller } of checks.values()) controller?.abort();
      await Promise.all(running);
    },
  };
};
