import type { HealthCheck } from '../../../domain/service/policy.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';

/**
 * What the hub itself has seen of an instance (docs/adr/0023-health.md). Pure: no clock, no I/O; every function answers
 * the next evidence, and the same object when nothing is new, so that most heartbeats and probes cost no more than that.
 */
export type Evidence = {
  /** A heartbeat or a good probe has come. */
  readonly seen: boolean;
  /** No heartbeat came within the TTL. */
  readonly expired: boolean;
  /** What the service last said of itself; stays until it says something else. */
  readonly reported: ReportedStatus | null;
  readonly probe: 'unknown' | 'up' | 'down';
  /** Good probes in a row of one that is down. */
  readonly successes: number;
  /** Bad probes in a row. */
  readonly failures: number;
  /** Why the last probe failed. */
  readonly probeFault: string;
  /**
   * Of an instance that is called over its WebSocket: it never had one, has one, had one a moment ago (or before the hub's
   * start), or lost it.
   */
  readonly socket: 'none' | 'open' | 'left' | 'gone';
  /** Why it has no WebSocket. */
  readonly socketFault: string;
  /** Milliseconds since 1970: since when everything speaks for it; null while something speaks against it. */
  readonly goodSinceMs: number | null;
  /** Milliseconds since 1970: until then it is held down, as it fell too often (hold.ts); 0 when it is not. */
  readonly heldUntilMs: number;
  /** It has stayed good for as long as it was held. */
  readonly proven: boolean;
};

export type ReportedStatus = 'healthy' | 'degraded' | 'unhealthy';

type Thresholds = Pick<HealthCheck, 'healthyThreshold' | 'unhealthyThreshold'>;

const nothing: Evidence = {
  seen: false,
  expired: false,
  reported: null,
  probe: 'unknown',
  successes: 0,
  failures: 0,
  probeFault: '',
  socket: 'none',
  socketFault: '',
  goodSinceMs: null,
  heldUntilMs: 0,
  proven: false,
};
const left = { socket: 'left', socketFault: 'its WebSocket did not come back' } as const;
const good: Evidence = { ...nothing, ...left, seen: true, probe: 'up' };

/** The evidence that stands behind a recorded status: what the hub goes on from after its own restart. */
export const evidenceOf = (document: ServiceDocument): Evidence => {
  switch (document.status) {
    case 'starting':
      return nothing;
    case 'healthy':
    case 'draining':
    case 'maintenance':
      return good;
    case 'degraded':
      return { ...good, reported: 'degraded' };
    case 'unhealthy':
      return behindUnhealthy(document);
    case 'offline':
      return document.statusCause === 'socket'
        ? { ...nothing, seen: true, socket: 'gone', socketFault: document.statusReason }
        : { ...nothing, ...left, expired: true };
  }
};

const behindUnhealthy = (document: ServiceDocument): Evidence => {
  switch (document.statusCause) {
    // Its circuit is in the document; everything else was good.
    case 'invocations':
      return good;
    case 'flapping':
      return { ...good, goodSinceMs: Date.parse(document.statusSince) };
    case 'report':
      return { ...nothing, ...left, seen: true, reported: 'unhealthy' };
    default:
      return document.healthCheckUrl === null
        ? { ...nothing, ...left, seen: true, reported: 'unhealthy' }
        : { ...nothing, seen: true, probe: 'down', probeFault: document.statusReason };
  }
};

export const afterHeartbeat = (evidence: Evidence, said: ReportedStatus | undefined): Evidence => {
  const reported = said ?? evidence.reported;
  return evidence.seen && !evidence.expired && reported === evidence.reported
    ? evidence
    : { ...evidence, seen: true, expired: false, reported };
};

export const afterExpiry = (evidence: Evidence): Evidence =>
  evidence.expired ? evidence : { ...evidence, expired: true };

/** To open one is a sign of life too. */
export const afterSocketOpen = (evidence: Evidence): Evidence => ({
  ...evidence,
  seen: true,
  expired: false,
  socket: 'open',
  socketFault: '',
});

export const afterSocketLeft = (evidence: Evidence, socketFault: string): Evidence => ({
  ...evidence,
  socket: 'left',
  socketFault,
});

export const afterSocketGone = (evidence: Evidence): Evidence => ({ ...evidence, socket: 'gone' });

/** The first good probe of a new instance counts at once; one that is down needs `healthyThreshold` in a row. */
export const afterGoodProbe = (evidence: Evidence, { healthyThreshold }: Thresholds): Evidence => {
  const { seen, probe, failures } = evidence;
  if (seen && probe === 'up' && failures === 0) return evidence;
  const successes = probe === 'down' ? evidence.successes + 1 : 0;
  return probe === 'down' && successes < healthyThreshold
    ? { ...evidence, seen: true, successes, failures: 0 }
    : { ...evidence, seen: true, probe: 'up', successes: 0, failures: 0 };
};

/** `unhealthyThreshold` bad ones in a row take it down. */
export const afterBadProbe = (
  evidence: Evidence,
  probeFault: string,
  { unhealthyThreshold }: Thresholds,
): Evidence => {
  const failures = evidence.failures + 1;
  const probe = failures >= unhealthyThreshold ? 'down' : evidence.probe;
  return { ...evidence, probe, successes: 0, failures, probeFault };
};
