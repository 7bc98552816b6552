import type { Health } from '../nexus-core.ts';
import type { Parts } from './parts.ts';

/** What /health says: `down` when not even reads are served, `degraded` when only they are. */
export const healthOf = async (parts: Parts, version: string, startedAtMs: number): Promise<Health> => {
  const { log, runner, node, clock } = parts;
  let position = null;
  let reachable = log.reachable;
  if (reachable) {
    try {
      position = await log.position();
    } catch {
      reachable = false;
    }
  }
  const projections = runner.progress();
  const sound = reachable && log.durability.durable && runner.parked().length === 0;
  return {
    status: !runner.ready ? 'down' : sound ? 'ok' : 'degraded',
    version,
    uptimeSec: Math.floor((clock() - startedAtMs) / 1_000),
    node,
    log: { kind: log.kind, reachable, position, durability: log.durability },
    projections,
  };
};
