import type { PluginLimits } from '../../../../../domain/plugin/manifest.ts';
import type { LimitName } from '../../sandbox.ts';
import { type Budget, createBudget } from '../budget.ts';
import {
  type ChildCause,
  type ChildHead,
  type FatalCause,
  type GuestFault,
  guestFaults,
  type LogLevel,
  parseChildHead,
} from '../frames.ts';
import type { FrameWriter } from '../framing.ts';
import type { GuestSays } from '../guest/runtime.ts';
import { answerTo, hmacAnswer } from './answers.ts';
import { createCellTimers } from './cell-timers.ts';
import { type Doors, openIsolate, type Runtime } from './isolate.ts';
import { createWatch, type Watch } from './watch.ts';

/** One plugin in its isolate. */
export type Cell = {
  call(id: number, target: string, text: string): void;
  done(id: number, code: string, text: string): void;
  stop(): void;
  /** Without a word: the isolate is gone. */
  drop(): void;
  readonly watch: Watch;
  /** The parent's messages that are dealt with. */
  progress(): ChildHead;
  heapBytes(): number;
  measure(): void;
};

export type CellFacts = {
  readonly guest: number;
  readonly name: string;
  readonly version: string;
  readonly limits: PluginLimits;
  readonly code: string;
  readonly config: unknown;
};

export type CellHost = {
  readonly out: FrameWriter;
  readonly runtime: Runtime;
  /** The cell has something to say about how far it is. */
  moved(cell: Cell): void;
  gone(guest: number): void;
  /** V8 has lost the isolate: the process ends. */
  fatal(guest: number, cause: FatalCause, reason: string): void;
};

const initializeMs = 10_000;
const initializeCpuMs = 2_000;
const shutdownMs = 1_000;
/** Entries that were ended since they ran too long: so many of them in ten seconds are no accident. */
const maxOverruns = 5;
const overrunWindowMs = 10_000;
/** While an isolate waits for the child its time stands still: so often in one entry at most. */
const maxWaits = 5_000;
/** Said to the hub and not yet taken: what a plugin says beyond is refused. */
const maxPendingBytes = 8_388_608;
const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** The words of isolated-vm. */
const isTimeout = (message: string): boolean => message.startsWith('Script execution timed out');

/** By a clock on the wall; twice the processor time, since this process may have to wait for the machine. */
const entryMsOf = ({ cpuMsPerCall }: PluginLimits): number => 2 * cpuMsPerCall + 50;
/** Of one second, for what a plugin does of its own accord. */
const ownCpuMsPerSec = ({ cpuMsPerCall }: PluginLimits): number => Math.max(500, 2 * cpuMsPerCall);

/** Undefined when `text` names no hooks and resolvers: the plugin may have changed what the runtime makes it with. */
const loadedHead = (guest: number, text: string): ChildHead | undefined => {
  try {
    const { hooks, resolvers } = JSON.parse(text);
    return parseChildHead({ type: 'loaded', guest, hooks, resolvers });
  } catch {
    return undefined;
  }
};

export const createCell = (facts: CellFacts, host: CellHost): Cell => {
  const { guest, limits } = facts;
  const { out } = host;
  const budget: Budget = createBudget(limits, () => performance.now());
  const toldAt = new Map<LimitName, number>();
  let doors: Doors | undefined;
  let state: 'loading' | 'running' | 'stopping' | 'gone' = 'loading';
  /** Messages of the parent's, `load` being the first: taken, and not yet dealt with. */
  let taken = 0;
  let pending = 0;
  let heap = 0;
  let waits = 0;
  let overruns: number[] = [];
  let cpuWindow = { from: performance.now(), cpuMs: 0 };
  let clock: NodeJS.Timeout | undefined;

  const { isolate, opened } = openIsolate(
    facts,
    host.runtime,
    {
      tell: (kind, id, head, text) => heard(kind, id, head, text),
      ask: (what, text) => (allowed(budget.other(`${text}`.length)) ? answerTo(what, text) : ''),
      waits() {
        if (++waits <= maxWaits) return;
        die('flood', `it kept its process busy: ${maxWaits} lines, timers or questions in one go`);
      },
    },
    (message) => host.fatal(guest, 'memory', `V8 has lost its isolate: ${message}`.slice(0, 500)),
  );
  const entryMs = (): number => (state === 'loading' ? initializeCpuMs : entryMsOf(limits));
  const watch = createWatch(isolate, entryMs);

  const gone = (): boolean => state === 'gone';
  const drop = (): void => {
    if (gone()) return;
    state = 'gone';
    clearTimeout(clock);
    timers.clearAll();
    if (!isolate.isDisposed) isolate.dispose();
    host.gone(guest);
  };
  const die = (cause: ChildCause, reason: string): void => {
    if (gone()) return;
    out.send({ type: 'dead', guest, cause, reason: reason.slice(0, 1_500) } satisfies ChildHead);
    drop();
  };
  const allowed = (spent: ReturnType<Budget['other']>): boolean => {
    if (spent === 'flood') die('flood', 'it said more than ten times what its limits let it say');
    return spent === 'ok';
  };
  const limited = (limit: LimitName, detail: string): void => {
    const now = performance.now();
    if (now - (toldAt.get(limit) ?? Number.NEGATIVE_INFINITY) < 1_000) return;
    toldAt.set(limit, now);
    out.send({ type: 'limited', guest, limit } satisfies ChildHead, JSON.stringify(detail.slice(0, 500)));
  };
  const fault = (id: number, kind: GuestFault, message: string) =>
    out.send({ type: 'fault', guest, id, fault: kind } satisfies ChildHead, JSON.stringify(message));

  /** @returns undefined when it ran to its end. */
  const enter = async (
    run: (timeoutMs: number) => Promise<unknown>,
    what: string,
  ): Promise<'cpu' | 'threw' | undefined> => {
    if (gone()) return 'threw';
    watch.began();
    try {
      await run(entryMs());
      return undefined;
    } catch (error) {
      const message = error instanceof Error ? error.message : `${error}`;
      failed(message, what);
      return isTimeout(message) ? 'cpu' : 'threw';
    } finally {
      watch.ended();
      waits = 0;
      host.moved(cell);
    }
  };
  const failed = (message: string, what: string) => {
    if (gone()) return;
    if (isolate.isDisposed) return die('memory', `it went beyond its ${limits.memoryMb} MB (${what})`);
    if (!isTimeout(message)) return limited('cpuMsPerCall', `${what} failed: ${message}`);
    if (state === 'loading')
      return die('cpu', `initialize used more than ${initializeCpuMs} ms of processor`);
    limited('cpuMsPerCall', `${what} was ended after ${entryMs()} ms`);
    const now = performance.now();
    overruns = [...overruns.filter((at) => now - at < overrunWindowMs), now];
    if (overruns.length < maxOverruns) return;
    die(
      'cpu',
      `${maxOverruns} of its calls and timers were ended within ${overrunWindowMs / 1_000} s: ${what}`,
    );
  };

  const timers = createCellTimers(
    async (id) => {
      const alone = watch.running() === 0;
      const entered = enter(async (timeout) => doors?.timer.apply(undefined, [id], { timeout }), 'a timer');
      if (alone) {
        out.send(cell.progress());
        out.flush();
      }
      await entered;
    },
    () => {
      const now = performance.now();
      const leftMs = cpuWindow.from + 1_000 - now;
      if (leftMs <= 0) cpuWindow = { from: now, cpuMs: watch.cpuMs() };
      else if (watch.cpuMs() - cpuWindow.cpuMs > ownCpuMsPerSec(limits)) {
        limited('cpuMsPerCall', `its timers wait: it used ${ownCpuMsPerSec(limits)} ms within a second`);
        return leftMs;
      }
      return 0;
    },
  );

  const answered = (id: number, code: string, text: string) =>
    enter(
      async (timeout) => doors?.done.apply(undefined, [id, code, text], { timeout }),
      'what follows a call of the hub',
    );
  const deal = async (entered: Promise<unknown>): Promise<void> => {
    taken++;
    pending++;
    await entered;
    pending--;
  };
  const wish = (kind: 'wish' | 'hmac', id: number, operation: string, text: string) => {
    const bytes = Buffer.byteLength(text);
    if (!allowed(budget.wish(bytes))) {
      if (gone()) return;
      limited(
        'callsPerSec',
        `more than ${limits.callsPerSec} calls of the hub in a second, or too much in them`,
      );
      return void answered(id, 'limit_exceeded', `more than ${limits.callsPerSec} calls in a second`);
    }
    if (bytes > limits.messageBytes) {
      limited('messageBytes', `${operation} with ${bytes} bytes`);
      return void answered(id, 'limit_exceeded', `more than ${limits.messageBytes} bytes`);
    }
    if (kind === 'hmac') {
      const hex = hmacAnswer(text);
      return hex === undefined
        ? void answered(id, 'invalid', 'key and text are texts')
        : void answered(id, '', hex);
    }
    if (out.pendingBytes() > maxPendingBytes) {
      return void answered(id, 'limit_exceeded', 'the hub does not keep up');
    }
    out.send({ type: 'wish', guest, id, operation: operation.slice(0, 64) } satisfies ChildHead, text);
  };
  const log = (level: string, text: string) => {
    if (!allowed(budget.log(text.length))) {
      if (!gone()) limited('callsPerSec', 'lines of its log are left out');
      return;
    }
    const known = levels.find((one) => one === level);
    if (known === undefined || text.length > 2 * limits.messageBytes || out.pendingBytes() > maxPendingBytes)
      return;
    out.send({ type: 'log', guest, level: known } satisfies ChildHead, text);
  };
  const begun = (text: string) => {
    if (state !== 'loading') return;
    const head = loadedHead(guest, text);
    if (head === undefined) return die('initialize', 'it registers what has no name');
    clearTimeout(clock);
    state = 'running';
    out.send(head);
  };

  /** Whatever comes out of the isolate, the runtime's own or not. */
  const heard = (kind: GuestSays, id: number, head: string, text: string) => {
    if (gone() || !Number.isSafeInteger(id) || typeof head !== 'string' || typeof text !== 'string') return;
    switch (kind) {
      case 'answer': {
        const bytes = Buffer.byteLength(text);
        if (bytes <= limits.messageBytes) {
          return out.send({ type: 'answer', guest, id } satisfies ChildHead, text);
        }
        limited('messageBytes', `an answer of ${bytes} bytes`);
        return fault(id, 'too_large', `an answer of ${bytes} bytes`);
      }
      case 'fault': {
        const known = guestFaults.find((one) => one === head);
        if (known === 'too_large') limited('messageBytes', `an answer of ${text}`);
        return fault(id, known ?? 'threw', text.slice(0, 1_000));
      }
      case 'wish':
      case 'hmac':
        return wish(kind, id, head, text);
      case 'log':
        return log(head, text);
      case 'timer':
        if (!allowed(budget.other(0))) return;
        return Number(text) < 0 ? timers.clear(id) : timers.set(id, Number(text), head === 'again');
      case 'begun':
        return begun(text);
      case 'failed':
        return state === 'loading' ? die('initialize', text) : undefined;
      case 'stopped':
        return state === 'stopping' ? stopped() : undefined;
    }
  };
  const stopped = (): void => {
    if (gone()) return;
    out.send({ type: 'stopped', guest } satisfies ChildHead);
    drop();
  };

  const cell: Cell = {
    call(id, target, text) {
      const entered = enter(
        async (timeout) => doors?.call.apply(undefined, [id, target, text], { timeout }),
        target,
      ).then((failure) => {
        if (failure === undefined || gone()) return;
        fault(id, failure, failure === 'cpu' ? `ended after ${entryMs()} ms` : 'it broke off');
      });
      void deal(entered);
    },
    done(id, code, text) {
      void deal(answered(id, code, text));
    },
    stop() {
      if (gone()) return;
      state = 'stopping';
      clearTimeout(clock);
      clock = setTimeout(stopped, shutdownMs);
      void deal(enter(async (timeout) => doors?.stop.apply(undefined, [], { timeout }), 'shutdown'));
    },
    drop,
    watch,
    progress: () => ({
      type: 'progress',
      guest,
      done: taken - pending,
      busy: watch.running() > 0,
    }),
    heapBytes: () => heap,
    measure() {
      if (gone() || watch.running() > 0) return;
      void isolate.getHeapStatistics().then(
        (facts) => {
          heap = facts.used_heap_size + facts.externally_allocated_size;
        },
        () => {},
      );
    },
  };

  clock = setTimeout(
    () => die('initialize', `initialize did not end within ${initializeMs / 1_000} s`),
    initializeMs,
  );
  const load = async (): Promise<void> => {
    watch.began();
    try {
      doors = await opened;
      await doors.begin(initializeCpuMs);
    } catch (error) {
      const message = error instanceof Error ? error.message : `${error}`;
      if (isolate.isDisposed || isTimeout(message)) failed(message, 'initialize');
      else die('initialize', message);
    } finally {
      watch.ended();
      host.moved(cell);
    }
  };
  void deal(load());
  return cell;
};
