import { Range } from 'semver';
import type { Position } from '../../domain/event.ts';
import { isServiceId, isServiceName } from '../../domain/names.ts';
import { serviceStatuses } from '../../domain/service/service.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import { fault, invalid, ok, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Context, Service, ServiceFilter, ServiceList } from '../nexus-core.ts';
import type { ReadStore } from '../projection/read-store.ts';
import type { Registry } from '../registry/registry.ts';
import { maxListBytes, maxPageBytes, weigh } from './pages.ts';
import { clampLimit, type Reads } from './reads.ts';

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

type Accept = (service: ServiceDocument) => boolean;

const maxRange = 256;

/** Undefined for what is no range of versions. Pre-releases count as any other version. */
const rangeOf = (text: string): Range | undefined => {
  if (text.length > maxRange) return undefined;
  try {
    return new Range(text, { includePrerelease: true });
  } catch {
    return undefined;
  }
};

/** Which documents a filter lets through; `invalid` at the first of its parts that makes no sense. */
const acceptOf = (filter: ServiceFilter): Result<Accept> => {
  const { name, status, version, tag, reach, capabilities = [], cursor } = filter;
  if (name !== undefined && !isServiceName(name))
    return invalid('/name', 'must match [a-z0-9][a-z0-9._-]{0,63}');
  if (status !== undefined && !serviceStatuses.some((known) => known === status))
    return invalid('/status', `must be one of ${serviceStatuses.join(', ')}`);
  if (reach !== undefined && reach !== 'direct' && reach !== 'socket')
    return invalid('/reach', 'must be direct or socket');
  if (cursor !== undefined && !isServiceId(cursor))
    return invalid('/cursor', 'must be one that a page of this list has given');
  const range = version === undefined ? undefined : rangeOf(version);
  if (version !== undefined && range === undefined)
    return invalid('/version', `must be a semver range of at most ${maxRange} characters`);
  return ok(
    (service) =>
      !service.deregistered &&
      (name === undefined || service.name === name) &&
      (status === undefined || service.status === status) &&
      (tag === undefined || service.tags.includes(tag)) &&
      (reach === undefined || service.reach === reach) &&
      capabilities.every((capability) => service.capabilities.includes(capability)) &&
      (range === undefined || range.test(service.version)),
  );
};

/** Every instance behind `after` as it was at `asOf` (now when undefined), by id, deregistered ones too. */
function* documentsAt(
  store: ReadStore,
  asOf: Position | undefined,
  after: string | undefined,
): Iterable<ServiceDocument> {
  for (const [id, current] of store.range<ServiceDocument>('services', given({ after }))) {
    const document =
      asOf === undefined || current.position <= asOf
        ? current
        : store.at<ServiceDocument>('services', id, asOf)?.document;
    if (document !== undefined) yield document;
  }
}

/** The instances that have this name now, by id: found by the registry's index, whatever the number of other ones. */
function* documentsNamed(
  store: ReadStore,
  registry: Registry,
  name: string,
  after: string | undefined,
): Iterable<ServiceDocument> {
  const ids = Array.from(registry.named(name), ({ id }) => id);
  const left = after === undefined ? ids : ids.filter((id) => id > after);
  for (const id of left.sort()) {
    const document = store.read<ServiceDocument>('services', id);
    if (document !== undefined) yield document;
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

    services: async (filter: ServiceFilter, context: Context): Promise<Result<ServiceList>> => {
      const accepts = acceptOf(filter);
      if (!accepts.ok) return accepts;
      const at = await reads.begin(context, { scope: 'services:read' }, filter.asOf);
      if (!at.ok) return at;
      const { store, asOf, position } = at.value;
      const { name, cursor } = filter;
      const isPage = filter.limit !== undefined || cursor !== undefined;
      const limit = isPage ? clampLimit(filter.limit) : Number.POSITIVE_INFINITY;
      const documents =
        name !== undefined && asOf === undefined
          ? documentsNamed(store, registry, name, cursor)
          : documentsAt(store, asOf, cursor);
      const services: Service[] = [];
      let bytes = 0;
      for (const document of documents) {
        if (!accepts.value(document)) continue;
        // Told once there is one more, so that a page which ends the list has no cursor.
        if (services.length === limit || (isPage && bytes >= maxPageBytes))
          return ok({ services, position: asOf ?? position, ...given({ cursor: services.at(-1)?.id }) });
        services.push(viewOf(document, asOf));
        bytes += weigh(document);
        if (bytes > maxListBytes) {
          return fault(
            problem('too_large', 'these are too many services for one answer: ask for pages, or by a filter'),
          );
        }
      }
      return ok({ services, position: asOf ?? position });
    },
  };
};
