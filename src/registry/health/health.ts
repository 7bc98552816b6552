import { sameJson } from '../../../domain/json.ts';
import type { ServiceStatus } from '../../../domain/service/service.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { type Instance, type Instances, statusOf } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';
import type { Targets } from '../target/targets.ts';
import { createExpiry } from './expiry.ts';
import { createGrace } from './grace.ts';
import { afterHold, withHold } from './held.ts';
import {
  afterBadProbe,
  afterExpiry,
  afterGoodProbe,
  afterHeartbeat,
  afterSocketGone,
  afterSocketLeft,
  afterSocketOpen,
  type Evidence,
  evidenceOf,
  type ReportedStatus,
} from './liveness.ts';
import { createProber, type ProbeResult } from './probe.ts';
import { createProbing } from './probing.ts';
import { createRemoval, type Deregister } from './removal.ts';
import { createSlots } from './slots.ts';
import { type ChangeStatus, createTransitions } from './transitions.ts';

/** Keeps the evidence of every instance, and writes what follows from it (docs/adr/0023-health.md). */
export type Health = {
  /** An instance that was added. */
  watch(instance: Instance): void;
  /** One whose document has changed. @param before the document that it had. */
  changed(instance: Instance, before: ServiceDocument): void;
  /** One that was removed. */
  forget(instance: Instance): void;
  /** It has said that it lives. Resolves once what follows was written, or could not be. */
  heard(instance: Instance, reported: ReportedStatus | undefined): Promise<void>;
  /** A WebSocket over which it is called serves it from now on. Resolves as `heard`. */
  served(instance: Instance): Promise<void>;
  /** None does any more: it has a while to open another. @param reason as a clause. */
  unserved(instance: Instance, reason: string): void;
  close(): Promise<void>;
};

export type HealthOptions = {
  readonly clock: Clock;
  /** Milliseconds since 1970, as the log's times are. */
  readonly timeOfDay: () => number;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly targets: Targets;
  readonly instances: Instances;
  readonly random: () => number;
  readonly changeStatus: ChangeStatus;
  readonly deregister: Deregister;
  /** The instance has shown that it lives. */
  readonly onSeen: (instance: Instance) => void;
  /** Its evidence is another one. */
  readonly onEvidence: (instance: Instance) => void;
};

/** Events of the hub's own that are written at a time: a rack that falls silent is no burst. */
const maxWriting = 64;

const isSetAside = (status: ServiceStatus): boolean => status === 'draining' || status === 'maintenance';

/** Something new that is not the hub's own word of its calls. */
const isFromOutside = (document: ServiceDocument, before: ServiceDocument): boolean =>
  document.revision !== before.revision && sameJson(document.circuit, before.circuit);

export const createHealth = (options: HealthOptions): Health => {
  const { clock, timeOfDay, schedule, onSeen, onEvidence } = options;
  const slots = createSlots(maxWriting);
  const transitions = createTransitions({ ...options, slots });
  const removal = createRemoval({ ...options, slots });
  const prober = createProber(options.targets);
  /** When the hold of an instance ends, for those that are held down. */
  const holds = new Map<Instance, Alarm>();

  const followHold = (instance: Instance): void => {
    const { heldUntilMs } = instance.evidence;
    holds.get(instance)?.cancel();
    holds.delete(instance);
    if (heldUntilMs === 0) return;
    const end = (): void => void learn(instance, afterHold(instance.evidence));
    holds.set(instance, schedule.alarm(clock.now() + heldUntilMs - timeOfDay(), end));
  };

  /** Takes evidence in. True when it is another one. */
  const take = (instance: Instance, next: Evidence): boolean => {
    const before = instance.evidence;
    const evidence = withHold(instance.document, next, timeOfDay());
    if (evidence === before) return false;
    instance.evidence = evidence;
    if (evidence.heldUntilMs !== before.heldUntilMs) followHold(instance);
    return true;
  };

  /** Everything that the hub itself learns of an instance comes in here. */
  const learn = (instance: Instance, next: Evidence): Promise<void> => {
    if (!take(instance, next)) return transitions.pending(instance);
    onEvidence(instance);
    return transitions.settle(instance);
  };

  const isInGrace = ({ document }: Instance): boolean =>
    timeOfDay() - Date.parse(document.registeredAt) < document.healthCheck.graceMs;

  const afterProbe = (instance: Instance, result: ProbeResult): Evidence => {
    const { evidence, document } = instance;
    if (result.ok) return afterGoodProbe(evidence, document.healthCheck);
    const isPatient = statusOf(instance) === 'starting' && isInGrace(instance);
    return isPatient ? evidence : afterBadProbe(evidence, result.reason, document.healthCheck);
  };

  const probing = createProbing({
    ...options,
    probe: prober.probe,
    onResult(instance, result) {
      if (result.ok) onSeen(instance);
      void learn(instance, afterProbe(instance, result));
    },
  });

  const expiry = createExpiry({
    clock,
    schedule,
    onExpired: (instance) => void learn(instance, afterExpiry(instance.evidence)),
  });

  const grace = createGrace(clock, schedule, (instance) => {
    void learn(instance, afterSocketGone(instance.evidence));
  });
  const awaitSocket = (instance: Instance): void => {
    if (instance.document.reach === 'socket' && instance.evidence.socket === 'left') grace.begin(instance);
  };

  /** What stands behind a status that others have written; of its socket this node knows better. */
  const evidenceTold = ({ document, evidence }: Instance): Evidence => ({
    ...evidenceOf(document),
    socket: evidence.socket,
    socketFault: evidence.socketFault,
  });

  return {
    // A hub that was down does not hold that time against anybody: a whole TTL from now on.
    watch(instance) {
      take(instance, instance.evidence);
      expiry.restart(instance);
      awaitSocket(instance);
      probing.watch(instance);
      removal.watch(instance);
      void transitions.settle(instance);
    },

    changed(instance, before) {
      const { document } = instance;
      const statusMoved = document.status !== before.status || document.statusSince !== before.statusSince;
      const isOwnChange = statusMoved && document.status === instance.written?.status;
      if (statusMoved) instance.written = null;
      // An operator or the service itself has spoken: what was seen before no longer counts. What was seen of an instance
      // that was set aside does, when it is brought back.
      const isTold =
        statusMoved && !isOwnChange && !isSetAside(document.status) && !isSetAside(before.status);
      const evidence = isTold ? evidenceTold(instance) : instance.evidence;
      take(instance, document.reach === before.reach ? evidence : { ...evidence, socket: 'none' });
      const isSpoken = isFromOutside(document, before) && !isOwnChange;
      // Changes that were folded together come as one.
      if (isSpoken || document.ttlSec !== before.ttlSec) expiry.restart(instance);
      probing.watch(instance);
      removal.changed(instance);
      void transitions.settle(instance);
    },

    forget(instance) {
      expiry.forget(instance);
      grace.end(instance);
      probing.forget(instance);
      removal.forget(instance);
      holds.get(instance)?.cancel();
      holds.delete(instance);
      void transitions.settle(instance);
    },

    heard(instance, reported) {
      onSeen(instance);
      expiry.heard(instance);
      return learn(instance, afterHeartbeat(instance.evidence, reported));
    },

    served(instance) {
      grace.end(instance);
      onSeen(instance);
      expiry.heard(instance);
      return learn(instance, afterSocketOpen(instance.evidence));
    },

    unserved(instance, reason) {
      void learn(instance, afterSocketLeft(instance.evidence, reason));
      awaitSocket(instance);
    },

    async close() {
      transitions.stop();
      await Promise.all([probing.close(), slots.close()]);
      await prober.close();
    },
  };
};
