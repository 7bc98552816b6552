import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Handler } from '../command/handle.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import { createCapabilities, type HubOperations } from '../plugin/capabilities/capabilities.ts';
import { createPluginResolvers } from '../plugin/hooks/resolvers.ts';
import { createPluginHost, type PluginHost } from '../plugin/host/host.ts';
import { childFiles } from '../plugin/sandbox/process/files.ts';
import { openSandboxProcess } from '../plugin/sandbox/process/open.ts';
import type { Sandbox } from '../plugin/sandbox/sandbox.ts';
import { openSandbox } from '../plugin/sandbox/supervisor.ts';
import { createTrustedSandbox } from '../plugin/sandbox/trusted.ts';
import { loadUndici } from '../registry/target/agent.ts';
import type { Deciders } from './deciders.ts';
import type { Parts } from './parts.ts';
import { createPluginRecord } from './plugin-record.ts';

export type HostedPlugins = Pick<
  Parts,
  'node' | 'runner' | 'hooks' | 'resolvers' | 'targets' | 'meters' | 'logger'
> & {
  readonly config: Config;
  readonly clock: Clock;
  readonly handler: Handler;
  readonly deciders: Pick<Deciders, 'plugin'>;
  /** What plugins are clients of; asked for when the first one is started. */
  operations(): HubOperations;
};

/**
 * Loads what the first plugin needs. The hub does nothing else for some tens of milliseconds then, each in a turn of its
 * own: better now than in the middle of what a plugin does. What cannot be loaded is told to who needs it.
 */
const loadAhead = async (): Promise<void> => {
  await loadUndici();
  await nextTurn();
  await childFiles();
};

const sandboxOf = (config: Config, logger: Logger): Sandbox => {
  loadAhead().catch(() => {});
  return openSandbox({
    isolation: config.pluginSandbox,
    openProcess: openSandboxProcess,
    trusted: createTrustedSandbox({ directory: join(config.dataDir, 'trusted-plugins') }),
    logger,
  });
};

/** The plugins of the hub, as clients of its operations; nothing runs before `start`. */
export const hostPlugins = (options: HostedPlugins): PluginHost => {
  const {
    config,
    node,
    runner,
    hooks,
    resolvers,
    targets,
    meters,
    logger,
    clock,
    handler,
    deciders,
    operations,
  } = options;
  return createPluginHost({
    config,
    node,
    runner,
    hooks,
    resolvers: createPluginResolvers({ resolvers, hooks, logger }),
    clock,
    logger,
    env: process.env,
    called: meters.plugins.called,
    openSandbox: () => sandboxOf(config, logger),
    record: createPluginRecord({ node, logger }, handler, deciders),
    capabilities: (own) => createCapabilities({ ...own, hub: operations(), targets, clock, logger }),
  });
};
