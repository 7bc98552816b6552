import type { Dispatcher } from 'undici';
import type { Clock } from '../../clock.ts';
import type { Instance } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';
import { type ProbeResult, probe } from './probe.ts';

export type Probing = {
  /** Probes the instance from now on, soon for the first time; a second call changes nothing. */
  watch(instance: Instance): void;
  forget(instance: Instance): void;
  /** Aborts what runs and resolves when it has ended. */
  close(): Promise<void>;
};

export type ProbingOptions = {
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly dispatcher: Dispatcher;
  readonly random: () => number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** What came of a probe of an instance that is still watched. */
  readonly onResult: (instance: Instance, result: ProbeResult) => void;
};

const maxRunning = 32;
const jitter = 0.1;
/** The first probe comes within this time, so that a start with many instances is no burst. */
const firstWithinMs = 500;

/** Health checks of all instances that have one: each once per interval ± 10 %, at most 32 at a time. */
export const createProbing = (options: ProbingOptions): Probing => {
  const { clock, schedule, dispatcher, random, intervalMs, timeoutMs } = options;
  const alarms = new Map<Instance, Alarm>();
  const due = new Set<Instance>();
  const running = new Set<Promise<void>>();
  const closing = new AbortController();

  const run = async (instance: Instance, url: string): Promise<void> => {
    const result = await probe(url, { dispatcher, timeoutMs, signal: closing.signal });
    const alarm = alarms.get(instance);
    if (alarm === undefined || closing.signal.aborted) return;
    alarm.move(clock.now() + intervalMs * (1 + jitter * (2 * random() - 1)));
    // A check that was given another address meanwhile says nothing about the new one.
    if (instance.document.healthCheckUrl === url) options.onResult(instance, result);
  };

  const next = (): void => {
    for (const instance of due) {
      if (running.size >= maxRunning || closing.signal.aborted) return;
      due.delete(instance);
      const url = instance.document.healthCheckUrl;
      if (url === null) continue;
      const started = run(instance, url).finally(() => {
        running.delete(started);
        next();
      });
      running.add(started);
    }
  };

  return {
    watch(instance) {
      if (alarms.has(instance)) return;
      const ring = (): void => {
        due.add(instance);
        next();
      };
      alarms.set(
        instance,
        schedule.alarm(clock.now() + random() * Math.min(firstWithinMs, intervalMs), ring),
      );
    },
    forget(instance) {
      alarms.get(instance)?.cancel();
      alarms.delete(instance);
      due.delete(instance);
    },
    async close() {
      closing.abort();
      due.clear();
      await Promise.all(running);
    },
  };
};
