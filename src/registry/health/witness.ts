import type { Clock } from '../../clock.ts';
import type { Instance } from '../instance.ts';

/**
 * A node that hears the heartbeats of an instance which another one has declared offline, as it does not hear them, says
 * so: what it has heard itself is better than what the other has not. Once per TTL, as the two may differ for long.
 */
export type Witness = {
  /** The instance was declared silent, and this node has not contradicted within its TTL. */
  maySpeak(instance: Instance): boolean;
  /** Lets `write` write the instance's status though another node judges it. */
  speak(instance: Instance, write: () => Promise<void>): Promise<void>;
  speaks(instance: Instance): boolean;
  forget(instance: Instance): void;
};

export const createWitness = (clock: Clock): Witness => {
  const speaking = new Set<Instance>();
  const spokenMs = new Map<Instance, number>();
  return {
    maySpeak(instance) {
      const { status, statusCause, ttlSec } = instance.document;
      if (status !== 'offline' || statusCause !== 'ttl' || ttlSec === null) return false;
      const lastMs = spokenMs.get(instance);
      return lastMs === undefined || clock.now() >= lastMs + ttlSec * 1_000;
    },
    async speak(instance, write) {
      spokenMs.set(instance, clock.now());
      speaking.add(instance);
      try {
        await write();
      } finally {
        speaking.delete(instance);
      }
    },
    speaks: (instance) => speaking.has(instance),
    forget(instance) {
      speaking.delete(instance);
      spokenMs.delete(instance);
    },
  };
};
