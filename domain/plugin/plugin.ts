import type { Json } from '../event.ts';
import type { PluginLimits, PluginPermissions } from './manifest.ts';

/** How a version came to be the one that runs. */
export type InstallCause = 'enable' | 'reload' | 'rollback';

/** What an operator has granted, and what the plugin was given to start with. */
export type PluginGrant = {
  /** What it may do at most, whatever its manifest asks for. */
  readonly permissions: PluginPermissions;
  readonly limits: PluginLimits;
  /** As given: secrets stand in it by name. */
  readonly config: Json;
  /** `sha256-…`: no other content of the folder runs; null: whatever stands there. */
  readonly hash: string | null;
};

export type PluginFailure =
  | 'crash'
  | 'memory'
  | 'cpu'
  | 'hang'
  | 'flood'
  | 'initialize'
  | 'rollback'
  | 'integrity'
  | 'dependency';

/** Events of the stream `plugin-{name}`. `node`: where it happened. */
export type PluginEvent =
  | {
      readonly type: 'PluginInstalled';
      readonly data: {
        readonly version: string;
        /** Of all that the folder holds: `sha256-` and base64url. */
        readonly hash: string;
        readonly cause: InstallCause;
        /** What the manifest asks for. */
        readonly permissions: PluginPermissions;
        readonly limits: PluginLimits;
      };
    }
  | { readonly type: 'PluginEnabled'; readonly data: PluginGrant }
  | { readonly type: 'PluginDisabled'; readonly data: { readonly reason: string } }
  | {
      readonly type: 'PluginFailed';
      readonly data: {
        readonly reason: string;
        readonly cause: PluginFailure;
        readonly version: string;
        readonly node: string;
        /** Deaths in the last ten minutes that this plugin was the cause of. */
        readonly strikes: number;
      };
    }
  | {
      readonly type: 'PluginLimitExceeded';
      readonly data: {
        readonly limit: 'memoryMb' | 'cpuMsPerCall' | 'timeoutMs' | 'callsPerSec' | 'messageBytes';
        readonly detail: string;
        readonly version: string;
        readonly node: string;
        /** How often since the event of this limit before, a minute ago at least. */
        readonly count: number;
      };
    };
