import type { Subscriptions } from '../bus/subscriptions.ts';
import type { Config } from '../config.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Logger } from '../logger.ts';
import type { Meters } from '../metrics/meters.ts';
import type { HookRegistry, Hooks } from '../plugin/hooks/hooks.ts';
import type { PluginRuntime } from '../plugin/runtime.ts';
import type { Runner } from '../projection/runner.ts';
import type { Registry } from '../registry/registry.ts';
import type { Targets } from '../registry/target/targets.ts';
import type { Maintenance } from '../retention/maintenance.ts';
import type { StatePolicies } from '../state/policies.ts';
import type { Quotas } from '../state/quotas.ts';
import type { Resolvers } from '../state/resolvers.ts';
import type { Tracing } from '../tracing/tracing.ts';
import type { Hub } from '../watch/hub.ts';

/** What the operations of the core are made of; opened and closed by core.ts alone. */
export type Parts = {
  readonly config: Config;
  readonly node: string;
  readonly log: EventLog;
  readonly logId: string;
  readonly hub: Hub;
  readonly runner: Runner;
  readonly registry: Registry;
  readonly subscriptions: Subscriptions;
  readonly targets: Targets;
  readonly maintenance: Maintenance;
  readonly resolvers: Resolvers;
  readonly statePolicies: StatePolicies;
  readonly quotas: Quotas;
  readonly plugins: PluginRuntime;
  readonly logger: Logger;
  readonly clock: () => number;
  readonly meters: Meters;
  readonly tracing: Tracing | undefined;
  readonly hooks: HookRegistry & Hooks;
};
