import { performance } from 'node:perf_hooks';
import { LogError } from '../event-log.ts';
import { createGroup, type Group, isEmptyGroup, sealGroup, type Waiter } from './group.ts';
import type { Records } from './records.ts';

/** Groups commits: what arrives while one transaction is written goes together into the next. */
export type Committer = {
  /** The group that takes what arrives now; after adding to it, call `schedule`. */
  open(): Group;
  schedule(): void;
  /** Tells `waiter` once everything up to `sequence` is durable; at once when it is. */
  whenDurable(sequence: number, waiter: Waiter): void;
  /** Newest durable sequence. */
  readonly durable: number;
  /** Bytes that are accepted and not yet durable. */
  readonly pendingBytes: number;
  /** Set once a write failed; nothing is accepted or acknowledged afterwards. */
  readonly failure: LogError | undefined;
  /** Rejects everything that is pending, tells `onFailure`, and never writes again. */
  fail(error: LogError): void;
  /** Resolves when nothing is pending any more. */
  idle(): Promise<void>;
};

export type CommitterOptions = {
  readonly records: Records;
  /** Called in order, before the group's waiters are told. */
  readonly onDurable: (group: Group) => void;
  readonly onFailure: (error: LogError) => void;
  /** Called once per group before it is written; resolves when the index has room for it. */
  readonly beforeWrite: () => Promise<void> | undefined;
};

const maxGroupBytes = 8 * 2 ** 20;
const smoothing = 0.2;
/** Fewer waiters than this are cheaper told at once. */
const minSplit = 32;

const tell = (waiter: Waiter | undefined): void => waiter?.resolve(waiter.result);

const smooth = (average: number, sample: number): number =>
  average === 0 ? sample : average + (sample - average) * smoothing;

export const createCommitter = (options: CommitterOptions): Committer => {
  const { records } = options;
  let running: Group | undefined;
  let next = createGroup(records.last.sequence);
  const queued: Group[] = [];
  let durable = records.last.sequence;
  let failure: LogError | undefined;
  let scheduled = false;
  let startedAt = 0;
  let commitMs = 0;
  let turnMsPerWaiter = 0;
  const idlers: (() => void)[] = [];

  const pendingGroups = (): Group[] => [...(running === undefined ? [] : [running]), ...queued, next];

  const fail = (error: LogError): void => {
    if (failure !== undefined) return;
    failure = error;
    for (const group of pendingGroups()) {
      for (const waiter of group.waiters.splice(0)) waiter.reject(error);
    }
    running = undefined;
    queued.length = 0;
    next = createGroup(durable);
    for (const idler of idlers.splice(0)) idler();
    options.onFailure(error);
  };

  const settle = (waiters: readonly Waiter[], from: number, to: number): void => {
    for (let index = from; index < to; index++) tell(waiters[index]);
  };

  /** Runs when those who were told have come back with what they do next. */
  const afterTurn = (told: number, then: () => void): void => {
    const toldAt = performance.now();
    setImmediate(() => {
      if (told > 0) turnMsPerWaiter = smooth(turnMsPerWaiter, (performance.now() - toldAt) / told);
      then();
    });
  };

  const finish = (group: Group): void => {
    if (failure !== undefined) return;
    commitMs = smooth(commitMs, performance.now() - startedAt);
    running = undefined;
    durable = group.lastSequence;
    options.onDurable(group);
    const { waiters } = group;
    const told = waiters.length;
    const inFlight = told + next.waiters.length;
    // While the disk is faster than this thread, keep both busy: one half is encoded while the other is written.
    const pipelined = told >= minSplit && turnMsPerWaiter * inFlight > commitMs;
    if (pipelined && next.waiters.length * 2 < told) {
      const half = told >>> 1;
      scheduled = true;
      settle(waiters, 0, half);
      afterTurn(half, () => {
        scheduled = false;
        pump();
        onceStarted(() => settle(waiters, half, told));
      });
      return;
    }
    if (pipelined || queued.length > 0) pump();
    onceStarted(() => {
      settle(waiters, 0, told);
      scheduled = running === undefined;
      afterTurn(told, () => {
        if (!scheduled) return;
        scheduled = false;
        pump();
      });
    });
  };

  /**
   * lmdb begins to write in the turn behind the one that asked for it: whoever is told before then does its next work
   * first, and the disk waits for this thread.
   */
  const onceStarted = (then: () => void): void => {
    if (running === undefined) then();
    else setImmediate(then);
  };

  const write = async (group: Group): Promise<void> => {
    try {
      sealGroup(group, records.source);
      startedAt = performance.now();
      const room = options.beforeWrite();
      if (room !== undefined) await room;
      if (failure !== undefined) return;
      await records.commit({
        records: [...group.rewrites, ...group.records.map(({ key, buffer }) => [key, buffer] as const)],
        marks: [...group.marks],
      });
      finish(group);
    } catch (error) {
      fail(
        error instanceof LogError
          ? error
          : new LogError('log_failed', `the event log in ${records.source.directory} failed`, {}, error),
      );
    }
  };

  const pump = (): void => {
    if (running !== undefined || failure !== undefined) return;
    const group = queued.shift() ?? next;
    if (group === next) {
      if (isEmptyGroup(group)) {
        for (const idler of idlers.splice(0)) idler();
        return;
      }
      next = createGroup(group.lastSequence);
    }
    running = group;
    void write(group);
  };

  return {
    open() {
      if (next.bytes >= maxGroupBytes) {
        queued.push(next);
        next = createGroup(next.lastSequence);
      }
      return next;
    },
    schedule() {
      if (scheduled || running !== undefined) return;
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        pump();
      });
    },
    whenDurable(sequence, waiter) {
      if (failure !== undefined) waiter.reject(failure);
      else if (sequence <= durable) tell(waiter);
      else
        pendingGroups()
          .find((group) => group.lastSequence >= sequence)
          ?.waiters.push(waiter);
    },
    get durable() {
      return durable;
    },
    get pendingBytes() {
      let bytes = next.bytes + (running?.bytes ?? 0);
      for (const group of queued) bytes += group.bytes;
      return bytes;
    },
    get failure() {
      return failure;
    },
    fail,
    idle() {
      if (failure !== undefined || (running === undefined && queued.length === 0 && isEmptyGroup(next))) {
        return Promise.resolve();
      }
      return new Promise((resolve) => {
        idlers.push(resolve);
      });
    },
  };
};
