import type { Json, Position } from '../../domain/event.ts';
import type { Manifest, PluginPermissions } from '../../domain/plugin/manifest.ts';
import type { PluginEvent } from '../../domain/plugin/plugin.ts';
import type { Result } from '../errors.ts';
import type { PluginMetrics, PluginStatus, ShadowReport } from '../nexus-plugins.ts';
import type { Trust } from './sandbox/sandbox.ts';

/** What a plugin's folder on this node holds at this moment. */
export type Offer = {
  readonly manifest: Manifest;
  /** `sha256-` and base64url, of all files. */
  readonly hash: string;
  /** Name of the key whose signature was found good; null: none. */
  readonly signedBy: string | null;
  /** True for those that come with the hub. */
  readonly bundled: boolean;
};

/** What this node knows of a plugin that it runs, or should. */
export type RuntimeFacts = {
  readonly status: PluginStatus;
  readonly statusReason: string;
  readonly version: string;
  readonly hash: string;
  readonly trust: Trust;
  /** What is asked for and granted, both. */
  readonly permissions: PluginPermissions;
  readonly metrics: PluginMetrics;
  readonly lastError?: { readonly at: string; readonly reason: string };
};

/** The plugins of this node, as commands and queries see them. */
export type PluginRuntime = {
  /** `not_found` when there is no such folder, `invalid` when its manifest is faulty, with a pointer per fault. */
  offer(name: string): Promise<Result<Offer>>;
  /** By name; a folder that holds no plugin is told of by its fault. */
  offers(): Promise<readonly { readonly name: string; readonly offer: Result<Offer> }[]>;
  /**
   * The same, if it may run so on this node: `invalid` with a pointer per fault of the configuration, `plugin_rejected` for
   * another hash, a missing signature, and dependencies that are not enabled.
   *
   * @param wanted.config without the secrets: they stand in it by name.
   */
  admit(
    name: string,
    wanted: { readonly hash: string | null; readonly config: Json },
  ): Promise<Result<Offer>>;
  /** Enabled plugins that need this one, by name: as long as there are any it is not disabled. */
  dependants(name: string): readonly string[];
  facts(name: string): RuntimeFacts | undefined;
  /** Processes that plugins of this node run in. */
  processes(): number;
  /** Resolves once this node has done, or failed to do, what stands in the log of the plugin up to `position`; 15 s at most. */
  settled(name: string, position: Position): Promise<void>;
  /**
   * Starts what the folder holds beside what runs, and switches when `initialize` has succeeded; on a failure the old one
   * goes on as if nothing had been. The event of it is the caller's to write, between `start` and `commit`.
   */
  prepare(name: string): Promise<Result<PreparedVersion>>;
  /** Shows the version in the folder what the running one was called for in the last `minutes`. */
  shadow(name: string, minutes: number): Promise<Result<ShadowReport>>;
};

export type PreparedVersion = {
  readonly offer: Offer;
  /** From here on it is the one that is called; the old one ends what it has. */
  commit(): Promise<void>;
  /** It is not taken: it ends. */
  discard(): Promise<void>;
};

/** What the host writes of its own accord: to the plugin's stream, as `system`. Resolves when that was tried. */
export type RecordPlugin = (
  name: string,
  event: Exclude<PluginEvent, { readonly type: 'PluginEnabled' }>,
) => Promise<void>;
