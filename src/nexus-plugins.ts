import type { Json, Position } from '../domain/event.ts';
import type { PluginLimits, PluginPermissions } from '../domain/plugin/manifest.ts';
import type { Result } from './errors.ts';
import type { Context } from './nexus-core.ts';
import type { Trust } from './plugin/sandbox/sandbox.ts';

/**
 * `available`: stands in a folder and was never enabled. `enabled`: runs. `quarantined`: was the cause of a death, and is started
 * again later. `failed`: does not run, and is not tried again by itself. `missing`: enabled, and this node has no folder of it.
 */
export type PluginStatus =
  | 'available'
  | 'disabled'
  | 'starting'
  | 'enabled'
  | 'quarantined'
  | 'failed'
  | 'missing';

/** Of this node, since the plugin was started. */
export type PluginMetrics = {
  readonly calls: number;
  /** By fault: `threw`, `timeout`, … */
  readonly failures: Readonly<Record<string, number>>;
  readonly wishes: number;
  /** What it asked for and was not granted, by operation. */
  readonly refused: Readonly<Record<string, number>>;
  readonly limited: Readonly<Record<string, number>>;
  readonly restarts: number;
  readonly heapBytes: number;
  readonly cpuMs: number;
  /** Of its calls, of the last minute; null without any. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
};

export type PluginView = {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly status: PluginStatus;
  readonly statusReason: string;
  readonly bundled: boolean;
  readonly trust: Trust;
  readonly hash: string;
  readonly signedBy: string | null;
  /** Of the version in the folder when that is another one: `reload` takes it. */
  readonly offered?: { readonly version: string; readonly hash: string };
  /** What it may do: asked for, and granted. */
  readonly permissions: PluginPermissions;
  /** What its manifest asks for. */
  readonly requested: PluginPermissions;
  readonly limits: PluginLimits;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly metrics: PluginMetrics;
  readonly lastError?: { readonly at: string; readonly reason: string };
};

/** One difference between what two versions did with the same call. */
export type ShadowDifference = {
  readonly target: string;
  readonly input: Json;
  readonly running: Json;
  readonly shadow: Json;
};

/** What a version that is not installed did with what the running one was called for. Nothing of it was carried out. */
export type ShadowReport = {
  readonly name: string;
  readonly running: { readonly version: string; readonly hash: string };
  readonly shadow: { readonly version: string; readonly hash: string };
  readonly minutes: number;
  /** Calls that were shown to it. */
  readonly calls: number;
  /** Recorded calls that were not: there were too many, or it took too long, or died (`failures`). */
  readonly notShown: number;
  /** Answers that are not the same. */
  readonly differentAnswers: number;
  /** Wishes that only the running version had, only the shadow had, and of the same kind and aim with another content. */
  readonly missingWishes: number;
  readonly additionalWishes: number;
  readonly differentWishes: number;
  /** Wishes of the shadow that were too many or too large to be kept: not compared, or not seen by its later reads. */
  readonly wishesLeftOut: number;
  /** Wishes of the shadow that its grants do not cover, by operation. */
  readonly refused: Readonly<Record<string, number>>;
  /** Calls that the shadow did not answer, by fault. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latencyMs: {
    readonly running: { readonly p50: number | null; readonly p99: number | null };
    readonly shadow: { readonly p50: number | null; readonly p99: number | null };
  };
  /** The first 100. */
  readonly differences: readonly ShadowDifference[];
  /** The first 100; null where that version had none. */
  readonly wishes: readonly {
    readonly operation: string;
    readonly running: Json;
    readonly shadow: Json;
  }[];
};

/** Each needs `plugins:admin`. Enabling, disabling and reloading are commands. */
export type PluginApi = {
  plugins(
    context: Context,
  ): Promise<Result<{ readonly plugins: readonly PluginView[]; readonly position: Position }>>;
  plugin(name: string, context: Context): Promise<Result<PluginView>>;
  /** @param data `{ minutes? }`, 1 … 60, 10 unless given. */
  shadowPlugin(name: string, data: unknown, context: Context): Promise<Result<ShadowReport>>;
};
