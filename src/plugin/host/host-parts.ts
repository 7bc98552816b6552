import type { PluginDocument } from '../../../projections/documents.ts';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import type { Logger } from '../../logger.ts';
import type { HookRegistry } from '../hooks/hooks.ts';
import type { PluginResolvers } from '../hooks/resolvers.ts';
import type { RecordPlugin } from '../runtime.ts';
import type { Sandbox, Trust } from '../sandbox/sandbox.ts';
import type { Recorder } from '../shadow/recorder.ts';
import type { Candidates } from './candidates.ts';
import type { InstanceOptions } from './instance.ts';

/** What the plugins of a node have in common. */
export type HostParts = {
  readonly node: string;
  readonly candidates: Candidates;
  readonly hooks: HookRegistry;
  readonly resolvers: PluginResolvers;
  readonly record: RecordPlugin;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly integrity: Config['pluginIntegrity'];
  readonly capabilities: InstanceOptions['capabilities'];
  readonly createRecorder: (now: () => number) => Recorder;
  /** Counts one call of the plugin. */
  called(plugin: string, durationSec: number): void;
  /** Opened when the first plugin is started. */
  sandbox(): Sandbox;
  trustOf(name: string): Trust;
  document(name: string): PluginDocument | undefined;
  /** Waits for those that are being started; in words what is missing. */
  dependencyFault(name: string, dependencies: Readonly<Record<string, string>>): Promise<string | undefined>;
  /** In words whom this version of the plugin would not do for. */
  rangeFault(name: string, version: string): string | undefined;
  /** It runs, or does so no longer. */
  statusChanged(name: string): void;
  /** Work that nobody waits for before the hub closes. */
  later(work: Promise<void>): void;
};
