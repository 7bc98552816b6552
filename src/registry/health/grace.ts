import type { Clock } from '../../clock.ts';
import type { Instance } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';

/** Time that an instance has to open another WebSocket. */
export type Grace = {
  /** From now on; begun anew when it is running. */
  begin(instance: Instance): void;
  end(instance: Instance): void;
};

/** A client that lost its connection is back within it, also when the hub was restarted. */
export const socketGraceMs = 5_000;

export const createGrace = (
  clock: Clock,
  schedule: Schedule,
  onOver: (instance: Instance) => void,
): Grace => {
  const alarms = new Map<Instance, Alarm>();
  return {
    begin(instance) {
      alarms.get(instance)?.cancel();
      const over = (): void => {
        alarms.delete(instance);
        onOver(instance);
      };
      alarms.set(instance, schedule.alarm(clock.now() + socketGraceMs, over));
    },
    end(instance) {
      alarms.get(instance)?.cancel();
      alarms.delete(instance);
    },
  };
};
