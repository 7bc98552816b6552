import type { ServiceStatus } from '../../domain/service/service.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import { type Evidence, evidenceOf } from './health/liveness.ts';
import { baseFindingOf, type Finding, findingOf } from './health/verdict.ts';

/** One registered instance and what this process knows of it. Owned and changed by the registry alone. */
export type Instance = {
  readonly id: string;
  document: ServiceDocument;
  evidence: Evidence;
  /** 0 … 1 as last reported; null before that. */
  load: number | null;
  metrics: ReadonlyMap<string, number>;
  /** Milliseconds since 1970: the last heartbeat or good probe; after a start of the hub, the service's last event. */
  lastSeenMs: number;
  /** By the registry's clock: since when its TTL runs. */
  heardMs: number;
  /** This node judges it; of others only what their documents say counts here. */
  judged: boolean;
  /** Invocations that this process has sent and not yet had the answer of. */
  inFlight: number;
  /** Status that is being or was written to the log and has not come back as a document yet. */
  written: Finding | null;
};

export const createInstance = (document: ServiceDocument): Instance => ({
  id: document.id,
  document,
  evidence: evidenceOf(document),
  load: null,
  metrics: new Map(),
  lastSeenMs: Date.parse(document.updatedAt),
  heardMs: 0,
  judged: false,
  inFlight: 0,
  written: null,
});

/** The status that counts now: what was seen last, even when the log does not have it yet. */
export const statusOf = (instance: Instance): ServiceStatus =>
  findingOf(instance.document, instance.evidence).status;

/** As `statusOf`, as if there were no open circuit: what an instance may be tried by a call for. */
export const baseStatusOf = (instance: Instance): ServiceStatus =>
  baseFindingOf(instance.document, instance.evidence).status;

/** Instances by id and by name. */
export type Instances = {
  byId(id: string): Instance | undefined;
  byName(name: string): Iterable<Instance>;
  all(): Iterable<Instance>;
  add(instance: Instance): void;
  /** Takes a changed document into an instance that is in here. */
  update(instance: Instance, document: ServiceDocument): void;
  remove(instance: Instance): void;
};

export const createInstances = (): Instances => {
  const ids = new Map<string, Instance>();
  const names = new Map<string, Set<Instance>>();

  const link = (instance: Instance): void => {
    const group = names.get(instance.document.name) ?? new Set();
    names.set(instance.document.name, group.add(instance));
  };
  const unlink = (instance: Instance): void => {
    const group = names.get(instance.document.name);
    group?.delete(instance);
    if (group?.size === 0) names.delete(instance.document.name);
  };

  return {
    byId: (id) => ids.get(id),
    byName: (name) => names.get(name) ?? [],
    all: () => ids.values(),
    add(instance) {
      ids.set(instance.id, instance);
      link(instance);
    },
    update(instance, document) {
      unlink(instance);
      instance.document = document;
      link(instance);
    },
    remove(instance) {
      ids.delete(instance.id);
      unlink(instance);
    },
  };
};
