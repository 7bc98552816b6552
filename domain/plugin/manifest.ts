import type { Json } from '../event.ts';

/** Where plugins are asked. `before_…` can change and refuse, `after_service_invoke` change, the other `after_…` only see. */
export const hookNames = [
  'before_service_register',
  'before_service_invoke',
  'after_service_invoke',
  'before_publish',
  'after_publish',
  'before_state_change',
  'after_state_change',
  'on_request',
] as const;
export type HookName = (typeof hookNames)[number];

/** What becomes of a call when the plugin that is asked about it fails, is away, or takes too long. */
export type FailurePolicy = 'skip' | 'refuse';

/** `[a-z][a-z0-9-]{0,63}`: part of a subject, of state keys, of a stream's name and of a folder's. */
export const isPluginName = (text: string): boolean => /^[a-z][a-z0-9-]{0,63}$/.test(text);

export type HookDeclaration = {
  /**
   * What the hook is called for: topic patterns of `…_publish`, key patterns (`app/*`) of `…_state_change`, service name
   * patterns (`bill*`) of `…_service_…`, path prefixes (`/state/*`) of `on_request`. 1 to 32 of them.
   */
  readonly match: readonly string[];
  /** -1,000 … 1,000; the lower is asked first, and of equals by name. */
  readonly order: number;
  /** 1 … 10,000. */
  readonly timeoutMs: number;
  readonly onFailure: FailurePolicy;
};

/** What a plugin may do; what it does not name it may not. Each list has 64 entries at most. */
export type PluginPermissions = {
  /** Topic patterns. */
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** Keys, or prefixes of keys and `*` behind them, beside `plugin/{name}/`, which is the plugin's own. */
  readonly state: { readonly read: readonly string[]; readonly write: readonly string[] };
  readonly services: {
    /** May see the registry. */
    readonly list: boolean;
    /** Service name patterns. */
    readonly invoke: readonly string[];
  };
  /**
   * Origins: `https://api.example.com`, with a port where it is not the scheme's own. `*` of a manifest asks for whatever the
   * operator names; in a grant it stands for nothing.
   */
  readonly fetch: readonly string[];
  readonly hooks: Readonly<Partial<Record<HookName, HookDeclaration>>>;
  /** Names of conflict resolvers that it brings. */
  readonly resolvers: readonly string[];
};

export const noPermissions: PluginPermissions = {
  publish: [],
  subscribe: [],
  state: { read: [], write: [] },
  services: { list: false, invoke: [] },
  fetch: [],
  hooks: {},
  resolvers: [],
};

export type PluginLimits = {
  /** Of the isolate's heap, 8 … 512. */
  readonly memoryMb: number;
  /** Processor time of one call, 1 … 10,000. */
  readonly cpuMsPerCall: number;
  /** Of one call from its start to its answer, 1 … 30,000. */
  readonly timeoutMs: number;
  /** Calls that the plugin makes of the hub, 1 … 100,000. */
  readonly callsPerSec: number;
  /** Of one call or answer as JSON, 1,024 … 1,048,576. */
  readonly messageBytes: number;
};

export const defaultLimits: PluginLimits = {
  memoryMb: 32,
  cpuMsPerCall: 100,
  timeoutMs: 1_000,
  callsPerSec: 1_000,
  messageBytes: 262_144,
};

/** `plugin.json`, checked and complete. */
export type Manifest = {
  readonly name: string;
  /** Semver. */
  readonly version: string;
  readonly description: string;
  /** Path of the ES module in the plugin's folder. */
  readonly entry: string;
  /** JSON Schema of the configuration. */
  readonly configSchema: Json;
  readonly permissions: PluginPermissions;
  readonly limits: PluginLimits;
  /** Plugins that must be enabled before: semver ranges by name. */
  readonly dependencies: Readonly<Record<string, string>>;
};
