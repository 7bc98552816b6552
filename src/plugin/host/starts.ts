import { effectiveLimits, effectivePermissions } from '../../../domain/plugin/permissions.ts';
import type { PluginFailure, PluginGrant } from '../../../domain/plugin/plugin.ts';
import type { PluginDocument } from '../../../projections/documents.ts';
import type { Result } from '../../errors.ts';
import { given } from '../../given.ts';
import type { CallAnswer, Death, LimitName, Program } from '../sandbox/sandbox.ts';
import type { Candidate } from './candidates.ts';
import { completeConfig, type PluginConfig } from './config.ts';
import type { HostParts } from './host-parts.ts';
import { type Instance, startInstance } from './instance.ts';
import type { Stats } from './stats.ts';

/** A version with what it may do. */
export type Startable = { readonly candidate: Candidate; readonly grant: PluginGrant };

export type StartFault = { readonly ok: false; readonly cause: PluginFailure; readonly reason: string };

export type Chosen =
  /** `isNews`: the log names another version, which this node has not. */
  | { readonly ok: true; readonly startable: Startable; readonly isNews: boolean }
  | (StartFault & { readonly missing: boolean });

/** What is told of the instances of one plugin. */
export type StartsEvents = {
  answered(answer: CallAnswer): void;
  limited(limit: LimitName, detail: string, version: string): void;
  down(instance: Instance, death: Death): void;
  back(instance: Instance): void;
  ended(instance: Instance, death: Death): void;
};

export type Starts = {
  /** The version that the log names, or what may stand in for it. */
  choose(document: PluginDocument): Promise<Chosen>;
  /** Why the content may not run, in words. @param pinned hash that the grant names. */
  integrityFault(candidate: Candidate, pinned: string | null): string | undefined;
  start(
    startable: Startable,
    stats: Stats,
  ): Promise<{ readonly ok: true; readonly instance: Instance } | StartFault>;
};

const refuse = (cause: PluginFailure, reason: string, missing = false) =>
  ({ ok: false, cause, reason, missing }) as const;

/** The program of a version with its configuration, or what is wrong with that. */
export const programOf = async (
  { candidate, grant }: Startable,
  parts: Pick<HostParts, 'env' | 'trustOf'>,
): Promise<Result<{ readonly program: Program; readonly config: PluginConfig }>> => {
  const { manifest } = candidate;
  const config = completeConfig(manifest.name, manifest.configSchema, grant.config, parts.env);
  if (!config.ok) return config;
  const code = await candidate.code();
  if (!code.ok) return code;
  const program: Program = {
    name: manifest.name,
    version: manifest.version,
    code: code.value,
    config: config.value.config,
    limits: effectiveLimits(manifest.limits, grant.limits),
    trust: parts.trustOf(manifest.name),
    alone: false,
  };
  return { ok: true, value: { program, config: config.value } };
};

export const createStarts = (name: string, parts: HostParts, events: StartsEvents): Starts => {
  const { candidates, integrity } = parts;

  const integrityFault: Starts['integrityFault'] = ({ hash, signedBy }, pinned) => {
    if (pinned !== null && pinned !== hash) return `its grant names ${pinned}, and this is ${hash}`;
    if (integrity === 'hash' && pinned === null)
      return 'this hub runs only plugins that were enabled with a hash (pluginIntegrity)';
    return integrity === 'signature' && signedBy === null
      ? 'it has no signature by a key that this hub knows (pluginIntegrity)'
      : undefined;
  };

  const find = async ({ installed, grant, rolledBack }: PluginDocument) => {
    if (installed === null || grant === null) return refuse('integrity', 'nothing is installed');
    const found = await candidates.inFolder(name);
    if (!found.ok && found.problem.code === 'not_found') {
      return refuse('integrity', 'this node has no folder of it', true);
    }
    const kept = await candidates.kept(name, installed.hash);
    if (found.ok && found.value.hash === installed.hash) {
      // Bundled before; those that come with the hub are made anew, as the hub's packages may be other ones.
      const code = found.value.bundled ? undefined : kept?.code;
      return { ok: true, value: { ...found.value, ...given({ code }) }, isNews: false } as const;
    }
    if (kept !== undefined) return { ok: true, value: kept, isNews: false } as const;
    if (!found.ok) return refuse('integrity', found.problem.detail);
    const { hash } = found.value;
    if (grant.hash !== null || rolledBack === hash) {
      return refuse('integrity', `this node has ${hash} in the folder, and not ${installed.hash}`);
    }
    return { ok: true, value: found.value, isNews: true } as const;
  };

  return {
    integrityFault,
    async choose(document) {
      const found = await find(document);
      if (!found.ok) return found;
      const { grant } = document;
      if (grant === null) return refuse('integrity', 'nothing is granted');
      const refused = integrityFault(found.value, grant.hash);
      if (refused !== undefined) return refuse('integrity', refused);
      return { ok: true, startable: { candidate: found.value, grant }, isNews: found.isNews };
    },
    async start(startable, stats) {
      const { candidate, grant } = startable;
      const made = await programOf(startable, parts);
      if (!made.ok) return refuse('initialize', made.problem.detail);
      const { program, config } = made.value;
      let instance: Instance | undefined;
      const told = (tell: (instance: Instance) => void): void => {
        if (instance !== undefined) tell(instance);
      };
      const started = await startInstance({
        // The files that it was made from are needed no longer.
        candidate: { ...candidate, code: async () => ({ ok: true, value: program.code }) },
        program,
        permissions: effectivePermissions(candidate.manifest.permissions, grant.permissions),
        limits: program.limits,
        config,
        sandbox: parts.sandbox(),
        stats,
        recorder: parts.createRecorder(parts.clock.now),
        logger: parts.logger,
        capabilities: parts.capabilities,
        events: {
          answered(answer, durationMs) {
            parts.called(name, durationMs / 1_000);
            events.answered(answer);
          },
          limited: (limit, detail) => events.limited(limit, detail, program.version),
          down: (death) => told((own) => events.down(own, death)),
          back: () => told(events.back),
          ended: (death) => told((own) => events.ended(own, death)),
        },
      });
      if (!started.ok) {
        const { cause, reason } = started.death;
        return refuse(cause === 'sibling' ? 'crash' : cause, reason);
      }
      instance = started.instance;
      await candidates.keep(candidate, program.code);
      const { death } = instance;
      return death === undefined ? started : refuse('crash', death.reason);
    },
  };
};
