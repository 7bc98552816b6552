import { invalidAt, type Problem } from '../errors.ts';
import type { Targets } from '../registry/targets.ts';

type Place = {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly healthCheckUrl?: string | null | undefined;
};

/** What keeps a service from being registered where it says it is, or undefined. */
export const targetFault = (targets: Targets, { host, port, healthCheckUrl }: Place): Problem | undefined => {
  const place = host === undefined ? undefined : targets.refusal(host, port ?? 0);
  if (place !== undefined) return invalidAt('/host', `is refused: ${place}`);
  const url = typeof healthCheckUrl === 'string' ? new URL(healthCheckUrl) : undefined;
  const check = url === undefined ? undefined : targets.refusal(url.hostname, Number(url.port));
  return check === undefined ? undefined : invalidAt('/healthCheckUrl', `is refused: ${check}`);
};
