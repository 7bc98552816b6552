import { asRevision } from '../../../domain/event.ts';
import { serviceDecider } from '../../../domain/service/decider.ts';
import { defaultPolicy } from '../../../domain/service/policy.ts';
import type { ServiceCommand, ServiceEvent, ServiceFields } from '../../../domain/service/service.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { foldEvent } from '../../../projections/index.ts';
import { restoreService, services } from '../../../projections/services.ts';
import { openRegistry, type Registry, type RegistryOptions } from '../../../src/registry/registry.ts';
import { createTargets } from '../../../src/registry/target/targets.ts';
import { by } from '../../support/given.ts';
import { decoded, positionAt, record } from '../../support/recorded.ts';
import { createTestClock, quiet } from '../support.ts';

const fields: ServiceFields = {
  name: 'memory',
  version: '1.0.0',
  host: '127.0.0.1',
  port: 4000,
  protocol: 'http',
  capabilities: [],
  healthCheckUrl: null,
  ttlSec: null,
  weight: 1,
  tags: [],
  metadata: {},
  ...defaultPolicy,
};

const actor = { subject: 'system', admin: true };

type Recorded = { readonly id: string; readonly event: ServiceEvent; readonly atMs: number };

/** A log of services that decides and folds as the hub does, by a clock that is moved by hand. */
const createServiceLog = (nowMs: () => number, onChange: (document: ServiceDocument) => void) => {
  const documents = new Map<string, ServiceDocument>();
  const events: Recorded[] = [];

  const append = (id: string, event: ServiceEvent): void => {
    const known = documents.get(id);
    const revision = (known?.revision ?? -1) + 1;
    const [first] = record(`service-${id}`, [by('ann', event)]);
    if (first === undefined) throw new Error('nothing recorded');
    const recordedAt = new Date(nowMs()).toISOString();
    const logEvent = {
      ...first,
      revision: asRevision(revision),
      position: positionAt(events.length + 1),
      metadata: { ...first.metadata, recordedAt },
    };
    const folded = foldEvent(services, known, decoded(logEvent), id);
    if (!folded.ok) throw new Error(folded.reason);
    events.push({ id, event, atMs: nowMs() });
    const document = folded.document as ServiceDocument;
    documents.set(id, document);
    onChange(document);
  };

  const run = (id: string, command: ServiceCommand): void => {
    const document = documents.get(id);
    const state = document === undefined ? serviceDecider.initial : restoreService(document);
    const decision = serviceDecider.decide(command, state);
    if (!decision.ok) throw new Error(decision.rejection.code);
    for (const event of decision.events) append(id, event);
  };

  return { documents, events, run };
};

/** What was written of one instance, one line per event: `starting → healthy (heartbeat)`. */
const lineOf = ({ type, data }: ServiceEvent): string => {
  if (type === 'ServiceStatusChanged') return `${data.from} → ${data.to} (${data.cause})`;
  return type === 'ServiceDeregistered' ? `removed (${data.reason})` : type;
};

export type World = ReturnType<typeof openWorld>;

/** A registry over such a log. `restart` opens another one over the same log, as a hub that starts again does. */
export const openWorld = (options: Partial<RegistryOptions> = {}) => {
  const clock = createTestClock();
  let registry: Registry;
  const log = createServiceLog(clock.now, (document) => registry.put(document));

  const open = (): Registry =>
    openRegistry({
      logger: quiet,
      targets: createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }),
      clock: clock.now,
      after: clock.after,
      random: () => 0.5,
      async changeStatus(id, { status: to, reason, cause }) {
        log.run(id, { type: 'ChangeServiceStatus', to, reason, cause, actor });
      },
      async deregister(id, reason) {
        log.run(id, { type: 'DeregisterService', reason, actor });
      },
      ...options,
    });
  registry = open();

  return {
    clock,
    events: log.events,
    heartbeat: (id: string, status?: 'healthy' | 'degraded' | 'unhealthy') =>
      registry.heartbeat(id, { status }),
    register: (id: string, changes: Partial<ServiceFields>) =>
      log.run(id, { type: 'RegisterService', id, fields: { ...fields, ...changes }, actor }),
    update: (id: string, changes: Partial<ServiceFields>) =>
      log.run(id, { type: 'UpdateService', changes, actor }),
    patch: (id: string, to: 'draining' | 'maintenance' | 'healthy') =>
      log.run(id, { type: 'ChangeServiceStatus', to, reason: 'as I say', cause: 'operator', actor }),
    openCircuit: (id: string, reason: string) =>
      log.run(id, {
        type: 'OpenCircuit',
        reason,
        until: new Date(clock.now() + 5_000).toISOString(),
        actor,
      }),
    closeCircuit: (id: string) => log.run(id, { type: 'CloseCircuit', reason: 'it answered', actor }),
    document: (id: string) => log.documents.get(id),
    status: (id: string) => log.documents.get(id)?.status,
    /** Changes of status and removals of `id` so far. */
    written: (id: string): readonly string[] =>
      log.events
        .filter(({ id: of, event }) => of === id && event.type !== 'ServiceRegistered')
        .map(({ event }) => lineOf(event)),
    /** Moves the clock by steps of a second at most, and lets what follows from each be written. */
    async pass(ms: number): Promise<void> {
      for (let left = ms; left > 0; left -= 1_000) {
        clock.advance(Math.min(left, 1_000));
        await settled();
      }
    },
    async restart(downMs: number): Promise<void> {
      await registry.close();
      clock.advance(downMs);
      registry = open();
      for (const document of log.documents.values()) registry.put(document);
      await settled();
    },
    close: () => registry.close(),
  };
};

/** Everything has run that needs no clock and no socket. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
