import { type RecordedEvent, streamKey } from '../domain/event.ts';
import { fieldsOf, withChanges } from '../domain/service/fields.ts';
import type { ServiceEvent, ServiceState } from '../domain/service/service.ts';
import { isDown } from '../domain/service/status.ts';
import type { ServiceDocument } from './documents.ts';
import type { Projection } from './projection.ts';

type At = Pick<ServiceDocument, 'revision' | 'position'>;

/** Where the document stands now; undefined while its registration is not known (retention took it). */
const moved = (
  document: ServiceDocument | undefined,
  { revision, position }: At,
  changes: Partial<ServiceDocument> = {},
): ServiceDocument | undefined =>
  document === undefined ? undefined : { ...document, ...changes, revision, position };

/** A change to an instance that is registered; what comes after its end only moves the document's place. */
const changed = (
  document: ServiceDocument | undefined,
  at: At & { readonly metadata: { readonly recordedAt: string } },
  changes: Partial<ServiceDocument>,
): ServiceDocument | undefined =>
  document?.deregistered === true
    ? moved(document, at)
    : moved(document, at, { ...changes, updatedAt: at.metadata.recordedAt });

const maxFalls = 8;

const fallsAfter = (
  document: ServiceDocument | undefined,
  { data, metadata }: RecordedEvent<Extract<ServiceEvent, { readonly type: 'ServiceStatusChanged' }>>,
): readonly string[] => {
  const falls = document?.falls ?? [];
  return isDown(data.to) && !isDown(data.from) ? [metadata.recordedAt, ...falls].slice(0, maxFalls) : falls;
};

/** The registry: one document per instance id, deregistered ones included. */
export const services: Projection<ServiceDocument, ServiceEvent> = {
  name: 'services',
  version: 3,
  category: 'service',
  keepsHistory: true,
  keys: (event) => [streamKey(event.stream)],
  on: {
    ServiceRegistered: (_document, { data, metadata, revision, position }) => ({
      ...fieldsOf(data),
      id: data.id,
      owner: metadata.actor,
      status: data.status,
      statusReason: data.reason,
      statusCause: 'registration',
      statusSince: metadata.recordedAt,
      falls: [],
      circuit: null,
      servedBy: null,
      registeredAt: metadata.recordedAt,
      updatedAt: metadata.recordedAt,
      deregistered: false,
      fieldsAt: position,
      revision,
      position,
    }),
    ServiceUpdated: (document, event) =>
      changed(
        document,
        event,
        document === undefined
          ? {}
          : { ...withChanges(document, event.data.changes), fieldsAt: event.position },
      ),
    ServiceStatusChanged: (document, event) =>
      changed(document, event, {
        status: event.data.to,
        statusReason: event.data.reason,
        statusCause: event.data.cause ?? null,
        falls: fallsAfter(document, event),
        statusSince: event.metadata.recordedAt,
      }),
    ServiceDeregistered: (document, event) => changed(document, event, { deregistered: true }),
    CircuitOpened: (document, event) =>
      changed(document, event, {
        circuit: {
          reason: event.data.reason,
          since: document?.circuit?.since ?? event.metadata.recordedAt,
          until: event.data.until,
          openings: (document?.circuit?.openings ?? 0) + 1,
        },
      }),
    CircuitClosed: (document, event) => changed(document, event, { circuit: null }),
    ServiceAttached: (document, event) => changed(document, event, { servedBy: event.data.node }),
  },
};

/** The decider's state as of `document.revision`, so that a command need not fold the stream. */
export const restoreService = (document: ServiceDocument): ServiceState =>
  document.deregistered
    ? { status: 'deregistered', owner: document.owner }
    : {
        status: 'registered',
        owner: document.owner,
        health: document.status,
        cause: document.statusCause,
        fields: fieldsOf(document),
        openUntil: document.circuit?.until,
        servedBy: document.servedBy,
      };
