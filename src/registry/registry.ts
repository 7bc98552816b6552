import type { ServiceDocument } from '../../projections/documents.ts';
import { type Ownership, soleOwnership } from '../bus/ownership.ts';
import type { AskNode } from '../bus/remote/protocol.ts';
import { type Clock, steadyNow, systemClock } from '../clock.ts';
import { fault, ok, problem, type Result } from '../errors.ts';
import { given } from '../given.ts';
import type { Logger } from '../logger.ts';
import type { FromNodes } from '../nexus-core.ts';
import { createBalancer } from './balance/balancer.ts';
import { type ChangeCircuit, createCircuitWrites } from './balance/circuit-writes.ts';
import { createRetryBudget } from './call/budget.ts';
import { createBulkhead } from './call/bulkhead.ts';
import { createForward } from './call/forward.ts';
import { createHttpTransport } from './call/http.ts';
import { createInvoke, type Invoke } from './call/invoke.ts';
import { createProxy, type Forward } from './call/proxy.ts';
import type { Transport } from './call/transport.ts';
import { createUpgrade, type Upgrade } from './call/upgrade.ts';
import { createHealth } from './health/health.ts';
import type { ReportedStatus } from './health/liveness.ts';
import type { Deregister } from './health/removal.ts';
import type { ChangeStatus } from './health/transitions.ts';
import { createInstance, createInstances, type Instance, statusOf } from './instance.ts';
import { createBeats } from './nodes/beats.ts';
import { createClaims } from './nodes/claims.ts';
import { createRemoteCalls, tellAttempt } from './nodes/remote-calls.ts';
import { createShares } from './nodes/shares.ts';
import { createSchedule } from './schedule.ts';
import type { Attendance, Channel } from './socket/channel.ts';
import { createSockets } from './socket/sockets.ts';
import { createAgent } from './target/agent.ts';
import type { Targets } from './target/targets.ts';

export type Heartbeat = {
  readonly load?: number | undefined;
  readonly status?: ReportedStatus | undefined;
  readonly metrics?: Readonly<Record<string, unknown>> | undefined;
};

/** What only this process knows of an instance. */
export type Live = {
  readonly load: number | null;
  readonly inFlight: number;
  /** RFC 3339: the last heartbeat or good probe; after a restart of the hub, the last event of the service. */
  readonly lastSeenAt: string;
  /** Numbers of the last heartbeat that had any, at most 64. */
  readonly metrics: ReadonlyMap<string, number>;
};

/**
 * The services as this process sees them: the documents of the read model, and liveness, which is kept in memory.
 * Only a change of status becomes an event (docs/adr/0023-health.md).
 */
export type Registry = {
  /** Takes a document in: all of them at the start, then each one that changed, in log order. */
  put(document: ServiceDocument): void;
  /** Resolves once a change of status that follows from it was written, or could not be. Unknown ids are `not_found`. */
  heartbeat(
    id: string,
    beat: Heartbeat,
  ): Promise<Result<{ readonly ttlSec: number | null; readonly status: string }>>;
  live(id: string): Live | undefined;
  /** The document as it was last put; undefined for an id that is not registered. */
  document(id: string): ServiceDocument | undefined;
  /** The documents of a service's instances, in no order. */
  named(name: string): readonly ServiceDocument[];
  /** Those of all instances, in no order. */
  documents(): Iterable<ServiceDocument>;
  readonly invoke: Invoke;
  /** Takes a connection over which services are called that have no address. */
  attend(channel: Channel): Attendance;
  readonly fromNodes: FromNodes;
  /** Connections that end from now on do so because the hub goes away. */
  quiesce(): void;
  readonly forward: Forward;
  readonly upgrade: Upgrade;
  /** Stops probes and timers, gives running invocations 5 s, then breaks them. Idempotent. */
  close(): Promise<void>;
};

export type RegistryOptions = {
  readonly logger: Logger;
  readonly targets: Targets;
  readonly changeStatus: ChangeStatus;
  readonly deregister: Deregister;
  /** Unless given, circuits are known to this process alone. */
  readonly changeCircuit?: ChangeCircuit;
  /** Milliseconds since 1970, for everything; unless given, what falls due is counted by a clock that is never set. */
  readonly clock?: () => number;
  readonly after?: Clock['after'];
  /** 0 (inclusive) … 1 (exclusive). */
  readonly random?: () => number;
  /** Unless given, no other node writes to the log. */
  readonly nodes?: NodesOptions;
};

export type NodesOptions = {
  readonly node: string;
  readonly ownership: Ownership;
  readonly ask: AskNode;
  /** Writes that the WebSocket of the instance is open to this node. */
  readonly attach: (id: string) => Promise<void>;
};

const alone: NodesOptions = {
  node: '',
  ownership: soleOwnership,
  ask: (url) => Promise.resolve(fault(problem('not_owner', 'there are no other nodes', { node: url }))),
  attach: () => Promise.resolve(),
};

const invokeConnections = 64;
const closeLimitMs = 5_000;
const maxMetrics = 64;

const shuttingDown = fault(problem('shutting_down', 'the hub is shutting down'));

const numbersOf = (metrics: Readonly<Record<string, unknown>>): ReadonlyMap<string, number> => {
  const numbers = new Map<string, number>();
  for (const [name, value] of Object.entries(metrics)) {
    if (numbers.size < maxMetrics && typeof value === 'number') numbers.set(name, value);
  }
  return numbers;
};

export const openRegistry = (options: RegistryOptions): Registry => {
  const { logger, targets, changeCircuit = async () => {}, random = Math.random } = options;
  const clock: Clock = { now: options.clock ?? steadyNow, after: options.after ?? systemClock.after };
  const timeOfDay = options.clock ?? systemClock.now;
  const schedule = createSchedule(clock);
  const instances = createInstances();
  const agent = createAgent(targets, invokeConnections);
  const circuits = createCircuitWrites({ clock, schedule, logger, instances, changeCircuit });
  const balancer = createBalancer({ clock, timeOfDay, schedule, random, onCircuit: circuits.write });
  const { node, ownership, ask, attach } = options.nodes ?? alone;
  const isShared = ownership.self !== null;
  const hasSocket = (id: string): boolean => sockets.has(id);
  const shares = createShares({ ownership, node, instances, hasSocket });
  const claims = createClaims({ node, logger, schedule, now: clock.now, hasSocket, attach });
  const sockets = createSockets({
    async onServed(service) {
      const instance = instances.byId(service);
      if (instance === undefined) return;
      if (isShared) await claims.claim(instance);
      if (sockets.has(service)) await health.served(instance);
    },
    onGone(service, reason) {
      const instance = instances.byId(service);
      // That the hub goes away is not the service's doing: after its restart it has a while to come back.
      if (instance !== undefined && !leaving) health.unserved(instance, reason);
    },
  });
  const overHttp = createHttpTransport(agent);
  const overNodes = createRemoteCalls({ ownership, ask });
  const transport: Transport = (instance, call) => {
    if (instance.document.reach !== 'socket') return overHttp(instance, call);
    return sockets.has(instance.id) ? sockets.transport(instance, call) : overNodes(instance, call);
  };
  const beats = createBeats({
    after: clock.after,
    others: () => ownership.others,
    send: async (url, batch) => (await ask(url, { op: 'beats', beats: [...batch] })).ok,
  });
  const bulkhead = createBulkhead();
  const budget = createRetryBudget(clock.now);
  const calls = { instances, balancer, bulkhead, budget, schedule, clock, timeOfDay };
  const invoke = createInvoke({ ...calls, transport });
  let leaving = false;
  const forward = createProxy({ ...calls, forward: createForward({ dispatcher: agent, schedule, clock }) });
  const upgrade = createUpgrade({ ...calls, dispatcher: agent });
  let closing: Promise<void> | undefined;

  const health = createHealth({
    ...options,
    clock,
    timeOfDay,
    schedule,
    instances,
    random,
    shares,
    node: options.nodes === undefined || !isShared ? undefined : node,
    onSeen: (instance) => {
      instance.lastSeenMs = timeOfDay();
    },
    onEvidence: balancer.put,
  });

  const remove = (instance: Instance): void => {
    sockets.end(instance.id, 'it was deregistered');
    instances.remove(instance);
    balancer.remove(instance);
    circuits.forget(instance);
    health.forget(instance);
  };

  const update = (instance: Instance, document: ServiceDocument): void => {
    const before = instance.document;
    instances.update(instance, document);
    // Of two nodes that its WebSocket was opened to, the log has this one's claim behind the other's.
    const isTaken = document.servedBy !== before.servedBy && document.servedBy !== node;
    if (isTaken && !claims.isClaiming(document.id))
      sockets.end(document.id, 'a newer WebSocket serves it at another node');
    health.changed(instance, before);
    if (document.reach !== 'socket') sockets.end(instance.id, 'it is called at an address now');
    balancer.put(instance);
  };

  shares.follow(health.look);

  /** What a heartbeat says beside that the instance lives. */
  const note = (instance: Instance, { load, metrics }: Omit<Heartbeat, 'status'>): void => {
    if (load !== undefined) instance.load = load;
    if (metrics !== undefined) instance.metrics = numbersOf(metrics);
  };

  return {
    put(document) {
      if (closing !== undefined) return;
      const known = instances.byId(document.id);
      if (document.deregistered) {
        if (known !== undefined) remove(known);
      } else if (known !== undefined) {
        update(known, document);
      } else {
        const instance = createInstance(document);
        instances.add(instance);
        health.watch(instance);
        balancer.put(instance);
      }
    },

    async heartbeat(id, beat) {
      const instance = instances.byId(id);
      if (instance === undefined)
        return fault(problem('not_found', 'no service has this id: register it again', { id }));
      note(instance, beat);
      if (isShared) {
        const metrics = beat.metrics === undefined ? undefined : Object.fromEntries(instance.metrics);
        beats.heard({ service: id, ...given({ ...beat, metrics }) });
      }
      await health.heard(instance, beat.status);
      return ok({ ttlSec: instance.document.ttlSec, status: statusOf(instance) });
    },

    live(id) {
      const instance = instances.byId(id);
      if (instance === undefined) return undefined;
      const { load, inFlight, metrics, lastSeenMs } = instance;
      return { load, inFlight, metrics, lastSeenAt: new Date(lastSeenMs).toISOString() };
    },
    document: (id) => instances.byId(id)?.document,
    named: (name) => Array.from(instances.byName(name), ({ document }) => document),
    *documents() {
      for (const { document } of instances.all()) yield document;
    },

    invoke: async (...call) => (closing === undefined ? invoke(...call) : shuttingDown),
    forward: async (...call) => (closing === undefined ? forward(...call) : shuttingDown),
    upgrade: async (...call) => (closing === undefined ? upgrade(...call) : shuttingDown),

    attend: sockets.attend,
    fromNodes: {
      beats(heard) {
        if (closing !== undefined) return;
        for (const { service, status, ...more } of heard) {
          const instance = instances.byId(service);
          if (instance === undefined) continue;
          note(instance, more);
          health.heardElsewhere(instance, status);
        }
      },
      async call({ service, method, data, headers }, signal) {
        const instance = instances.byId(service);
        if (instance === undefined) return { outcome: 'unsent', why: `${service} is not registered` };
        const body = JSON.stringify(data);
        return tellAttempt(await sockets.transport(instance, { method, body, headers, signal }));
      },
    },
    quiesce() {
      leaving = true;
    },

    close() {
      leaving = true;
      closing ??= (async () => {
        schedule.close();
        beats.close();
        sockets.close();
        await Promise.all([health.close(), circuits.close()]);
        const limit = AbortSignal.timeout(closeLimitMs);
        const late = new Promise<void>((resolve) => {
          limit.addEventListener('abort', () => resolve(), { once: true });
        });
        await Promise.race([agent.close(), late]);
        await agent.destroy();
      })();
      return closing;
    },
  };
};
