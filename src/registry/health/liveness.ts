import type { ServiceStatus, StatusCause } from '../../../domain/service/service.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';

/**
 * What the hub itself has seen of an instance, and the status that follows from it (docs/adr/0009-registry-liveness.md).
 * Pure: no clock, no I/O; every function answers the next evidence.
 */
export type Evidence = {
  /** A heartbeat or a good probe has come. */
  readonly seen: boolean;
  /** No heartbeat came within the TTL. */
  readonly expired: boolean;
  /** What the service last said of itself; stays until it says something else. */
  readonly reported: ReportedStatus | null;
  readonly probe: 'unknown' | 'up' | 'down';
  readonly successes: number;
  readonly failures: number;
  /** Why the last probe failed. */
  readonly probeFault: string;
};

export type ReportedStatus = 'healthy' | 'degraded' | 'unhealthy';
export type Verdict = {
  readonly status: ServiceStatus;
  readonly reason: string;
  readonly cause: StatusCause;
};

export const successesUp = 2;
export const failuresDown = 3;

const nothing: Evidence = {
  seen: false,
  expired: false,
  reported: null,
  probe: 'unknown',
  successes: 0,
  failures: 0,
  probeFault: '',
};

/** The evidence that stands behind a recorded status: what the hub goes on from after its own restart. */
export const evidenceOf = (document: ServiceDocument): Evidence => {
  switch (document.status) {
    case 'starting':
      return nothing;
    case 'healthy':
    case 'draining':
    case 'maintenance':
      return { ...nothing, seen: true, probe: 'up' };
    case 'degraded':
      return { ...nothing, seen: true, probe: 'up', reported: 'degraded' };
    case 'unhealthy':
      // Its circuit is in the document; everything else was good.
      if (document.statusCause === 'invocations') return { ...nothing, seen: true, probe: 'up' };
      return document.healthCheckUrl === null
        ? { ...nothing, seen: true, reported: 'unhealthy' }
        : { ...nothing, seen: true, probe: 'down', probeFault: document.statusReason };
    case 'offline':
      return { ...nothing, expired: true };
  }
};

export const afterHeartbeat = (evidence: Evidence, reported: ReportedStatus | undefined): Evidence => ({
  ...evidence,
  seen: true,
  expired: false,
  reported: reported ?? evidence.reported,
});

export const afterExpiry = (evidence: Evidence): Evidence => ({ ...evidence, expired: true });

/** The first good probe of a new instance counts at once; one that is down needs two in a row. */
export const afterGoodProbe = (evidence: Evidence): Evidence => {
  const successes = evidence.successes + 1;
  const up = evidence.probe !== 'down' || successes >= successesUp;
  return { ...evidence, seen: true, probe: up ? 'up' : 'down', successes, failures: 0 };
};

export const afterBadProbe = (evidence: Evidence, probeFault: string): Evidence => {
  const failures = evidence.failures + 1;
  const probe = failures >= failuresDown ? 'down' : evidence.probe;
  return { ...evidence, probe, successes: 0, failures, probeFault };
};

/**
 * The status that an instance should have: what it is fit for, less an open circuit. Calls that failed outweigh
 * heartbeats and probes; whether it recovers is shown by calls that try it (docs/adr/0023-health.md).
 */
export const verdictOf = (document: ServiceDocument, evidence: Evidence): Verdict => {
  const base = baseVerdictOf(document, evidence);
  if (document.circuit === null || (base.status !== 'healthy' && base.status !== 'degraded')) return base;
  const reason = `circuit open: ${document.circuit.reason}`.slice(0, 512);
  return { status: 'unhealthy', reason, cause: 'invocations' };
};

/** As if there were no circuit. An operator's `draining` and `maintenance` stay until someone ends them. */
export const baseVerdictOf = (document: ServiceDocument, evidence: Evidence): Verdict => {
  const { status, ttlSec, healthCheckUrl } = document;
  if (status === 'draining' || status === 'maintenance')
    return { status, reason: document.statusReason, cause: 'operator' };
  if (evidence.expired && ttlSec !== null)
    return { status: 'offline', reason: `no heartbeat within ${ttlSec} s`, cause: 'ttl' };
  if (evidence.probe === 'down' && healthCheckUrl !== null) {
    const reason = `health check: ${evidence.probeFault}`.slice(0, 512);
    return { status: 'unhealthy', reason, cause: 'probe' };
  }
  if (evidence.reported === 'unhealthy' || evidence.reported === 'degraded') {
    return { status: evidence.reported, reason: 'reported by the service', cause: 'report' };
  }
  if (!evidence.seen && (ttlSec !== null || healthCheckUrl !== null)) {
    const reason = 'neither a heartbeat nor a good probe yet';
    return { status: 'starting', reason, cause: 'registration' };
  }
  return evidence.probe === 'up' && healthCheckUrl !== null
    ? { status: 'healthy', reason: 'health check passed', cause: 'probe' }
    : { status: 'healthy', reason: 'heartbeat', cause: 'heartbeat' };
};
