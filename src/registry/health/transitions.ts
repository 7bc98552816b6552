import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { type Instance, type Instances, statusOf } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';
import { type Verdict, verdictOf } from './liveness.ts';

/** Writes a status to the log. Must settle within its own time limit; a rejection is tried again. */
export type ChangeStatus = (id: string, verdict: Verdict) => Promise<void>;

export type Transitions = {
  /** Writes the instance's status if the log has another one. Resolves when that was tried; never rejects. */
  settle(instance: Instance): Promise<void>;
  /** Resolves when nothing is being written any more; starts nothing new. */
  close(): Promise<void>;
};

export type TransitionsOptions = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly schedule: Schedule;
  readonly instances: Instances;
  readonly changeStatus: ChangeStatus;
};

const maxWriting = 16;
const firstRetryMs = 1_000;
const lastRetryMs = 30_000;

/** Turns what was seen into events: one write at a time per instance, few at a time in all, failed ones again later. */
export const createTransitions = (options: TransitionsOptions): Transitions => {
  const { clock, logger, schedule, instances, changeStatus } = options;
  const writing = new Map<Instance, Promise<void>>();
  const retries = new Map<
    Instance,
    { readonly alarm: Alarm; readonly delayMs: number; readonly atMs: number }
  >();
  const waiting: (() => void)[] = [];
  let slots = maxWriting;
  let closed = false;

  const takeSlot = async (): Promise<void> => {
    if (slots > 0) slots--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const releaseSlot = (): void => {
    const next = waiting.shift();
    if (next === undefined) slots++;
    else next();
  };

  const isOpen = (instance: Instance): boolean =>
    !closed &&
    instances.byId(instance.id) === instance &&
    statusOf(instance) !== (instance.written ?? instance.document.status);

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
    await takeSlot();
    try {
      while (isOpen(instance)) {
        const verdict = verdictOf(instance.document, instance.evidence);
        // Before it is written, because the document may come back before the answer does.
        instance.written = verdict.status;
        await changeStatus(instance.id, verdict);
        retries.delete(instance);
      }
    } catch (error) {
      instance.written = null;
      failed(instance, error);
    } finally {
      releaseSlot();
      writing.delete(instance);
    }
  };

  const settle = (instance: Instance): Promise<void> => {
    const running = writing.get(instance);
    if (running !== undefined) return running;
    if (!isOpen(instance)) {
      retries.get(instance)?.alarm.cancel();
      retries.delete(instance);
      return Promise.resolve();
    }
    if (clock.now() < (retries.get(instance)?.atMs ?? 0)) return Promise.resolve();
    const started = write(instance);
    writing.set(instance, started);
    return started;
  };

  return {
    settle,
    async close() {
      closed = true;
      await Promise.all(writing.values());
    },
  };
};
