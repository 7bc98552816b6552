import { setImmediate as nextTurn } from 'node:timers/promises';
import Range from 'semver/classes/range.js';
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
  const inRange = new Map<string, boolean>();
  const isInRange = (text: string): boolean => {
    if (range === undefined) return true;
    const known = inRange.get(text) ?? range.test(text);
    inRange.set(text, known);
    return known;
  };
  return ok(
    (service) =>
      !service.deregistered &&
      (name === undefined || service.name === name) &&
      (status === undefined || service.status === status) &&
      (tag === undefined || service.tags.includes(tag)) &&
      (reach === undefined || service.reach === reach) &&
      capabilities.every((capability) => service.capabilities.includes(capability)) &&
      isInRange(service.version),
  );
};

/** So many documents are looked at before others have their turn. */
const chunkDocuments = 1_000;

/** The documents of a list by id, as they stand at `position`, a chunk at a time: a long list holds nobody up. */
type Chunks = AsyncIterable<readonly ServiceDocument[]>;

const documentAt = (
  store: ReadStore,
  current: ServiceDocument,
  position: Position,
): ServiceDocument | undefined =>
  current.position <= position
    ? current
    : store.at<ServiceDocument>('services', current.id, position)?.document;

/** Every instance behind `after`, deregistered ones too. @param first how many the first chunk looks at. */
async function* allDocuments(
  store: ReadStore,
  position: Position,
  after: string | undefined,
  first: number,
): Chunks {
  let size = Math.min(first, chunkDocuments);
  for (let from = after; ; size = chunkDocuments) {
    const chunk: ServiceDocument[] = [];
    let looked = 0;
    for (const [id, current] of store.range<ServiceDocument>('services', given({ after: from }))) {
      from = id;
      const document = documentAt(store, current, position);
      if (document !== undefined) chunk.push(document);
      if (++looked === size) break;
    }
    yield chunk;
    if (looked < size) return;
    await nextTurn();
  }
}

/** Those of `ids`, which are in order. */
async function* documentsOf(
  store: ReadStore,
  position: Position,
  ids: readonly string[],
  first: number,
): Chunks {
  for (let from = 0, size = first; from < ids.length; size = chunkDocuments) {
    const chunk: ServiceDocument[] = [];
    for (const id of ids.slice(from, from + size)) {
      const current = store.read<ServiceDocument>('services', id);
      const document = current === undefined ? undefined : documentAt(store, current, position);
      if (document !== undefined) chunk.push(document);
    }
    from += size;
    yield chunk;
    await nextTurn();
  }
}

const isFiltered = ({ name, status, version, tag, reach, capabilities = [] }: ServiceFilter): boolean =>
  [name, status, version, tag, reach, capabilities[0]].some((part) => part !== undefined);

/** Ids of the instances that a filter lets through now: the registry has their documents in memory, and knows names. */
const idsNow = (registry: Registry, { name, cursor }: ServiceFilter, accept: Accept): readonly string[] => {
  const ids: string[] = [];
  for (const document of name === undefined ? registry.documents() : registry.named(name))
    if ((cursor === undefined || document.id > cursor) && accept(document)) ids.push(document.id);
  return ids.sort();
};

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
      const shown = asOf ?? position;
      const isPage = filter.limit !== undefined || filter.cursor !== undefined;
      const limit = isPage ? clampLimit(filter.limit) : Number.POSITIVE_INFINITY;
      const accept = accepts.value;
      const first = Math.min(limit + 1, chunkDocuments);
      const chunks =
        asOf === undefined && isFiltered(filter)
          ? documentsOf(store, shown, idsNow(registry, filter, accept), first)
          : allDocuments(store, shown, filter.cursor, first);
      const services: Service[] = [];
      let bytes = 0;
      for await (const chunk of chunks) {
        for (const document of chunk) {
          if (!accept(document)) continue;
          // Told once there is one more, so that a page which ends the list has no cursor.
          if (services.length === limit || (isPage && bytes >= maxPageBytes))
            return ok({ services, position: shown, ...given({ cursor: services.at(-1)?.id }) });
          services.push(viewOf(document, asOf));
          bytes += weigh(document);
          if (bytes > maxListBytes) {
            return fault(
              problem(
                'too_large',
                'these are too many services for one answer: ask for pages, or by a filter',
              ),
            );
          }
        }
      }
      return ok({ services, position: shown });
    },
  };
};
