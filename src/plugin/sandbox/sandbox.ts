import type { Json } from '../../../domain/event.ts';
import type { PluginLimits } from '../../../domain/plugin/manifest.ts';

/** `low`: no JIT. `trusted`: in the hub's own process, only when the operator named the plugin. */
export type Trust = 'low' | 'normal' | 'trusted';

/** A plugin as the sandbox runs it. */
export type Program = {
  readonly name: string;
  readonly version: string;
  /** One ES module, everything bundled in. */
  readonly code: string;
  readonly config: Json;
  readonly limits: PluginLimits;
  readonly trust: Trust;
  /** In a child of its own from the start: a version that is only being tried. */
  readonly alone: boolean;
};

/**
 * What the guest is called for: `hook:NAME`, `resolver:NAME`, `message:N` and `change:N` of the subscription or watch N
 * (a number that the guest chose when it asked for it). What it has no handler for is `no_handler`.
 */
export type CallTarget = string;

/** Why a call has no answer. `gone`: the child ended or is being replaced. */
export type CallFault = 'threw' | 'timeout' | 'cpu' | 'too_large' | 'no_handler' | 'gone' | 'overloaded';

export type CallAnswer =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly fault: CallFault; readonly message: string };

/**
 * What the guest asks of the hub: see src/plugin/capabilities. `data` is the hub's own JSON, of names that it takes, no
 * deeper than 64 levels and within `limits.messageBytes`: the sandbox has seen to that.
 */
export type Wish = { readonly operation: string; readonly data: Json };
export type WishAnswer =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly code: string; readonly message: string };

export type LimitName = 'memoryMb' | 'cpuMsPerCall' | 'timeoutMs' | 'callsPerSec' | 'messageBytes';

/** Why a guest is no longer there, in words for an operator. `culprit`: it is known to be the one at fault. */
export type Death = {
  readonly cause: 'crash' | 'memory' | 'cpu' | 'hang' | 'flood' | 'sibling' | 'initialize';
  readonly reason: string;
  readonly culprit: boolean;
};

/** The host's side of one guest: what it is told, and what does the guest's wishes. Never throws. */
export type GuestHost = {
  /** Permission is checked here, whatever the guest's own side has checked. */
  wish(wish: Wish): Promise<WishAnswer>;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Json): void;
  /** A limit was met; the guest lives. Told at most once a second and limit. */
  limited(limit: LimitName, detail: string): void;
  /**
   * What it has subscribed to and asked for is over: its own fault, or a sibling's. It is started again, `ready` follows or
   * `ended`, or `down` again when that start has failed. Also before the first `ready`, when others ended its process.
   */
  down(death: Death): void;
  /** `initialize` has succeeded (also the first time); `registered` are the hooks and resolvers that it has handlers for. */
  ready(registered: { readonly hooks: readonly string[]; readonly resolvers: readonly string[] }): void;
  /** It is given up: it does not come back by itself. */
  ended(death: Death): void;
};

export type GuestMetrics = {
  readonly heapBytes: number;
  readonly cpuMs: number;
  readonly calls: number;
  readonly wishes: number;
  readonly restarts: number;
  /** Of the process that it stands in; null in the hub's own, and while it is being restarted. */
  readonly pid: number | null;
};

/** A plugin that runs, over the deaths of the process that it runs in. */
export type Guest = {
  readonly program: Program;
  /**
   * Never rejects. While the guest is being restarted calls wait, as long as `timeoutMs` lets them, 1,000 of them at most.
   *
   * @param timeoutMs from now to the answer.
   */
  call(target: CallTarget, input: Json, timeoutMs: number): Promise<CallAnswer>;
  metrics(): GuestMetrics;
  /** Calls that are under way may end (within `graceMs`), `shutdown()` is called, the isolate is disposed of. */
  stop(graceMs: number): Promise<void>;
};

export type Started =
  | { readonly ok: true; readonly guest: Guest }
  | { readonly ok: false; readonly death: Death };

/** Where plugins run. */
export type Sandbox = {
  /** Resolves once `initialize` has succeeded, or has not. */
  start(program: Program, host: GuestHost): Promise<Started>;
  close(): Promise<void>;
};
