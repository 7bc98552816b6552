import type { Json } from '../event.ts';
import type { PluginLimits, PluginPermissions } from './manifest.ts';

/** A version, as its folder had it. */
export type PluginVersion = {
  readonly version: string;
  /** Of all that the folder holds: `sha256-` and base64url. */
  readonly hash: string;
  /** What the manifest asks for. */
  readonly permissions: PluginPermissions;
  readonly limits: PluginLimits;
};

export const installCauses = ['enable', 'reload', 'rollback'] as const;
/** How a version came to be the one that runs. */
export type InstallCause = (typeof installCauses)[number];

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

export const pluginFailures = [
  'crash',
  'memory',
  'cpu',
  'hang',
  'flood',
  'initialize',
  'rollback',
  'integrity',
  'dependency',
] as const;
export type PluginFailure = (typeof pluginFailures)[number];

/** Events of the stream `plugin-{name}`. `node`: where it happened. */
export type PluginEvent =
  | {
      readonly type: 'PluginInstalled';
      readonly data: PluginVersion & { readonly cause: InstallCause };
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
        readonly limit: keyof PluginLimits;
        readonly detail: string;
        readonly version: string;
        readonly node: string;
        /** How often since the event of this limit before, a minute ago at least. */
        readonly count: number;
      };
    };

/** What nodes write of their own accord. */
export type PluginRecord = Exclude<PluginEvent, { readonly type: 'PluginEnabled' }>;

export type PluginCommand =
  | {
      readonly type: 'EnablePlugin';
      /** What stands in the folder. */
      readonly offered: PluginVersion;
      /** Absent: what it had, and what the manifest asks for at first. `requested`: that again, its limits too. */
      readonly permissions?: PluginPermissions | 'requested' | undefined;
      /** What is left out is what it had, and what the manifest asks for at first. */
      readonly limits?: Partial<PluginLimits> | undefined;
      /** Absent: what it had, an empty object at first. */
      readonly config?: Json | undefined;
      /** The only content that may run. Null: whatever stands in the folder. Absent: as it was, null at first. */
      readonly hash?: string | null | undefined;
    }
  | { readonly type: 'DisablePlugin'; readonly reason: string }
  /** @property hash the content that is meant; null: whatever stands in the folder, but not what was rolled back. */
  | { readonly type: 'ReloadPlugin'; readonly offered: PluginVersion; readonly hash: string | null }
  | { readonly type: 'RecordPlugin'; readonly event: PluginRecord };

export type PluginRejection =
  | { readonly code: 'not_found' }
  | { readonly code: 'not_enabled' }
  | { readonly code: 'other_hash'; readonly expected: string; readonly offered: string }
  /** The grant names another content than the folder has. */
  | { readonly code: 'pinned'; readonly expected: string; readonly offered: string }
  | { readonly code: 'rolled_back'; readonly hash: string };

export type PluginState = {
  readonly enabled: boolean;
  /** The newest one, also of a plugin that is disabled; null: it was never enabled. */
  readonly grant: PluginGrant | null;
  readonly installed: PluginVersion | null;
  /** What was installed before, to be rolled back to; null behind a rollback. */
  readonly before: PluginVersion | null;
  /** Hash of the content that was rolled back; null once another one is installed. */
  readonly rolledBack: string | null;
};
