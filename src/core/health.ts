import type { Health } from '../nexus-core.ts';
import { ReadModelDamaged } from '../projection/read-store.ts';
import type { Runner } from '../projection/runner.ts';
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
  const sound = reachable && log.durability.durable && nothingParked(runner);
  return {
    status: !runner.ready ? 'down' : sound ? 'ok' : 'degraded',
    version,
    uptimeSec: Math.max(0, Math.floor((clock() - startedAtMs) / 1_000)),
    node,
    log: { kind: log.kind, reachable, position, durability: log.durability },
    projections,
  };
};

/** Read models that cannot be read are being rebuilt: that is for /health to tell, not to fail at. */
const nothingParked = (runner: Runner): boolean => {
  try {
    return runner.parked().length === 0;
  } catch (error) {
    if (error instanceof ReadModelDamaged) return false;
    throw error;
  }
};
