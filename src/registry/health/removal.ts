import { isDown } from '../../../domain/service/status.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { type Instance, type Instances, statusOf } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';
import { socketGraceMs } from './grace.ts';
import type { Slots } from './slots.ts';

/**
 * Takes an instance out of the registry. Must settle within its own time limit; a rejection is tried again.
 *
 * @param revision that the decision was made on: an instance that changed since is left.
 */
export type Deregister = (id: string, reason: string, revision: number) => Promise<void>;

/** Deregisters instances that were offline or unhealthy for their `removeAfterSec`. */
export type Removal = {
  /** An instance that was added. */
  watch(instance: Instance): void;
  /** One whose document has changed. */
  changed(instance: Instance): void;
  forget(instance: Instance): void;
};

export type RemovalOptions = {
  readonly clock: Clock;
  /** Milliseconds since 1970, as the log's times are. */
  readonly timeOfDay: () => number;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly instances: Instances;
  readonly slots: Slots;
  readonly deregister: Deregister;
};

const retryMs = 30_000;
const maxReasonLength = 512;

/** What an instance is given to show that it lives after a start of the hub: a TTL, two checks, or time to reconnect. */
const respiteMs = ({ ttlSec, healthCheckUrl, healthCheck, reach }: ServiceDocument): number =>
  Math.max(
    (ttlSec ?? 0) * 1_000,
    healthCheckUrl === null ? 0 : 2.2 * healthCheck.intervalMs,
    reach === 'socket' ? socketGraceMs : 0,
  );

/** What is left of its `removeAfterSec`; undefined when it stays. A clock that was set back makes it no longer than that. */
const leftMs = (
  { status, statusSince, removeAfterSec }: ServiceDocument,
  nowMs: number,
): number | undefined => {
  if (removeAfterSec === null || !isDown(status)) return undefined;
  const allMs = removeAfterSec * 1_000;
  return Math.min(Math.max(Date.parse(statusSince) + allMs - nowMs, 0), allMs);
};

export const createRemoval = (options: RemovalOptions): Removal => {
  const { clock, timeOfDay, schedule, logger, instances, slots, deregister } = options;
  /** Of those that are down. */
  const alarms = new Map<Instance, { readonly alarm: Alarm; readonly notBeforeMs: number }>();

  const forget = (instance: Instance): void => {
    alarms.get(instance)?.alarm.cancel();
    alarms.delete(instance);
  };

  const again = (instance: Instance): void => alarms.get(instance)?.alarm.move(clock.now() + retryMs);

  const remove = async (instance: Instance): Promise<void> => {
    const { document } = instance;
    const isDue = leftMs(document, timeOfDay()) === 0 && isDown(statusOf(instance));
    if (!alarms.has(instance) || instances.byId(instance.id) !== instance) return;
    if (!isDue) {
      // Good again, but the log could not take it yet: what it is then decides.
      again(instance);
      return;
    }
    const reason = `${document.status} for ${document.removeAfterSec} s: ${document.statusReason}`;
    try {
      await deregister(instance.id, reason.slice(0, maxReasonLength), document.revision);
    } catch (error) {
      logger.warn({ err: error, service: instance.id, retryMs }, 'a service could not be removed');
    }
    // Of one that was removed this is no longer known.
    again(instance);
  };

  const plan = (instance: Instance, notBeforeMs: number): void => {
    const left = leftMs(instance.document, timeOfDay());
    if (left === undefined) {
      forget(instance);
      return;
    }
    const atMs = Math.max(clock.now() + left, notBeforeMs);
    const known = alarms.get(instance);
    if (known === undefined) {
      const ring = (): void => void slots.run(() => remove(instance));
      alarms.set(instance, { alarm: schedule.alarm(atMs, ring), notBeforeMs });
    } else {
      known.alarm.move(atMs);
    }
  };

  return {
    watch: (instance) => plan(instance, clock.now() + respiteMs(instance.document)),
    changed: (instance) => plan(instance, alarms.get(instance)?.notBeforeMs ?? 0),
    forget,
  };
};
