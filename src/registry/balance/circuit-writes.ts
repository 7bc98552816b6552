import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { Instance, Instances } from '../instance.ts';
import type { Schedule } from '../schedule.ts';

export type CircuitChange =
  | {
      readonly to: 'open';
      readonly reason: string;
      /** RFC 3339. */
      readonly until: string;
    }
  | { readonly to: 'closed'; readonly reason: string };

/** Writes a circuit to the log. Must settle within its own time limit; a rejection is tried again. */
export type ChangeCircuit = (id: string, change: CircuitChange) => Promise<void>;

export type CircuitWrites = {
  /** Of an instance's changes that wait the last one counts. */
  write(instance: Instance, change: CircuitChange): void;
  forget(instance: Instance): void;
  /** Resolves when nothing is being written any more; starts nothing new. */
  close(): Promise<void>;
};

export type CircuitWritesOptions = {
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly instances: Instances;
  readonly changeCircuit: ChangeCircuit;
};

const maxWriting = 16;
const firstRetryMs = 1_000;
const lastRetryMs = 30_000;

/** Turns circuits into events: one write at a time per instance, 16 in all, failed ones again after 1 … 30 s. */
export const createCircuitWrites = (options: CircuitWritesOptions): CircuitWrites => {
  const { clock, schedule, logger, instances, changeCircuit } = options;
  const wanted = new Map<Instance, CircuitChange>();
  const writing = new Map<Instance, Promise<void>>();
  /** Instances whose last write failed. */
  const failing = new Map<Instance, { readonly retryMs: number; waits: boolean }>();
  let closed = false;

  const failed = (instance: Instance, change: CircuitChange, error: unknown): void => {
    if (instances.byId(instance.id) !== instance) return;
    // What was wanted meanwhile replaces it.
    if (!wanted.has(instance)) wanted.set(instance, change);
    const retryMs = Math.min((failing.get(instance)?.retryMs ?? firstRetryMs / 2) * 2, lastRetryMs);
    logger.warn({ err: error, service: instance.id, retryMs }, 'a change of a circuit could not be written');
    const failure = { retryMs, waits: true };
    failing.set(instance, failure);
    schedule.alarm(clock.now() + retryMs, () => {
      failure.waits = false;
      start(instance);
    });
  };

  const run = async (instance: Instance, change: CircuitChange): Promise<void> => {
    try {
      await changeCircuit(instance.id, change);
      failing.delete(instance);
    } catch (error) {
      failed(instance, change, error);
    }
    writing.delete(instance);
    for (const next of wanted.keys()) {
      if (writing.size >= maxWriting) break;
      start(next);
    }
  };

  const start = (instance: Instance): void => {
    const change = wanted.get(instance);
    if (closed || change === undefined || writing.size >= maxWriting || writing.has(instance)) return;
    if (failing.get(instance)?.waits) return;
    wanted.delete(instance);
    writing.set(instance, run(instance, change));
  };

  return {
    write(instance, change) {
      wanted.set(instance, change);
      start(instance);
    },
    forget(instance) {
      wanted.delete(instance);
      failing.delete(instance);
    },
    async close() {
      closed = true;
      await Promise.all(writing.values());
    },
  };
};
