import { satisfies, validRange } from 'semver';
import type { Position } from '../../domain/event.ts';
import { isServiceId, isServiceName } from '../../domain/names.ts';
import { serviceStatuses } from '../../domain/service/service.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import { fault, invalidAt, ok, type Problem, problem, type Result } from '../errors.ts';
import type { Context, Page, Service, ServiceFilter } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import type { Registry } from '../registry/registry.ts';
import { maxListBytes, weigh } from './pages.ts';
import type { Reads } from './reads.ts';

/**
 * A service as clients see it: its document and what the registry knows of it at this moment; of the past the
 * document alone is known.
 */
export const serviceView = (registry: Registry | undefined, document: ServiceDocument): Service => {
  const live = registry?.live(document.id);
  return {
    id: document.id,
    name: document.name,
    version: document.version,
    host: document.host,
    port: document.port,
    protocol: document.protocol,
    capabilities: document.capabilities,
    healthCheckUrl: document.healthCheckUrl,
    ttlSec: document.ttlSec,
    status: document.status,
    statusReason: document.statusReason,
    statusCause: document.statusCause,
    statusSince: document.statusSince,
    load: live?.load ?? null,
    inFlight: live?.inFlight ?? 0,
    weight: document.weight,
    tags: document.tags,
    metadata: document.metadata,
    healthCheck: document.healthCheck,
    removeAfterSec: document.removeAfterSec,
    balancing: document.balancing,
    methods: document.methods,
    reach: document.reach,
    circuit: document.circuit,
    registeredAt: document.registeredAt,
    lastSeenAt: live?.lastSeenAt ?? document.updatedAt,
    revision: document.revision,
  };
};

const filterFault = (filter: ServiceFilter): Problem | undefined => {
  const { name, status, version } = filter;
  if (name !== undefined && !isServiceName(name))
    return invalidAt('/name', 'must match [a-z0-9][a-z0-9._-]{0,63}');
  if (status !== undefined && !serviceStatuses.some((known) => known === status)) {
    return invalidAt('/status', `must be one of ${serviceStatuses.join(', ')}`);
  }
  if (version !== undefined && (version.length > 256 || validRange(version) === null)) {
    return invalidAt('/version', 'must be a semver range of at most 256 characters');
  }
  return undefined;
};

const matches = (service: ServiceDocument, filter: ServiceFilter): boolean =>
  (filter.name === undefined || service.name === filter.name) &&
  (filter.status === undefined || service.status === filter.status) &&
  (filter.tag === undefined || service.tags.includes(filter.tag)) &&
  (filter.capabilities ?? []).every((capability) => service.capabilities.includes(capability)) &&
  (filter.version === undefined || satisfies(service.version, filter.version, { includePrerelease: true }));

/** Every instance as it was at `asOf` (now when undefined), deregistered ones left out. */
function* documentsAt(store: ReadStore, asOf: Position | undefined): Iterable<ServiceDocument> {
  for (const [id, current] of store.range<ServiceDocument>('services')) {
    const document =
      asOf === undefined || current.position <= asOf
        ? current
        : store.at<ServiceDocument>('services', id, asOf)?.document;
    if (document !== undefined && !document.deregistered) yield document;
  }
}

export const createServiceQueries = (reads: Reads, registry: Registry) => {
  const viewOf = (document: ServiceDocument, asOf: Position | undefined): Service =>
    serviceView(asOf === undefined ? registry : undefined, document);
  return {
    service: async (
      id: string,
      options: { readonly asOf?: string | undefined },
      context: Context,
    ): Promise<Result<Service>> => {
      const at = await reads.begin(context, { scope: 'services:read' }, options.asOf);
      if (!at.ok) return at;
      const { store, asOf } = at.value;
      const document = !isServiceId(id)
        ? undefined
        : asOf === undefined
          ? store.read<ServiceDocument>('services', id)
          : store.at<ServiceDocument>('services', id, asOf)?.document;
      if (document === undefined || document.deregistered) {
        return fault(problem('not_found', 'no service has this id', { id: id.slice(0, 128) }));
      }
      return ok(viewOf(document, asOf));
    },

    services: async (filter: ServiceFilter, context: Context): Promise<Result<Page<'services', Service>>> => {
      const wrong = filterFault(filter);
      if (wrong !== undefined) return fault(wrong);
      const at = await reads.begin(context, { scope: 'services:read' }, filter.asOf);
      if (!at.ok) return at;
      const { store, asOf, position } = at.value;
      const services: Service[] = [];
      let bytes = 0;
      for (const document of documentsAt(store, asOf)) {
        if (!matches(document, filter)) continue;
        services.push(viewOf(document, asOf));
        bytes += weigh(document);
        if (bytes > maxListBytes) {
          return fault(
            problem('too_large', 'these are too many services for one answer: ask for fewer by a filter'),
          );
        }
      }
      return ok({ services, position: asOf ?? position });
    },
  };
};
