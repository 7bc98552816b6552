import type { ServiceStatus, StatusCause } from '../../../domain/service/service.ts';
import { isDown } from '../../../domain/service/status.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { holdOf } from './hold.ts';
import type { Evidence } from './liveness.ts';

/** A status and what it follows from. */
export type Finding = { readonly status: ServiceStatus; readonly cause: StatusCause };
export type Verdict = Finding & { readonly reason: string };

const maxReasonLength = 512;

/** Made once: the status of an instance is asked for each heartbeat and each call. */
const findings = {
  draining: { status: 'draining', cause: 'operator' },
  maintenance: { status: 'maintenance', cause: 'operator' },
  silent: { status: 'offline', cause: 'ttl' },
  probedDown: { status: 'unhealthy', cause: 'probe' },
  saidUnhealthy: { status: 'unhealthy', cause: 'report' },
  saidDegraded: { status: 'degraded', cause: 'report' },
  unseen: { status: 'starting', cause: 'registration' },
  probedUp: { status: 'healthy', cause: 'probe' },
  heard: { status: 'healthy', cause: 'heartbeat' },
  circuitOpen: { status: 'unhealthy', cause: 'invocations' },
  socketGone: { status: 'offline', cause: 'socket' },
  served: { status: 'healthy', cause: 'socket' },
  held: { status: 'unhealthy', cause: 'flapping' },
} as const satisfies Readonly<Record<string, Finding>>;

/** Heartbeats, probes and sockets alone, without circuit and hold. */
const seenOf = (document: ServiceDocument, evidence: Evidence): Finding => {
  const { status, ttlSec, healthCheckUrl, reach } = document;
  // An operator's word stays until an operator ends it.
  if (status === 'draining' || status === 'maintenance') return findings[status];
  if (evidence.expired && ttlSec !== null) return findings.silent;
  if (reach === 'socket' && evidence.socket === 'none') return findings.unseen;
  if (reach === 'socket' && evidence.socket === 'gone') return findings.socketGone;
  if (evidence.probe === 'down' && healthCheckUrl !== null) return findings.probedDown;
  if (evidence.reported === 'unhealthy') return findings.saidUnhealthy;
  if (evidence.reported === 'degraded') return findings.saidDegraded;
  if (!evidence.seen && (ttlSec !== null || healthCheckUrl !== null)) return findings.unseen;
  if (reach === 'socket') return findings.served;
  return evidence.probe === 'up' && healthCheckUrl !== null ? findings.probedUp : findings.heard;
};

const isFit = ({ status }: Finding): boolean => status === 'healthy' || status === 'degraded';

/** Nothing speaks against it, as far as heartbeats and probes show. */
export const isGood = (document: ServiceDocument, evidence: Evidence): boolean =>
  isFit(seenOf(document, evidence));

/** As if there were no circuit: what an instance may be tried by a call for. Allocates nothing. */
export const baseFindingOf = (document: ServiceDocument, evidence: Evidence): Finding => {
  const seen = seenOf(document, evidence);
  return evidence.heldUntilMs > 0 && isFit(seen) && isDown(document.status) ? findings.held : seen;
};

/**
 * The status that an instance should have. Calls that failed outweigh heartbeats and probes: whether it recovers is shown
 * by calls that try it (docs/adr/0023-health.md). Allocates nothing.
 */
export const findingOf = (document: ServiceDocument, evidence: Evidence): Finding =>
  document.circuit !== null && isGood(document, evidence)
    ? findings.circuitOpen
    : baseFindingOf(document, evidence);

const heldReason = ({ falls }: ServiceDocument, { goodSinceMs, heldUntilMs }: Evidence): string => {
  const until = new Date(heldUntilMs).toISOString();
  const hold = holdOf(falls, goodSinceMs ?? heldUntilMs);
  return hold === undefined
    ? `fell too often, until ${until}`
    : `fell ${hold.falls} times within 10 min: must stay good for ${hold.forMs / 1_000} s, at least until ${until}`;
};

const reasonOf = (document: ServiceDocument, evidence: Evidence, { status, cause }: Finding): string => {
  switch (cause) {
    case 'operator':
      return document.statusReason;
    case 'ttl':
      return `no heartbeat within ${document.ttlSec} s`;
    case 'probe':
      return status === 'healthy' ? 'health check passed' : `health check: ${evidence.probeFault}`;
    case 'report':
      return 'reported by the service';
    case 'registration':
      return document.reach === 'socket'
        ? 'no WebSocket serves it yet'
        : 'neither a heartbeat nor a good probe yet';
    case 'heartbeat':
      return 'heartbeat';
    case 'invocations':
      return `circuit open: ${document.circuit?.reason ?? ''}`;
    case 'flapping':
      return heldReason(document, evidence);
    case 'socket':
      return status === 'healthy' ? 'its WebSocket serves it' : evidence.socketFault;
  }
};

/** As `findingOf`, with the reason that is written to the log: at most 512 characters. */
export const verdictOf = (document: ServiceDocument, evidence: Evidence): Verdict => {
  const finding = findingOf(document, evidence);
  return { ...finding, reason: reasonOf(document, evidence, finding).slice(0, maxReasonLength) };
};
