import { sameJson } from '../../../domain/json.ts';
import type { ServiceStatus } from '../../../domain/service/service.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import { type Instance, type Instances, statusOf } from '../instance.ts';
import type { Shares } from '../nodes/shares.ts';
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
import { createWitness } from './witness.ts';

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
  /** It has said so to another node. */
  heardElsewhere(instance: Instance, reported: ReportedStatus | undefined): void;
  /** Takes the instance over from another node, or gives it up, if it is another one's now to judge it. */
  look(instance: Instance): void;
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
  /** Undefined when no other writes to the log. */
  readonly node?: string | undefined;
  readonly shares: Omit<Shares, 'follow'>;
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
  const { clock, timeOfDay, schedule, shares, onSeen, onEvidence } = options;
  const slots = createSlots(maxWriting);
  const witness = createWitness(clock);
  const transitions = createTransitions({
    ...options,
    slots,
    mayWrite: (instance) => shares.valid && (instance.judged || witness.speaks(instance)),
  });
  const removal = createRemoval({ ...options, slots });
  const prober = createProber(options.targets, options.node);
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
    // A process that was stopped for a while has seen nothing that can be believed, nor could it be written.
    if (!shares.valid || !take(instance, next)) return transitions.pending(instance);
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
    onExpired(instance) {
      if (shares.valid) void learn(instance, afterExpiry(instance.evidence));
      else expiry.restart(instance);
    },
  });

  const grace = createGrace(clock, schedule, (instance) => {
    if (shares.valid) void learn(instance, afterSocketGone(instance.evidence));
    else grace.begin(instance);
  });
  const awaitSocket = (instance: Instance): void => {
    if (instance.document.reach === 'socket' && instance.evidence.socket === 'left') grace.begin(instance);
  };

  /** What the log says of it, and whether its socket is open to this node. */
  const recorded = (instance: Instance): Evidence => {
    const evidence = evidenceOf(instance.document);
    if (shares.holds(instance)) return { ...evidence, socket: 'open', socketFault: '' };
    return evidence.socket === 'left' && shares.isElsewhere(instance)
      ? { ...evidence, socketFault: 'the node that its WebSocket was open to is gone' }
      : evidence;
  };

  /** What stands behind a status that others have written; of its socket this node knows better. */
  const evidenceTold = ({ document, evidence }: Instance): Evidence => ({
    ...evidenceOf(document),
    socket: evidence.socket,
    socketFault: evidence.socketFault,
  });

  /** What was not seen does not count against anybody: a whole TTL from now on. */
  const begin = (instance: Instance, isTakenOver: boolean): void => {
    take(instance, instance.evidence);
    expiry.restart(instance);
    awaitSocket(instance);
    probing.watch(instance, isTakenOver);
    removal.watch(instance);
    void transitions.settle(instance);
  };

  const end = (instance: Instance): void => {
    expiry.forget(instance);
    grace.end(instance);
    probing.forget(instance);
    removal.forget(instance);
    holds.get(instance)?.cancel();
    holds.delete(instance);
  };

  const look = (instance: Instance): void => {
    const judged = shares.judges(instance);
    if (judged === instance.judged) return;
    instance.judged = judged;
    instance.written = null;
    instance.evidence = recorded(instance);
    if (judged) begin(instance, true);
    else end(instance);
    onEvidence(instance);
  };

  /** Says that an instance lives which another node has declared silent. */
  const contradict = async (instance: Instance, reported: ReportedStatus | undefined): Promise<void> => {
    take(instance, afterHeartbeat(recorded(instance), reported));
    onEvidence(instance);
    await witness.speak(instance, () => transitions.settle(instance));
    if (instance.judged) return;
    instance.evidence = recorded(instance);
    onEvidence(instance);
  };

  return {
    watch(instance) {
      instance.judged = shares.judges(instance);
      instance.evidence = recorded(instance);
      if (instance.judged) begin(instance, false);
    },

    look(instance) {
      look(instance);
      // What could not be written before the lease was back.
      if (instance.judged) void transitions.settle(instance);
    },

    changed(instance, before) {
      look(instance);
      const { document } = instance;
      if (!instance.judged) {
        instance.written = null;
        instance.evidence = recorded(instance);
        return;
      }
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
      end(instance);
      witness.forget(instance);
      void transitions.settle(instance);
    },

    heard(instance, reported) {
      onSeen(instance);
      if (instance.judged) {
        expiry.heard(instance);
        return learn(instance, afterHeartbeat(instance.evidence, reported));
      }
      return witness.maySpeak(instance) ? contradict(instance, reported) : transitions.pending(instance);
    },

    heardElsewhere(instance, reported) {
      onSeen(instance);
      if (!instance.judged) return;
      expiry.heard(instance);
      void learn(instance, afterHeartbeat(instance.evidence, reported));
    },

    served(instance) {
      look(instance);
      grace.end(instance);
      onSeen(instance);
      expiry.heard(instance);
      // Whether the socket is open needs no belief.
      take(instance, afterSocketOpen(instance.evidence));
      onEvidence(instance);
      return transitions.settle(instance);
    },

    unserved(instance, reason) {
      look(instance);
      if (!instance.judged) return;
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
