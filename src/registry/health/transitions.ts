import { isNews } from '../../../domain/service/status.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { Instance, Instances } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';
import type { Slots } from './slots.ts';
import { findingOf, type Verdict, verdictOf } from './verdict.ts';

/** Writes a status to the log. Must settle within its own time limit; a rejection is tried again. */
export type ChangeStatus = (id: string, verdict: Verdict) => Promise<void>;

export type Transitions = {
  /** Writes the instance's status if the log has another one. Resolves when that was tried; never rejects. */
  settle(instance: Instance): Promise<void>;
  /** What `settle` has begun for the instance and not ended. */
  pending(instance: Instance): Promise<void>;
  /** Nothing is written any more but what is under way. */
  stop(): void;
};

export type TransitionsOptions = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly schedule: Schedule;
  readonly instances: Instances;
  readonly slots: Slots;
  readonly changeStatus: ChangeStatus;
  /** False for an instance that others judge. */
  readonly mayWrite: (instance: Instance) => boolean;
};

const firstRetryMs = 1_000;
const lastRetryMs = 30_000;
const nothingToDo: Promise<void> = Promise.resolve();

/** Turns what was seen into events: one write at a time per instance, failed ones again later. */
export const createTransitions = (options: TransitionsOptions): Transitions => {
  const { clock, logger, schedule, instances, slots, changeStatus, mayWrite } = options;
  const writing = new Map<Instance, Promise<void>>();
  const retries = new Map<
    Instance,
    { readonly alarm: Alarm; readonly delayMs: number; readonly atMs: number }
  >();
  let closed = false;

  const isOpen = (instance: Instance): boolean => {
    if (closed || instances.byId(instance.id) !== instance || !mayWrite(instance)) return false;
    const { document, evidence, written } = instance;
    const recorded = written ?? { status: document.status, cause: document.statusCause };
    return isNews(findingOf(document, evidence), recorded);
  };

  const failed = (instance: Instance, error: unknown): void => {
    const delayMs = Math.min((retries.get(instance)?.delayMs ?? firstRetryMs / 2) * 2, lastRetryMs);
    retries.get(instance)?.alarm.cancel();
    logger.warn(
      { err: error, service: instance.id, retryMs: delayMs },
      'a change of status could not be written',
    );
    const atMs = clock.now() + delayMs;
    const alarm = schedule.alarm(atMs, () => {
      settle(instance);
    });
    retries.set(instance, { alarm, delayMs, atMs });
  };

  const write = async (instance: Instance): Promise<void> => {
    try {
      while (isOpen(instance)) {
        const verdict = verdictOf(instance.document, instance.evidence);
        // Before it is written, because the document may come back before the answer does.
        instance.written = verdict;
        await changeStatus(instance.id, verdict);
        retries.delete(instance);
      }
    } catch (error) {
      instance.written = null;
      failed(instance, error);
    } finally {
      writing.delete(instance);
    }
  };

  const settle = (instance: Instance): Promise<void> => {
    const running = writing.get(instance);
    if (running !== undefined) return running;
    if (!isOpen(instance)) {
      retries.get(instance)?.alarm.cancel();
      retries.delete(instance);
      return nothingToDo;
    }
    if (clock.now() < (retries.get(instance)?.atMs ?? 0)) return nothingToDo;
    const started = slots.run(() => write(instance));
    writing.set(instance, started);
    return started;
  };

  return {
    settle,
    pending: (instance) => writing.get(instance) ?? nothingToDo,
    stop() {
      closed = true;
    },
  };
};
