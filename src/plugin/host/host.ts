import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isPluginName } from '../../../domain/plugin/manifest.ts';
import type { PluginDocument } from '../../../projections/documents.ts';
import { plugins as model } from '../../../projections/plugins.ts';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { fault, ok, problem } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import { ReadModelDamaged } from '../../projection/read-store.ts';
import type { Runner } from '../../projection/runner.ts';
import type { Capabilities, CapabilitiesOptions } from '../capabilities/capabilities.ts';
import type { HookRegistry } from '../hooks/hooks.ts';
import type { PluginResolvers } from '../hooks/resolvers.ts';
import type { PluginRuntime, RecordPlugin } from '../runtime.ts';
import type { Sandbox, Trust } from '../sandbox/sandbox.ts';
import { createRecorder } from '../shadow/recorder.ts';
import { type Actor, createActor } from './actor.ts';
import { createCandidates, offerOf } from './candidates.ts';
import { completeConfig } from './config.ts';
import { createDependencies } from './dependencies.ts';
import type { HostParts } from './host-parts.ts';
import { openKeptVersions } from './kept-versions.ts';
import { createShadowing } from './shadowing.ts';
import { createStarts } from './starts.ts';
import { watchFolders } from './watch-folders.ts';

export type PluginHostOptions = {
  readonly config: Config;
  readonly node: string;
  readonly runner: Runner;
  readonly hooks: HookRegistry;
  readonly resolvers: PluginResolvers;
  readonly record: RecordPlugin;
  readonly capabilities: (
    options: Pick<CapabilitiesOptions, 'name' | 'permissions' | 'limits' | 'call' | 'limited' | 'refused'>,
  ) => Capabilities;
  readonly called: HostParts['called'];
  /** Called at the start where plugins are offered, else when the first one is started. */
  openSandbox(): Sandbox;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
};

export type PluginHost = PluginRuntime & {
  /** Starts what the log says is enabled; resolves when that is done, or after 5 s. */
  start(): Promise<void>;
  close(): Promise<void>;
};

const startMs = 5_000;
const settledMs = 15_000;
const closeGraceMs = 1_000;

/** The plugins of a node: nothing is done before one is enabled (docs/adr/0049-life-of-plugins.md). */
export const createPluginHost = (options: PluginHostOptions): PluginHost => {
  const { config, runner, hooks, logger, clock, env } = options;
  const versions = openKeptVersions(join(config.dataDir, 'plugins'), logger);
  const candidates = createCandidates(config, versions, logger);
  const actors = new Map<string, Actor>();
  const pending = new Set<Promise<void>>();
  const trusts = new Map(config.pluginTrust.map((pair) => pair.split('=') as [string, Trust]));
  let sandbox: Sandbox | undefined;
  let unwatch: (() => void) | undefined;
  let closed = false;

  const document = (name: string): PluginDocument | undefined => {
    try {
      return runner.store.read<PluginDocument>(model.name, name);
    } catch (error) {
      // They are being rebuilt already, and are looked at again when that is done.
      if (error instanceof ReadModelDamaged) return undefined;
      throw error;
    }
  };
  const documents = (): readonly PluginDocument[] => {
    try {
      return [...runner.store.range<PluginDocument>(model.name)].map(([, found]) => found);
    } catch (error) {
      if (error instanceof ReadModelDamaged) return [];
      throw error;
    }
  };
  const isEnabled = (name: string): boolean => document(name)?.enabled === true;
  const enabledNames = (): readonly string[] => [...actors.keys()].filter(isEnabled);
  const dependencies = createDependencies({ actorOf: (name) => actors.get(name), isEnabled, enabledNames });

  const later = (work: Promise<void>): void => {
    const done = work
      .catch((error: unknown) => logger.error({ error }, 'work on plugins failed'))
      .finally(() => pending.delete(done));
    pending.add(done);
  };

  const parts: HostParts = {
    node: options.node,
    candidates,
    hooks,
    resolvers: options.resolvers,
    record: options.record,
    clock,
    logger,
    env,
    integrity: config.pluginIntegrity,
    capabilities: options.capabilities,
    createRecorder,
    called: options.called,
    sandbox() {
      sandbox ??= options.openSandbox();
      return sandbox;
    },
    trustOf: (name) => trusts.get(name) ?? 'normal',
    document,
    dependencyFault: dependencies.fault,
    rangeFault: dependencies.rangeFault,
    statusChanged(name) {
      for (const dependant of dependencies.dependants(name)) {
        const actor = actors.get(dependant);
        if (actor !== undefined && actor.running === undefined) later(actor.reconcile(true));
        else logger.info({ plugin: dependant, dependency: name }, 'a plugin that others need has changed');
      }
    },
    later,
  };

  const actorOf = (name: string): Actor => {
    const actor = actors.get(name) ?? createActor(name, parts);
    actors.set(name, actor);
    return actor;
  };

  /** What the log says of a plugin has changed. */
  const changed = (name: string): void => {
    if (closed) return;
    const actor = actorOf(name);
    actor.notify();
    later(actor.reconcile());
  };

  const all = (): void => {
    for (const { name, enabled } of documents()) if (enabled || actors.has(name)) changed(name);
  };

  const busy = async (): Promise<void> => {
    await Promise.all([...actors.values()].map((actor) => actor.idle()));
  };

  const inTime = async (work: Promise<unknown>, ms: number): Promise<void> => {
    const late = Promise.withResolvers<void>();
    const cancel = clock.after(ms, late.resolve);
    await Promise.race([work, late.promise]);
    cancel();
  };

  /** For the checks that need no instance. */
  const integrityOf = (name: string) =>
    createStarts(name, parts, {
      answered: () => {},
      limited: () => {},
      down: () => {},
      back: () => {},
      ended: () => {},
    }).integrityFault;

  const reloadChanged = async (name: string): Promise<void> => {
    const known = document(name);
    if (known?.enabled !== true || closed) return;
    const actor = actorOf(name);
    const found = await candidates.inFolder(name);
    if (!found.ok)
      return logger.warn({ plugin: name, reason: found.problem.detail }, 'the changed folder is not taken');
    if (
      found.value.hash === (actor.running?.candidate.hash ?? known.installed?.hash) &&
      actor.running !== undefined
    )
      return;
    const prepared = await actor.prepare();
    if (!prepared.ok)
      return logger.warn(
        { plugin: name, reason: prepared.problem.detail },
        'the changed folder is not taken',
      );
    const { offer, commit } = prepared.value;
    const { version, permissions, limits } = offer.manifest;
    await options.record(name, {
      type: 'PluginInstalled',
      data: { version, permissions, limits, hash: offer.hash, cause: 'reload' },
    });
    await commit();
    logger.info({ plugin: name, version, hash: offer.hash }, 'a changed plugin was reloaded');
  };

  const unfollow = runner.onFolded((changes) => {
    for (const { model: name, key } of changes) if (name === model.name) changed(key);
  });
  runner.onSwapped(() => {
    if (!closed) all();
  });

  const shadow = createShadowing(parts);

  return {
    async start() {
      if (existsSync(config.pluginDir)) parts.sandbox();
      all();
      if (config.pluginWatch)
        unwatch = watchFolders(config.pluginDir, (name) => later(reloadChanged(name)), logger, clock);
      if (actors.size > 0) await inTime(busy(), startMs);
    },

    async offer(name) {
      const found = await candidates.inFolder(name);
      return found.ok ? ok(offerOf(found.value)) : found;
    },

    async offers() {
      const found: { readonly name: string; readonly offer: Awaited<ReturnType<PluginRuntime['offer']>> }[] =
        [];
      for (const name of await candidates.names()) {
        const offer = await candidates.inFolder(name);
        found.push({ name, offer: offer.ok ? ok(offerOf(offer.value)) : offer });
      }
      return found;
    },

    async admit(name, wanted) {
      const found = await candidates.inFolder(name);
      if (!found.ok) {
        const { problem: wrong } = found;
        return wrong.code === 'invalid'
          ? fault(
              problem('plugin_rejected', wrong.detail, { plugin: name, reason: 'manifest', ...wrong.facts }),
            )
          : found;
      }
      const { manifest } = found.value;
      const refused =
        integrityOf(name)(found.value, wanted.hash) ??
        dependencies.missing(manifest.dependencies) ??
        dependencies.rangeFault(name, manifest.version);
      if (refused !== undefined)
        return fault(problem('plugin_rejected', refused, { plugin: name, reason: 'integrity' }));
      const complete = completeConfig(name, manifest.configSchema, wanted.config, env);
      return complete.ok ? ok(offerOf(found.value)) : complete;
    },

    dependants: dependencies.dependants,
    facts: (name) => actors.get(name)?.facts(),

    processes() {
      const pids = [...actors.values()].map(({ running }) => running?.guest.metrics().pid ?? null);
      return new Set(pids.filter((pid) => pid !== null)).size;
    },

    async settled(name, position) {
      if (!isPluginName(name)) return;
      const work = async (): Promise<void> => {
        if (!(await runner.reached(position, settledMs))) return;
        const known = document(name);
        if (known === undefined) return;
        const actor = actorOf(name);
        await actor.idle();
        // Enabled once more without a change: what failed is tried again.
        if (known.enabled && actor.running === undefined && actor.actedOn < position)
          await actor.reconcile(true);
      };
      await inTime(work(), settledMs);
    },

    prepare: async (name) =>
      isPluginName(name) && document(name) !== undefined
        ? actorOf(name).prepare()
        : fault(problem('not_found', 'no such plugin was ever enabled')),

    shadow: (name, minutes) => shadow(name, minutes, actors.get(name)?.running),

    async close() {
      if (closed) return;
      closed = true;
      unfollow();
      unwatch?.();
      await Promise.all([...actors.values()].map((actor) => actor.close(closeGraceMs)));
      await inTime(Promise.all(pending), closeGraceMs * 5);
      await sandbox?.close();
    },
  };
};
