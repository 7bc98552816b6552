import { setImmediate as nextTurn } from 'node:timers/promises';
import { BoundedMap } from '../../bounded-map.ts';
import { type Clock, steadyNow, systemClock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { Isolation, OpenSandboxProcess, ProcessExit } from './process.ts';
import type { Death, GuestHost, Program, Sandbox, Started } from './sandbox.ts';
import { blame, shareOut } from './supervisor/blame.ts';
import { type Child, createChildren, maxChildren } from './supervisor/children.ts';
import { createResident, endLife, guestOf, hostOf, type Life, type Resident } from './supervisor/resident.ts';
import { createStanding, memoryMs, type Suspicion } from './supervisor/standing.ts';

/** Strikes before a guest is given up. */
const maxStrikes = 3;
/** After the first strike, and after the second. */
const backoffsMs = [1_000, 4_000];
/** Between attempts to get a process: doubled from one to the next. */
const processRetryMs = { first: 1_000, most: 30_000 };
/** Of one guest, when others ended its process before `initialize` had succeeded for the first time. */
const maxFailedStarts = 3;
/** Processes that the suspects of one death are shared out to. */
const maxSuspectChildren = 4;
/** What `stop` may take beyond its grace before the process is ended by force. */
const stopMarginMs = 3_000;
const closeGraceMs = 1_000;
/** Names whose guests have been struck lately. */
const maxNames = 1_000;

export type SandboxOptions = {
  readonly isolation: Isolation;
  readonly openProcess: OpenSandboxProcess;
  /** Where plugins of the trust `trusted` run; it is closed with this one. */
  readonly trusted: Sandbox;
  readonly logger: Logger;
  /** For strikes, back-offs, idle processes and calls that wait. */
  readonly clock?: Clock;
};

/**
 * Places plugins in processes, restarts them when those die, and keeps the guilty from the others
 * (docs/adr/0048-supervising-plugins.md). Nothing starts before the first plugin.
 */
export const openSandbox = ({
  isolation,
  openProcess,
  trusted,
  logger,
  clock = { now: steadyNow, after: systemClock.after },
}: SandboxOptions): Sandbox => {
  const residents = new Set<Resident>();
  const struckUntilMs = new BoundedMap<string, number>(maxNames);
  let closed = false;

  const children = createChildren<Resident>({
    openProcess,
    isolation,
    logger,
    clock,
    onExit: (child, exit, members, blameless) => processEnded(child, exit, members, blameless),
  });

  const isOver = (resident: Resident): boolean =>
    resident.status === 'stopping' || resident.status === 'ended';

  /** It will not be called, restarted or told of any more. */
  const retire = (resident: Resident, death: Death, status: 'stopping' | 'ended'): void => {
    const { status: before } = resident;
    resident.status = status;
    resident.cancelRestart();
    residents.delete(resident);
    resident.waiting.refuse('gone', death.reason);
    if (before === 'starting') resident.settleStart({ ok: false, death });
    else if (status === 'ended') resident.host.ended(death);
  };

  /** It is loaded again by `restart`, now or after `delayMs`. */
  const away = (resident: Resident, death: Death): void => {
    if (resident.status === 'running') resident.status = 'away';
    resident.host.down(death);
  };

  const later = (resident: Resident, delayMs: number): void => {
    resident.cancelRestart = clock.after(delayMs, () => place(resident, children.placeFor(resident)));
  };

  const strike = (resident: Resident, death: Death): void => {
    const strikes = resident.standing.strike();
    if (death.cause !== 'initialize') struckUntilMs.set(resident.program.name, clock.now() + memoryMs);
    logger.warn({ plugin: resident.program.name, cause: death.cause, strikes }, death.reason);
    if (isOver(resident)) return;
    if (strikes >= maxStrikes || resident.status === 'starting') {
      retire(resident, death, 'ended');
    } else {
      away(resident, death);
      later(resident, backoffsMs[strikes - 1] ?? 0);
    }
  };

  /** Its process ended, and it is not known to be at fault. */
  const replace = (resident: Resident, death: Death, child: Child<Resident> | undefined): void => {
    if (resident.status === 'starting') {
      resident.failedStarts += 1;
      if (resident.failedStarts >= maxFailedStarts) {
        retire(resident, death, 'ended');
        return;
      }
    }
    away(resident, death);
    place(resident, child);
  };

  const withoutProcess = (resident: Resident, reason: string): void => {
    if (resident.status === 'starting') {
      retire(resident, { cause: 'crash', reason, culprit: false }, 'ended');
      return;
    }
    const { first, most } = processRetryMs;
    const delayMs = Math.min(most, first * 2 ** resident.failedProcesses);
    resident.failedProcesses += 1;
    logger.error({ plugin: resident.program.name, delayMs }, reason);
    later(resident, delayMs);
  };

  const place = (resident: Resident, child: Child<Resident> | undefined): void => {
    if (isOver(resident)) return;
    if (child === undefined) {
      withoutProcess(resident, `All ${maxChildren} processes of plugins are taken`);
      return;
    }
    children.enter(child, resident);
    const life: Life = { child, guest: undefined, over: false };
    resident.life = life;
    void live(resident, life);
  };

  /** From the load of one life to its end, as far as it ends alone: the end of its process is told to all at once. */
  const live = async (resident: Resident, life: Life): Promise<void> => {
    const { child } = life;
    const process = await child.opened;
    if (process instanceof Error) {
      if (life.over) return;
      endLife(resident);
      withoutProcess(resident, `No process could be started: ${process.message}`);
      return;
    }
    // The code may be long: other work of the hub comes in between.
    await child.turn();
    if (life.over) {
      children.leave(child, resident);
      return;
    }
    const loaded = await process.load(resident.program, hostOf(resident, life));
    if (loaded.ok && life.over) {
      await loaded.guest.stop(0);
      children.leave(child, resident);
      return;
    }
    if (loaded.ok) {
      life.guest = loaded.guest;
      ready(resident, loaded.guest.registered);
    }
    const death = loaded.ok ? await loaded.guest.ended : loaded.death;
    // Its process is ending, which is told of to all who stand in it when that is done.
    if (death?.cause === 'sibling') return;
    // The end of a process is told of before those of its guests are; what waits for it has run in the next turn.
    await nextTurn();
    children.leave(child, resident);
    if (life.over || child.gone()) return;
    endLife(resident);
    if (death !== null) strike(resident, { ...death, culprit: true });
  };

  const ready = (resident: Resident, registered: Parameters<GuestHost['ready']>[0]): void => {
    const first = resident.status === 'starting';
    resident.status = 'running';
    resident.failedProcesses = 0;
    if (!first) resident.restarts += 1;
    resident.host.ready(registered);
    const guest = guestOf(resident, (graceMs) => stop(resident, graceMs));
    if (first) resident.settleStart({ ok: true, guest });
    resident.waiting.release(guest.call);
  };

  const processEnded = (
    { trust }: Child<Resident>,
    exit: ProcessExit,
    members: readonly Resident[],
    blameless: boolean,
  ): void => {
    const cause = exit.cause === 'closed' ? 'crash' : exit.cause;
    const named = (names: readonly string[]) => members.filter(({ program }) => names.includes(program.name));
    const known = named(exit.culprits);
    // One that was stopped before: nobody who is left has anything to do with it.
    const elsewhere = exit.culprits.length > 0 && known.length === 0;
    const { culprits, suspects } =
      blameless || elsewhere
        ? { culprits: [], suspects: [] }
        : blame({
            members,
            culprits: known,
            running: named(exit.running),
            marked: ({ standing }) => standing.marked(),
          });
    const names = (of: readonly Resident[]): string => of.map(({ program }) => program.name).join(', ');
    logger.warn(
      { cause, culprits: exit.culprits.join(', '), suspects: names(suspects), plugins: members.length },
      `A process of plugins has ended: ${exit.reason}`,
    );
    for (const member of members) endLife(member);

    const suspicion: Suspicion = { untilMs: clock.now() + memoryMs, proven: undefined };
    for (const name of exit.culprits) struckUntilMs.set(name, clock.now() + memoryMs);
    for (const { standing } of culprits) standing.proven();
    for (const { standing } of suspects) standing.suspect(suspicion);
    const innocents = members.filter((member) => !culprits.includes(member) && !suspects.includes(member));
    if (culprits.length + suspects.length === 0 && !blameless && !elsewhere) {
      for (const { standing } of innocents) standing.mark();
    }

    const staying = (of: readonly Resident[]) => of.filter((member) => !isOver(member));
    const whose = culprits.length > 0 ? ` (${names(culprits)})` : '';
    const byOther: Death = {
      cause: 'sibling',
      reason: `The process that it shared with others has ended${whose}: ${exit.reason}`,
      culprit: false,
    };
    const together = staying(innocents);
    const successor = together.length > 0 ? children.fresh(trust) : undefined;
    for (const member of together) replace(member, byOther, successor);

    const suspected: Death = {
      cause,
      reason: `${exit.reason}; at fault is one of ${names(suspects)}`,
      culprit: false,
    };
    for (const group of shareOut(staying(suspects), maxSuspectChildren)) {
      const child = children.fresh(trust);
      for (const member of group) replace(member, suspected, child);
    }
    for (const member of staying(culprits)) strike(member, { cause, reason: exit.reason, culprit: true });
  };

  const stop = (resident: Resident, graceMs: number): Promise<void> => {
    if (resident.stopped === undefined && !isOver(resident)) {
      retire(resident, { cause: 'crash', reason: 'The plugin was stopped', culprit: false }, 'stopping');
      resident.stopped = takeDown(resident, graceMs);
    }
    return resident.stopped ?? Promise.resolve();
  };

  const takeDown = async (resident: Resident, graceMs: number): Promise<void> => {
    const { life } = resident;
    if (life?.guest === undefined) {
      // While it is being loaded: nobody hears of it, and it is disposed of as soon as it stands.
      endLife(resident);
      return;
    }
    const { child, guest } = life;
    const cancel = clock.after(graceMs + stopMarginMs, () =>
      child.kill(`${resident.program.name} did not stop`),
    );
    await guest.stop(graceMs);
    cancel();
    endLife(resident);
    children.leave(child, resident);
  };

  return {
    start(program: Program, host: GuestHost): Promise<Started> {
      if (closed) {
        return Promise.resolve({
          ok: false,
          death: { cause: 'crash', reason: 'The sandbox is closed', culprit: false },
        });
      }
      if (program.trust === 'trusted') return trusted.start(program, host);
      return new Promise((settle) => {
        const apart = (struckUntilMs.get(program.name) ?? 0) > clock.now();
        const resident = createResident(program, host, createStanding(clock.now, apart), clock, settle);
        residents.add(resident);
        place(resident, children.placeFor(resident));
      });
    },
    async close() {
      closed = true;
      await Promise.all([...residents].map((resident) => stop(resident, closeGraceMs)));
      await Promise.all([children.close(), trusted.close()]);
    },
  };
};
