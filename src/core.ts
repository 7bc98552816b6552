import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { streamId } from '../domain/event.ts';
import type { ServiceDocument, TrimDocument } from '../projections/documents.ts';
import { projections } from '../projections/index.ts';
import { trims } from '../projections/trims.ts';
import { openLeases } from './bus/ownership/leases.ts';
import { soleOwnership } from './bus/ownership.ts';
import { createNodeToken } from './bus/remote/node-token.ts';
import { createPeers } from './bus/remote/peers.ts';
import { createRequests } from './bus/requests.ts';
import { openSubscriptions } from './bus/subscriptions.ts';
import { type Clock, systemClock } from './clock.ts';
import { createHandler } from './command/handle.ts';
import { isAuthenticated } from './config/authenticated.ts';
import type { Config } from './config.ts';
import { createCommands } from './core/commands.ts';
import { createCredentialQueries, createCredentials } from './core/credentials.ts';
import { createDeciders } from './core/deciders.ts';
import { createDryRuns } from './core/dry-runs.ts';
import { createExpire } from './core/expirations.ts';
import { healthOf } from './core/health.ts';
import { createInterfaceQueries } from './core/interfaces.ts';
import { createInvocations } from './core/invocations.ts';
import { createLockQuery } from './core/locks.ts';
import { createLogQueries, messageFrom } from './core/logs.ts';
import { createMessageQuery } from './core/message-at.ts';
import { createObservability } from './core/observability.ts';
import type { Parts } from './core/parts.ts';
import { hostPlugins } from './core/plugin-host.ts';
import { createPluginQueries } from './core/plugins.ts';
import { createReads } from './core/reads.ts';
import { tellProblems } from './core/refused.ts';
import { createReplayApi } from './core/replays.ts';
import { createRequestHooks } from './core/request-hooks.ts';
import { createRetentionQueries } from './core/retentions.ts';
import { createServiceQueries } from './core/services.ts';
import { createServings } from './core/serving.ts';
import { createSnapshots } from './core/snapshots.ts';
import { createStateDifference } from './core/state-difference.ts';
import { createStatePolicyQueries } from './core/state-policies.ts';
import { createStateQueries } from './core/states.ts';
import { createSubscriptionWrites } from './core/subscription-writes.ts';
import { createSubscriptionApi } from './core/subscriptions.ts';
import { createReadTold } from './core/told-events.ts';
import { createWatches } from './core/watches.ts';
import { type ErrorCode, ProblemError, type Result } from './errors.ts';
import { given } from './given.ts';
import { newId } from './ids.ts';
import { lockDirectory } from './log/directory-lock.ts';
import { openLog } from './log/open.ts';
import type { Logger } from './logger.ts';
import { measureLog } from './metrics/measured-log.ts';
import { createMeters } from './metrics/meters.ts';
import type { NexusCore } from './nexus-core.ts';
import { readNodeMemory, writeNodeMemory } from './node-memory.ts';
import { createHooks } from './plugin/hooks/registry.ts';
import { ReadModelDamaged } from './projection/read-store.ts';
import { openRunner, type Runner } from './projection/runner.ts';
import { openRegistry } from './registry/registry.ts';
import { createTargets } from './registry/target/targets.ts';
import { createEnforcer } from './retention/enforcer.ts';
import { openMaintenance } from './retention/maintenance.ts';
import { openExpiry } from './state/expiry.ts';
import { openStatePolicies } from './state/policies.ts';
import { openQuotas } from './state/quotas.ts';
import { createResolvers } from './state/resolvers.ts';
import { openSnapshots } from './state/snapshot.ts';
import { traceCommands } from './tracing/traced-commands.ts';
import { createTracing } from './tracing/tracing.ts';
import { version } from './version.ts';
import { createHub, type Hub } from './watch/hub.ts';

export type CoreOptions = {
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** What falls due by `clock` rings by it. Default: the system's timers. */
  readonly after?: Clock['after'];
  /**
   * A write of the embedded log or of the read models failed, or hangs: nothing is acknowledged any more, and the process
   * must end. The next start goes on from what is on the disk.
   */
  readonly onFailure?: (error: Error) => void;
  /** Ms after which a write of the embedded log has failed; 2,000 unless given. */
  readonly watchdogMs?: number;
  /** Addresses of a name that a service is registered at. Default: the system's resolver. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  /** Ends the wait for a log that this node must find before it can open. */
  readonly signal?: AbortSignal;
};

export type Core = NexusCore & { readonly parts: Parts };

/**
 * Opens the hub without any protocol: log, read models, watchers, registry, snapshots. Resolves once reads are served
 * or, with a log that cannot be reached, once what this node remembers is.
 *
 * @throws {Error} when the data folder is damaged, used by another hub, or cannot be written; what `openLog` throws.
 */
export const openCore = async (config: Config, options: CoreOptions): Promise<Core> => {
  // Given back in the opposite order, by close() or when a later step of the start fails.
  const held = new AsyncDisposableStack();
  try {
    return await assemble(config, options, held);
  } catch (error) {
    await held.disposeAsync().catch((failure: unknown) => {
      options.logger.warn({ error: failure }, 'what was opened could not be closed');
    });
    throw error;
  }
};

const againLater: ReadonlySet<ErrorCode> = new Set(['revision_conflict', 'busy']);

/** A write of the registry's own that met a conflict is tried again a little later, on what then stands there. */
const done = (result: Result<unknown>): void => {
  if (!result.ok && againLater.has(result.problem.code)) throw new ProblemError(result.problem);
};

/** Read models that are not complete know nothing for certain: then the log is looked through when someone asks. */
const seedTrims = (hub: Hub, { store, position, ready }: Runner): void => {
  if (!ready) return;
  const known = function* () {
    for (const [trimId, { removedTo }] of store.range<TrimDocument>(trims.name))
      yield [trimId, removedTo] as const;
  };
  try {
    hub.seedTrims(known(), position);
  } catch (error) {
    if (!(error instanceof ReadModelDamaged)) throw error;
  }
};

const assemble = async (config: Config, options: CoreOptions, held: AsyncDisposableStack): Promise<Core> => {
  const {
    logger,
    clock = Date.now,
    after = systemClock.after,
    onFailure = () => {},
    signal = new AbortController().signal,
  } = options;
  const startedAtMs = clock();
  mkdirSync(config.dataDir, { recursive: true });
  const lock = await lockDirectory(config.dataDir, 'the data folder');
  held.defer(lock.release);
  const memory = readNodeMemory(config.dataDir);
  const { node } = memory;
  const meters = createMeters();
  const tracing = createTracing();
  const opened = await openLog({
    urls: config.log,
    memory: memory.log,
    acceptLog: config.acceptLog,
    node,
    logger,
    onFailure,
    signal,
  });
  const { logId, reached } = opened;
  const log = measureLog(opened.log, meters.appends, tracing);
  held.defer(() => log.close());
  if (memory.log?.logId !== logId || memory.log.kind !== log.kind) {
    writeNodeMemory(config.dataDir, { node, log: { logId, kind: log.kind } });
  }

  const hub = createHub({ log, logger });
  held.defer(() => hub.close());
  await hub.start();
  const directory = join(config.dataDir, 'read-models');
  const runner = await openRunner({ hub, log, logId, directory, projections, logger, onFailure });
  held.defer(() => runner.close());
  seedTrims(hub, runner);

  const authenticated = isAuthenticated(config);
  let ports: readonly number[] = [];
  const targets = createTargets({
    mode: authenticated ? 'authenticated' : 'protected',
    allowedTargets: config.allowedTargets,
    ownPorts: () => ports,
    ...given({ resolve: options.resolve }),
  });
  // The embedded log is this process's alone.
  const leases = log.kind === 'embedded' ? undefined : openLeases({ log, hub, node, logger });
  if (leases !== undefined && authenticated && config.jwtSecret === null) {
    logger.warn({}, 'jwtSecret is not set: several nodes of this log would refuse each other');
  }
  const peers = createPeers({ token: createNodeToken(config, node, clock), logger });
  const ownership = leases ?? soleOwnership;
  const registry = openRegistry({
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    logger,
    targets,
    changeStatus: async (id, verdict) =>
      done(await commands.changeStatus(id, verdict, registry.document(id)?.revision)),
    nodes: { node, ownership, ask: peers.ask, attach: async (id) => done(await commands.attach(id)) },
    deregister: async (id, reason, revision) => done(await commands.deregister(id, reason, revision)),
    changeCircuit: async (id, change) => done(await commands.changeCircuit(id, change)),
  });
  const handler = createHandler(log);
  const deciders = createDeciders(runner);
  const statePolicies = openStatePolicies(runner, (stream) => handler.newest(deciders.statePolicy, stream));
  held.defer(() => statePolicies.close());
  const quotas = openQuotas({ runner, statePolicies, decides: deciders.state, logger });
  held.defer(() => quotas.close());
  const subscriptions = openSubscriptions({
    log,
    hub,
    runner,
    node,
    logger,
    ownership,
    peer: peers.server,
    wallMs: clock,
    messageFrom,
    truncated: (events) => maintenance.truncated(events),
    ...createSubscriptionWrites({ log, runner, node }, handler, deciders.subscription),
  });
  held.defer(() => subscriptions.close());
  const maintenance = openMaintenance({
    log,
    logger,
    clock,
    openEnforcer: (onPolicies) => createEnforcer({ log, runner, handler, node, statePolicies, onPolicies }),
  });
  held.defer(() => maintenance.close());
  const expiry = openExpiry({
    runner,
    ownership,
    clock: { now: clock, after },
    logger,
    expire: createExpire({ runner, node }, handler, deciders),
  });
  held.defer(() => expiry.close());
  const resolvers = createResolvers(config.stateResolvers);
  const hooks = createHooks({ logger, readTold: createReadTold(log) });
  held.defer(() => hooks.close());
  const plugins = hostPlugins({
    ...{ config, node, runner, hooks, resolvers, targets, meters, logger, handler, deciders },
    clock: { now: clock, after },
    operations: () => core,
  });
  const parts: Parts = {
    config,
    node,
    log,
    logId,
    hub,
    runner,
    registry,
    subscriptions,
    targets,
    maintenance,
    resolvers,
    statePolicies,
    quotas,
    plugins,
    logger,
    clock,
    meters,
    tracing,
    hooks,
  };
  const observability = createObservability(parts, expiry, { now: clock, after });
  const commands = createCommands(parts, handler, deciders);
  const execute = traceCommands(commands.execute, tracing);
  const requests = createRequests({ parts, execute, handler });
  const reads = createReads(parts);
  const replays = createReplayApi(parts, reads);
  const queries = createLogQueries(parts, reads);
  const { stopLoads, ...snapshotApi } = createSnapshots({ parts, reads, ...commands });

  const takeServices = (): void => {
    try {
      for (const [, document] of runner.store.range<ServiceDocument>('services')) registry.put(document);
    } catch (error) {
      // They are being rebuilt already, and are taken again when that is done.
      if (!(error instanceof ReadModelDamaged)) throw error;
      logger.error({ error }, 'the services cannot all be read yet');
    }
  };
  takeServices();
  runner.onSwapped(takeServices);
  const unfollow = runner.onFolded((changes) => {
    for (const { model, document } of changes)
      if (model === 'services') registry.put(document as ServiceDocument);
  });

  const snapshots =
    config.stateFile === 'none'
      ? undefined
      : openSnapshots({
          file: config.stateFile,
          everySec: config.snapshotEverySec,
          logId,
          node,
          ready: () => runner.ready,
          store: () => runner.store,
          logger,
          clock,
        });

  const started = newId();
  /** Starts and stops are history too; a log that cannot take them now must not hold up either. */
  const record = async (type: 'NodeStarted' | 'NodeStopped'): Promise<void> => {
    const event = { id: newId(), type, data: { version } };
    const metadata = { actor: 'system', correlationId: started, causationId: null, node, schema: 1 };
    try {
      await handler.appendAny(streamId('node', node), event, metadata);
    } catch (error) {
      logger.warn({ type, reason: error instanceof Error ? error.message : String(error) }, 'not recorded');
    }
  };
  let closing: Promise<void> | undefined;
  const recorded = reached.then(() => (closing === undefined ? record('NodeStarted') : undefined));
  if (log.reachable) await recorded;

  const close = async (): Promise<void> => {
    await plugins.close();
    unfollow();
    stopLoads();
    requests.close();
    commands.close();
    await subscriptions.close();
    peers.close();
    await registry.close();
    await expiry.close();
    await snapshots?.close();
    await observability.close();
    if (log.reachable) await record('NodeStopped');
    await held.disposeAsync();
  };

  const { denied, metrics, onProblem } = observability;
  const operations = {
    execute,
    metrics,
    ...createInvocations(parts),
    ...createServings(parts, onProblem),
    request: requests.request,
    reply: requests.reply,
    ...createStateQueries(reads, parts),
    ...createStateDifference(reads, parts),
    ...createLockQuery(reads),
    ...createServiceQueries(reads, registry),
    ...createInterfaceQueries(reads),
    ...queries,
    ...createMessageQuery(parts),
    ...createRetentionQueries(reads, parts),
    ...createStatePolicyQueries(reads, parts),
    ...createCredentialQueries(reads),
    ...createPluginQueries(reads, parts),
    ...createWatches(parts),
    ...createSubscriptionApi(parts, reads),
    ...snapshotApi,
    ...replays,
    ...createDryRuns({ parts, replay: replays.replay, check: commands.check }),
  };

  const core: Core = {
    config,
    node,
    parts,
    ...tellProblems(operations, onProblem),
    ...createRequestHooks(hooks),
    stateResolvers: { register: resolvers.register, names: resolvers.names },
    credentials: createCredentials(parts),
    meters,
    tracing,
    denied,
    fromNodes: registry.fromNodes,
    quiesce: () => {
      stopLoads();
      subscriptions.quiesce();
      registry.quiesce();
    },
    health: () => healthOf(parts, version, startedAtMs),
    listensOn: (own, url) => {
      ports = own;
      if (url !== undefined) leases?.reachableAt(url);
    },
    get ready() {
      return runner.ready && runner.position >= hub.began;
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
  await plugins.start();
  return core;
};
