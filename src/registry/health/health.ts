import type { ServiceDocument } from '../../../projections/documents.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';
import type { Instance, Instances } from '../instance.ts';
import type { Alarm, Schedule } from '../schedule.ts';
import { createAgent } from '../target/connector.ts';
import type { Targets } from '../target/targets.ts';
import {
  afterBadProbe,
  afterExpiry,
  afterGoodProbe,
  afterHeartbeat,
  evidenceOf,
  type ReportedStatus,
} from './liveness.ts';
import { createProbing } from './probing.ts';
import { type ChangeStatus, createTransitions } from './transitions.ts';

/** Keeps the evidence of every instance, and writes what follows from it (docs/adr/0009-registry-liveness.md). */
export type Health = {
  /** An instance that was added. */
  watch(instance: Instance): void;
  /** One whose document has changed. @param before the document that it had. */
  changed(instance: Instance, before: ServiceDocument): void;
  /** One that was removed. */
  forget(instance: Instance): void;
  /** It has said that it lives. Resolves once what follows was written, or could not be. */
  heard(instance: Instance, reported: ReportedStatus | undefined): Promise<void>;
  close(): Promise<void>;
};

export type HealthOptions = {
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly targets: Targets;
  readonly instances: Instances;
  readonly random: () => number;
  readonly changeStatus: ChangeStatus;
  /** The instance has shown that it lives. */
  readonly onSeen: (instance: Instance) => void;
  /** Its evidence is another one. */
  readonly onEvidence: (instance: Instance) => void;
  readonly probeIntervalMs?: number;
  readonly probeTimeoutMs?: number;
};

const probeConnections = 2;

export const createHealth = (options: HealthOptions): Health => {
  const { clock, schedule, logger, targets, instances, random, changeStatus, onSeen, onEvidence } = options;
  const expiries = new Map<Instance, Alarm>();
  const transitions = createTransitions({ clock, logger, schedule, instances, changeStatus });
  const agent = createAgent(targets, probeConnections);

  const learn = (instance: Instance, evidence: Instance['evidence']): Promise<void> => {
    instance.evidence = evidence;
    onEvidence(instance);
    return transitions.settle(instance);
  };

  const probing = createProbing({
    clock,
    schedule,
    dispatcher: agent,
    random,
    intervalMs: options.probeIntervalMs ?? 10_000,
    timeoutMs: options.probeTimeoutMs ?? 2_000,
    onResult(instance, result) {
      if (result.ok) onSeen(instance);
      void learn(
        instance,
        result.ok ? afterGoodProbe(instance.evidence) : afterBadProbe(instance.evidence, result.reason),
      );
    },
  });

  /** A whole TTL from now on; a hub that was down does not hold that time against anybody. */
  const restartTtl = (instance: Instance): void => {
    const { ttlSec } = instance.document;
    const alarm = expiries.get(instance);
    if (ttlSec === null) {
      alarm?.cancel();
      return;
    }
    const atMs = clock.now() + ttlSec * 1_000;
    if (alarm !== undefined) {
      alarm.move(atMs);
      return;
    }
    const ring = (): void => void learn(instance, afterExpiry(instance.evidence));
    expiries.set(instance, schedule.alarm(atMs, ring));
  };

  const followUp = (instance: Instance): void => {
    if (instance.document.healthCheckUrl === null) probing.forget(instance);
    else probing.watch(instance);
    void transitions.settle(instance);
  };

  return {
    watch(instance) {
      restartTtl(instance);
      followUp(instance);
    },

    changed(instance, before) {
      const { document } = instance;
      const statusMoved = document.status !== before.status || document.statusSince !== before.statusSince;
      const isOwnChange = statusMoved && document.status === instance.written;
      if (isOwnChange) {
        instance.written = null;
      } else if (statusMoved) {
        // An operator or the service itself has spoken: what was seen before no longer counts.
        instance.written = null;
        instance.evidence = evidenceOf(document);
      }
      if (!isOwnChange && document.revision !== before.revision) restartTtl(instance);
      followUp(instance);
    },

    forget(instance) {
      expiries.get(instance)?.cancel();
      expiries.delete(instance);
      probing.forget(instance);
      void transitions.settle(instance);
    },

    heard(instance, reported) {
      onSeen(instance);
      restartTtl(instance);
      return learn(instance, afterHeartbeat(instance.evidence, reported));
    },

    async close() {
      await Promise.all([probing.close(), transitions.close()]);
      await agent.destroy();
    },
  };
};
