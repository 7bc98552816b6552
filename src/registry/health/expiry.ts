import type { Clock } from '../../clock.ts';
import type { Instance } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';

/** Tells which instances have sent no heartbeat for their TTL. */
export type Expiry = {
  /** A whole TTL from now on, for an instance that was added, or whose document is another one. */
  restart(instance: Instance): void;
  /** A heartbeat has come. */
  heard(instance: Instance): void;
  forget(instance: Instance): void;
};

export type ExpiryOptions = {
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly onExpired: (instance: Instance) => void;
};

/**
 * A heartbeat moves no alarm: it is noted when it came, and an alarm that rings too early for that is set anew. So each
 * instance costs one alarm per TTL, however often it beats.
 */
export const createExpiry = ({ clock, schedule, onExpired }: ExpiryOptions): Expiry => {
  const alarms = new Map<Instance, Alarm>();
  const rung = new Set<Instance>();

  const dueMs = ({ heardMs, document }: Instance): number => heardMs + (document.ttlSec ?? 0) * 1_000;

  const ring = (instance: Instance): void => {
    const atMs = dueMs(instance);
    if (atMs > clock.now()) {
      alarms.get(instance)?.move(atMs);
      return;
    }
    rung.add(instance);
    onExpired(instance);
  };

  const set = (instance: Instance): void => {
    rung.delete(instance);
    const alarm = alarms.get(instance);
    if (alarm === undefined) {
      alarms.set(
        instance,
        schedule.alarm(dueMs(instance), () => ring(instance)),
      );
    } else {
      alarm.move(dueMs(instance));
    }
  };

  const forget = (instance: Instance): void => {
    alarms.get(instance)?.cancel();
    alarms.delete(instance);
    rung.delete(instance);
  };

  return {
    restart(instance) {
      instance.heardMs = clock.now();
      if (instance.document.ttlSec === null) forget(instance);
      else set(instance);
    },
    heard(instance) {
      instance.heardMs = clock.now();
      if (rung.has(instance)) set(instance);
    },
    forget,
  };
};
