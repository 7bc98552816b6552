import type { CredentialApi } from './nexus-credentials.ts';
import type { HookApi } from './nexus-hooks.ts';
import type { LockApi } from './nexus-locks.ts';
import type { ObservabilityApi } from './nexus-observability.ts';
import type { PluginApi } from './nexus-plugins.ts';
import type { ProxyApi } from './nexus-proxy.ts';
import type { ReplayApi } from './nexus-replays.ts';
import type { SnapshotApi } from './nexus-snapshots.ts';
import type { StateApi } from './nexus-state.ts';
import type { StatePolicyApi } from './nexus-state-policies.ts';
import type { SubscriptionApi } from './nexus-subscriptions.ts';

/** The parts of `NexusCore` that have a file of their own. */
export type PartApis = LockApi &
  StateApi &
  SnapshotApi &
  StatePolicyApi &
  SubscriptionApi &
  ReplayApi &
  ProxyApi &
  PluginApi &
  CredentialApi &
  HookApi &
  ObservabilityApi;
