import { defaultLimits, noPermissions } from '../../domain/plugin/manifest.ts';
import { effectiveLimits, effectivePermissions } from '../../domain/plugin/permissions.ts';
import type { PluginDocument } from '../../projections/documents.ts';
import { plugins as model } from '../../projections/plugins.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { PluginMetrics, PluginStatus, PluginView } from '../nexus-plugins.ts';
import type { Offer, RuntimeFacts } from '../plugin/runtime.ts';
import type { Parts } from './parts.ts';

const noMetrics: PluginMetrics = {
  calls: 0,
  failures: {},
  wishes: 0,
  refused: {},
  limited: {},
  restarts: 0,
  heapBytes: 0,
  cpuMs: 0,
  p50Ms: null,
  p99Ms: null,
};

type Told = { readonly status: PluginStatus; readonly statusReason: string };

/** What is known of a plugin without what this node runs of it. */
const statusOf = (document: PluginDocument | undefined, offer: Result<Offer>): Told => {
  if (!offer.ok && offer.problem.code !== 'not_found')
    return { status: 'failed', statusReason: offer.problem.detail };
  if (document?.enabled === true) {
    return offer.ok
      ? { status: 'starting', statusReason: 'enabled' }
      : { status: 'missing', statusReason: 'this node has no folder of it' };
  }
  return document === undefined
    ? { status: 'available', statusReason: 'never enabled' }
    : { status: 'disabled', statusReason: document.reason ?? 'not enabled' };
};

/** A plugin as clients see it: what was wanted of it, what its folder holds, and what this node runs. */
const composed = (
  name: string,
  document: PluginDocument | undefined,
  offer: Result<Offer>,
  facts: RuntimeFacts | undefined,
): PluginView => {
  const offered = offer.ok ? offer.value : undefined;
  const manifest = offered?.manifest;
  const { installed, grant } = document ?? { installed: null, grant: null };
  const version = facts?.version ?? installed?.version ?? manifest?.version ?? '';
  const hash = facts?.hash ?? installed?.hash ?? offered?.hash ?? '';
  const requested = (hash === installed?.hash ? installed : manifest)?.permissions ?? noPermissions;
  const limits = (hash === installed?.hash ? installed : manifest)?.limits ?? defaultLimits;
  const last = document?.failures.at(-1);
  return {
    name,
    version,
    description: manifest?.description ?? '',
    ...(facts === undefined
      ? statusOf(document, offer)
      : { status: facts.status, statusReason: facts.statusReason }),
    bundled: offered?.bundled ?? false,
    trust: facts?.trust ?? 'normal',
    hash,
    signedBy: offered?.hash === hash ? offered.signedBy : null,
    ...(manifest !== undefined && offered !== undefined && offered.hash !== hash
      ? { offered: { version: manifest.version, hash: offered.hash } }
      : {}),
    permissions:
      facts?.permissions ??
      (grant === null ? noPermissions : effectivePermissions(requested, grant.permissions)),
    requested,
    limits: grant === null ? limits : effectiveLimits(limits, grant.limits),
    dependencies: manifest?.dependencies ?? {},
    metrics: facts?.metrics ?? noMetrics,
    ...given({ lastError: facts?.lastError ?? (last && { at: last.at, reason: last.reason }) }),
  };
};

type Known = Pick<Parts, 'runner' | 'plugins'>;

const documentOf = ({ runner }: Known, name: string): PluginDocument | undefined =>
  runner.store.read<PluginDocument>(model.name, name);

/** @returns `not_found` for a name that neither the log nor a folder knows. */
export const pluginViewOf = async (parts: Known, name: string): Promise<Result<PluginView>> => {
  const offer = await parts.plugins.offer(name);
  const document = documentOf(parts, name);
  if (document === undefined && !offer.ok && offer.problem.code === 'not_found')
    return fault(problem('not_found', `there is no plugin ${name}`, { plugin: name }));
  return ok(composed(name, document, offer, parts.plugins.facts(name)));
};

const missing = fault(problem('not_found', 'this node has no folder of it'));

/** All that the log or a folder knows, by name. */
export const pluginViews = async (parts: Known): Promise<readonly PluginView[]> => {
  const offers = new Map((await parts.plugins.offers()).map(({ name, offer }) => [name, offer]));
  const names = new Set(offers.keys());
  for (const [name] of parts.runner.store.range<PluginDocument>(model.name)) names.add(name);
  return [...names]
    .sort()
    .map((name) =>
      composed(name, documentOf(parts, name), offers.get(name) ?? missing, parts.plugins.facts(name)),
    );
};
