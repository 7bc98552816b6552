import type { Json } from '../../../domain/event.ts';
import type { Logger } from '../../logger.ts';
import type { CallAnswer, CallTarget, Death, GuestHost, GuestMetrics, Program } from './sandbox.ts';

/** `auto`: under bubblewrap where that works; `bubblewrap`: so or not at all; `process`: never. */
export type Isolation = 'auto' | 'bubblewrap' | 'process';

export type SandboxProcessOptions = {
  readonly isolation: Isolation;
  /** No JIT: for plugins of low trust. All plugins of a process are of one kind. */
  readonly jitless: boolean;
  readonly logger: Logger;
};

/** What a guest in a process needs of its host; the rest of a `GuestHost` is the supervisor's to tell. */
export type ProcessHost = Pick<GuestHost, 'wish' | 'log' | 'limited'>;

/** A plugin in an isolate of its own in one process; it ends with the process, or alone. */
export type ProcessGuest = {
  readonly program: Program;
  readonly registered: { readonly hooks: readonly string[]; readonly resolvers: readonly string[] };
  /** Never rejects. `gone` as soon as the guest or its process has ended. */
  call(target: CallTarget, input: Json, timeoutMs: number): Promise<CallAnswer>;
  metrics(): Omit<GuestMetrics, 'restarts'>;
  /** Calls under way may end within `graceMs`, then `shutdown()` (1 s at most), then the isolate is disposed of. */
  stop(graceMs: number): Promise<void>;
  /** Resolves when it is no longer there: null after `stop`, else why. With its process, it is after `SandboxProcess.exited`. */
  readonly ended: Promise<Death | null>;
};

export type Loaded =
  | { readonly ok: true; readonly guest: ProcessGuest }
  | { readonly ok: false; readonly death: Death };

/** How a process ended. Whom it was the fault of: `culprits` when that is known, else one of `running`. */
export type ProcessExit = {
  readonly cause: Exclude<Death['cause'], 'sibling' | 'initialize'> | 'closed';
  readonly reason: string;
  /** Names of the plugins that are known to be at fault; what one of them ran may have gone on after it was stopped. */
  readonly culprits: readonly string[];
  /** Names of the plugins that were running when it ended: with a call open, or doing something of their own. */
  readonly running: readonly string[];
};

/** One child process of the hub, with several plugins in it. */
export type SandboxProcess = {
  /** Of the process that holds the isolates (under bubblewrap: as seen from outside). */
  readonly pid: number;
  readonly isolation: 'bubblewrap' | 'process';
  /** Resolves once `initialize` has succeeded, or has not; never rejects. The guest that is not taken is gone. */
  load(program: Program, host: ProcessHost): Promise<Loaded>;
  /** Plugins in it, those that are being loaded counted. */
  count(): number;
  /** Resident, as last polled. */
  rssBytes(): number;
  /** Ends it at once, without `shutdown()`. */
  kill(reason: string): void;
  /** Stops each guest, then the process. */
  close(graceMs: number): Promise<void>;
  /** Resolves when the process is no longer there, each open call being answered with `gone` before. */
  readonly exited: Promise<ProcessExit>;
};

/**
 * Starts a process with no plugin in it.
 *
 * @throws {Error} it does not start, or with `bubblewrap` when that does not work here.
 */
export type OpenSandboxProcess = (options: SandboxProcessOptions) => Promise<SandboxProcess>;
