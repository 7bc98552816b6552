import type { ServiceStatus, StatusCause } from './service.ts';

export const isDown = (status: ServiceStatus): boolean => status === 'unhealthy' || status === 'offline';

type Known = { readonly status: ServiceStatus; readonly cause: StatusCause | null };

/**
 * Whether `next` is written after `recorded`: another status always is. The same one with another cause is not, as an
 * instance with several faults would fill the log, unless it is kept down although heartbeats and probes are good again:
 * then the former reason would mislead.
 */
export const isNews = (next: Known, recorded: Known): boolean =>
  next.status !== recorded.status ||
  ((next.cause === 'flapping' || next.cause === 'invocations') &&
    next.cause !== recorded.cause &&
    recorded.cause !== 'flapping');
