import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../clock.ts';
import type { Logger } from '../../../logger.ts';
import type { Isolation, OpenSandboxProcess, ProcessExit, SandboxProcess } from '../process.ts';
import type { Program } from '../sandbox.ts';

/** Guests of one process. */
const maxMembers = 25;
/** Sum of the memory limits of the guests of one process. */
const maxMemoryMb = 1_024;
export const maxChildren = 64;
/** A process that nobody stands in ends after this time. */
const idleMs = 5_000;
/** Where one died the next may: another one stands by from then on, so that who loses its place there has one at once. */
const standBy = { afterMs: 500, forMs: 600_000, upTo: 32 };
const closeMs = 1_000;

export type SharedTrust = 'low' | 'normal';

/** What matters for a place: who it is, and whether it stands alone. */
export type Member = { readonly program: Program; readonly standing: { apart(): boolean } };

const isApart = ({ program, standing }: Member): boolean => program.alone || standing.apart();

/** One process, from before it runs until it has ended. */
export type Child<M extends Member> = {
  readonly trust: SharedTrust;
  /** Those who stand in it or are being loaded into it. */
  readonly members: ReadonlySet<M>;
  /** The process, or why there is none. */
  readonly opened: Promise<SandboxProcess | Error>;
  /** Resolves in a turn of the event loop that no other caller gets. */
  turn(): Promise<void>;
  /** True from when it has ended or is about to, of the hub's own will or not. */
  gone(): boolean;
  /** Ends it for a reason that none of its guests is blamed for. */
  kill(reason: string): void;
};

export type Children<M extends Member> = {
  /** One that takes the guest, started if need be; undefined: there are as many as there may be. */
  placeFor(member: M): Child<M> | undefined;
  /** One that nobody stands in. */
  fresh(trust: SharedTrust): Child<M> | undefined;
  enter(child: Child<M>, member: M): void;
  leave(child: Child<M>, member: M): void;
  /** Also those that are still being started. Resolves when none is left. */
  close(): Promise<void>;
};

export type ChildrenOptions<M extends Member> = {
  readonly openProcess: OpenSandboxProcess;
  readonly isolation: Isolation;
  readonly logger: Logger;
  readonly clock: Clock;
  /** A process ended unasked; `members` stood in it. `blameless`: it was ended by `kill`. */
  readonly onExit: (child: Child<M>, exit: ProcessExit, members: readonly M[], blameless: boolean) => void;
};

/** The processes that guests are placed in. Nothing starts before the first guest. */
export const createChildren = <M extends Member>(options: ChildrenOptions<M>): Children<M> => {
  const { openProcess, isolation, logger, clock } = options;
  type Open = Child<M> & {
    readonly members: Set<M>;
    readonly end: () => Promise<void>;
    cancelIdle: () => void;
  };
  const all = new Map<Child<M>, Open>();
  /** By trust: what cancels the start of the process that is to stand by. */
  const standingBy = new Map<SharedTrust, () => void>();
  let closed = false;

  const start = async (trust: SharedTrust): Promise<SandboxProcess | Error> => {
    try {
      return await openProcess({ isolation, jitless: trust === 'low', logger });
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  };

  const open = (trust: SharedTrust): Open => {
    let state: 'open' | 'closing' | 'killed' | 'ended' = 'open';
    const opened = start(trust);
    let lastTurn: Promise<void> = Promise.resolve();
    const child: Open = {
      trust,
      members: new Set(),
      opened,
      turn() {
        lastTurn = lastTurn.then(() => nextTurn());
        return lastTurn;
      },
      gone: () => state !== 'open',
      kill(reason) {
        if (state === 'open') state = 'killed';
        void opened.then((process) => process instanceof Error || process.kill(reason));
      },
      async end() {
        if (state === 'open') state = 'closing';
        child.cancelIdle();
        const process = await opened;
        if (process instanceof Error) return;
        // Its own end is bounded; what is left of it then is ended by force.
        const cancel = clock.after(closeMs * 3, () => process.kill('It did not close'));
        await process.close(closeMs);
        await process.exited;
        cancel();
      },
      cancelIdle: () => {},
    };
    all.set(child, child);
    void opened.then(async (process) => {
      if (process instanceof Error) {
        state = 'ended';
        all.delete(child);
        return;
      }
      const exit = await process.exited;
      const asked = state === 'closing';
      const blameless = state === 'killed';
      state = 'ended';
      child.cancelIdle();
      all.delete(child);
      const members = [...child.members];
      child.members.clear();
      if (asked) return;
      options.onExit(child, exit, members, blameless);
      // Not at once: those who lost their places start now.
      if (members.length > 0 && !closed) {
        standingBy.get(trust)?.();
        standingBy.set(
          trust,
          clock.after(standBy.afterMs, () => letStandBy(trust)),
        );
      }
    });
    return child;
  };

  const empty = (trust: SharedTrust): Open | undefined => {
    for (const child of all.values()) {
      if (child.members.size === 0 && child.trust === trust && !child.gone()) return child;
    }
    return undefined;
  };

  const letStandBy = (trust: SharedTrust): void => {
    standingBy.delete(trust);
    if (all.size >= standBy.upTo || empty(trust) !== undefined) return;
    const child = open(trust);
    child.cancelIdle = clock.after(standBy.forMs, () => void child.end());
  };

  const takes = (child: Open, member: M): boolean => {
    if (child.gone() || child.trust !== member.program.trust) return false;
    if (child.members.size === 0) return true;
    if (isApart(member) || child.members.size >= maxMembers) return false;
    let memoryMb = member.program.limits.memoryMb;
    for (const other of child.members) {
      const { program } = other;
      if (isApart(other) || program.name === member.program.name) return false;
      memoryMb += program.limits.memoryMb;
    }
    return memoryMb <= maxMemoryMb;
  };

  const fresh = (trust: SharedTrust): Open | undefined =>
    empty(trust) ?? (all.size < maxChildren ? open(trust) : undefined);

  return {
    placeFor(member) {
      for (const child of all.values()) if (takes(child, member)) return child;
      return member.program.trust === 'trusted' ? undefined : fresh(member.program.trust);
    },
    fresh,
    enter(child, member) {
      const entered = all.get(child);
      entered?.cancelIdle();
      entered?.members.add(member);
    },
    leave(child, member) {
      const left = all.get(child);
      if (left === undefined || !left.members.delete(member) || left.members.size > 0) return;
      left.cancelIdle = clock.after(idleMs, () => void left.end());
    },
    async close() {
      closed = true;
      for (const cancel of standingBy.values()) cancel();
      standingBy.clear();
      await Promise.all([...all.values()].map((child) => child.end()));
    },
  };
};
