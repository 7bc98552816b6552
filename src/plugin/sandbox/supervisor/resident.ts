import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../clock.ts';
import type { ProcessGuest, ProcessHost } from '../process.ts';
import type { CallAnswer, Guest, GuestHost, GuestMetrics, Program, Started } from '../sandbox.ts';
import type { Child } from './children.ts';
import type { Standing } from './standing.ts';
import { createWaiting, failed, type Waiting } from './waiting.ts';

/** One load of a guest into a process. Once it is over nothing of it reaches the host any more. */
export type Life = {
  readonly child: Child<Resident>;
  guest: ProcessGuest | undefined;
  over: boolean;
};

/**
 * A guest over its lives. `starting`: `initialize` has never succeeded. `away`: is being restarted, or waits for that.
 * `stopping`: its life may still be under way.
 */
export type Resident = {
  readonly program: Program;
  readonly host: GuestHost;
  readonly standing: Standing;
  readonly waiting: Waiting;
  readonly settleStart: (started: Started) => void;
  status: 'starting' | 'away' | 'running' | 'stopping' | 'ended';
  life: Life | undefined;
  /** Lives that ended before the first `initialize` had, through no fault of its own; and attempts to get a process in a row. */
  failedStarts: number;
  failedProcesses: number;
  restarts: number;
  cancelRestart: () => void;
  /** Of the first `stop`. */
  stopped: Promise<void> | undefined;
  /** Of the lives before. */
  past: { readonly calls: number; readonly wishes: number; readonly cpuMs: number };
};

export const createResident = (
  program: Program,
  host: GuestHost,
  standing: Standing,
  clock: Clock,
  settleStart: (started: Started) => void,
): Resident => ({
  program,
  host,
  standing,
  waiting: createWaiting(clock),
  settleStart,
  status: 'starting',
  life: undefined,
  failedStarts: 0,
  failedProcesses: 0,
  restarts: 0,
  cancelRestart: () => {},
  stopped: undefined,
  past: { calls: 0, wishes: 0, cpuMs: 0 },
});

/** What the process tells of one life, as long as that is not over. */
export const hostOf = (resident: Resident, life: Life): ProcessHost => ({
  wish: (wish) =>
    life.over
      ? Promise.resolve({ ok: false, code: 'gone', message: 'The plugin that asked is no longer there' })
      : resident.host.wish(wish),
  log(level, message, fields) {
    if (!life.over) resident.host.log(level, message, fields);
  },
  limited(limit, detail) {
    if (!life.over) resident.host.limited(limit, detail);
  },
});

/** Nothing of this life is heard from here on; what it has used is kept. */
export const endLife = (resident: Resident): void => {
  const { life } = resident;
  if (life === undefined) return;
  life.over = true;
  resident.life = undefined;
  if (life.guest === undefined) return;
  const { calls, wishes, cpuMs } = life.guest.metrics();
  const { past } = resident;
  resident.past = { calls: past.calls + calls, wishes: past.wishes + wishes, cpuMs: past.cpuMs + cpuMs };
};

/** The end of a process is known here a moment after its calls are answered: who calls again at once is to wait. */
const afterDown = (answer: CallAnswer): CallAnswer | Promise<CallAnswer> =>
  answer.ok || answer.fault !== 'gone' ? answer : nextTurn(answer);

const callOf =
  (resident: Resident): Guest['call'] =>
  (target, input, timeoutMs): Promise<CallAnswer> => {
    const { status, life, waiting } = resident;
    if (status === 'running' && life?.guest !== undefined) {
      return life.guest.call(target, input, timeoutMs).then(afterDown);
    }
    if (status === 'starting' || status === 'away') return waiting.add(target, input, timeoutMs);
    return Promise.resolve(failed('gone', 'The plugin does not run any more'));
  };

const metricsOf = ({ life, past, restarts }: Resident): GuestMetrics => {
  const now = life?.guest?.metrics();
  return {
    heapBytes: now?.heapBytes ?? 0,
    cpuMs: past.cpuMs + (now?.cpuMs ?? 0),
    calls: past.calls + (now?.calls ?? 0),
    wishes: past.wishes + (now?.wishes ?? 0),
    restarts,
    pid: now?.pid ?? null,
  };
};

/** The handle that the host keeps. */
export const guestOf = (resident: Resident, stop: (graceMs: number) => Promise<void>): Guest => ({
  program: resident.program,
  call: callOf(resident),
  metrics: () => metricsOf(resident),
  stop,
});
