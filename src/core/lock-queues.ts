import { type Clock, systemClock } from '../clock.ts';
import { fault, ok, type Problem, ProblemError, problem, type Result } from '../errors.ts';

/** Who waits at this node for which lock, in the order in which they came (docs/adr/0032-expiry-and-locks.md). */
export type LockQueues = {
  /**
   * Takes the last place of the key's queue. It must be left.
   *
   * @param subject who waits: one of them must not take all places.
   * @returns `overloaded` at a bound, `shutting_down` once closed.
   */
  enter(key: string, subject: string, waitMs: number, signal: AbortSignal | undefined): Result<Place>;
  /** Nobody holds the key, or something else happened to it: whoever is first tries. */
  freed(key: string): void;
  /** Why those who wait do so, in the words that they are told when their time is over. */
  held(key: string, why: Problem): void;
  /** Every first one tries. */
  freedAll(): void;
  isWaitedFor(key: string): boolean;
  /** Of all keys. */
  readonly size: number;
  /** Ends every wait with `shutting_down`. */
  close(): void;
};

export type Place = {
  /** Resolves when it is this one's turn to try, or with what to answer instead. Called again after each try. */
  turn(): Promise<'try' | Problem>;
  /** Whoever asked is gone: what it gets now nobody would release. */
  readonly isForsaken: boolean;
  leave(): void;
};

export type LockQueueLimits = {
  readonly maxWaiting: number;
  readonly maxWaitingPerKey: number;
  readonly maxWaitingPerSubject: number;
};

export const lockQueueLimits: LockQueueLimits = {
  maxWaiting: 10_000,
  maxWaitingPerKey: 1_000,
  maxWaitingPerSubject: 2_000,
};

/** In the order of arrival; the first one alone tries. */
type Queue = {
  readonly waiting: Set<Waiter>;
  /** The key may be free: nobody has tried since. */
  isFree: boolean;
  why: Problem;
};
type Waiter = { over: Problem | undefined; wake: () => void };

const asleep = (): void => {};
const shuttingDown = problem('shutting_down', 'The hub is shutting down');

export const createLockQueues = (
  { after }: Pick<Clock, 'after'> = systemClock,
  limits: LockQueueLimits = lockQueueLimits,
): LockQueues => {
  const queues = new Map<string, Queue>();
  const ofSubjects = new Map<string, number>();
  let size = 0;
  let closed = false;

  const first = ({ waiting }: Queue): Waiter | undefined => {
    for (const waiter of waiting) return waiter;
    return undefined;
  };

  const queueOf = (key: string): Queue => {
    let queue = queues.get(key);
    if (queue === undefined) {
      const why = problem('lock_held', `others wait for the lock ${key}, who came before`, { key });
      queue = { waiting: new Set(), isFree: true, why };
      queues.set(key, queue);
    }
    return queue;
  };

  const free = (queue: Queue): void => {
    queue.isFree = true;
    first(queue)?.wake();
  };

  const end = (waiter: Waiter, why: Problem): void => {
    waiter.over ??= why;
    waiter.wake();
  };

  const count = (subject: string, more: 1 | -1): void => {
    const now = (ofSubjects.get(subject) ?? 0) + more;
    size += more;
    if (now === 0) ofSubjects.delete(subject);
    else ofSubjects.set(subject, now);
  };

  const full = (key: string, subject: string): Problem | undefined => {
    if (closed) return shuttingDown;
    if (size >= limits.maxWaiting) return problem('overloaded', `${size} wait for locks already`);
    if ((ofSubjects.get(subject) ?? 0) >= limits.maxWaitingPerSubject)
      return problem('overloaded', `${limits.maxWaitingPerSubject} of this subject wait for locks already`);
    const ofKey = queues.get(key)?.waiting.size ?? 0;
    return ofKey >= limits.maxWaitingPerKey
      ? problem('overloaded', `${ofKey} wait for the lock ${key} already`, { key })
      : undefined;
  };

  return {
    enter(key, subject, waitMs, signal) {
      const refused = full(key, subject);
      if (refused !== undefined) return fault(refused);
      const queue = queueOf(key);
      const waiter: Waiter = { over: undefined, wake: asleep };
      queue.waiting.add(waiter);
      count(subject, 1);
      const cancel = after(waitMs, () => end(waiter, queue.why));
      const onAbort = (): void => {
        const reason: unknown = signal?.reason;
        end(waiter, reason instanceof ProblemError ? reason.problem : queue.why);
      };
      if (signal?.aborted === true) onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });

      return ok({
        turn: () =>
          new Promise((resolve) => {
            const go = (how: 'try' | Problem): void => {
              waiter.wake = asleep;
              resolve(how);
            };
            waiter.wake = () => {
              if (waiter.over !== undefined) go(waiter.over);
              else if (queue.isFree && first(queue) === waiter) {
                // What frees the key from here on, while this one tries, is not lost.
                queue.isFree = false;
                go('try');
              }
            };
            waiter.wake();
          }),
        get isForsaken() {
          return signal?.aborted === true && !(signal.reason instanceof ProblemError);
        },
        leave() {
          if (!queue.waiting.delete(waiter)) return;
          count(subject, -1);
          cancel();
          signal?.removeEventListener('abort', onAbort);
          if (queue.waiting.size === 0) queues.delete(key);
          else first(queue)?.wake();
        },
      });
    },

    freed(key) {
      const queue = queues.get(key);
      if (queue !== undefined) free(queue);
    },

    held(key, why) {
      const queue = queues.get(key);
      if (queue !== undefined) queue.why = why;
    },

    freedAll() {
      for (const queue of queues.values()) free(queue);
    },

    isWaitedFor: (key) => queues.has(key),

    get size() {
      return size;
    },

    close() {
      closed = true;
      for (const { waiting } of queues.values()) for (const waiter of waiting) end(waiter, shuttingDown);
    },
  };
};
