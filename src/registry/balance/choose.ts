import type { Balancing } from '../../../domain/service/policy.ts';
import type { PickRequest } from './balancer.ts';
import type { Candidate } from './candidate.ts';
import { endOf, type Pool, sizeOf, standings, startOf } from './pool.ts';
import { balancingOf, methodOf, type ServiceGroup } from './services.ts';
import { meanOf } from './stats.ts';
import { strategies } from './strategies/strategies.ts';
import type { Turn } from './turn.ts';

/** So few are fit that those that are not quite fit are called too: better slow than flattened one by one. */
const panics = (pool: Pool, { panicPercent }: Balancing): boolean => {
  const fit = sizeOf(pool, standings.fit);
  return fit > 0 && fit * 100 < panicPercent * endOf(pool, standings.ejected);
};

const fill = (turn: Turn, service: ServiceGroup, pool: Pool, request: PickRequest, nowMs: number): void => {
  turn.pool = pool;
  turn.nowMs = nowMs;
  turn.meanMs = meanOf(service.mean);
  turn.ramps = service.rampsUntilMs > nowMs;
  turn.service = service.name;
  turn.capability = request.capability;
  turn.key = request.key;
  turn.tried = request.tried;
  turn.directOnly = request.directOnly === true && service.sockets > 0;
  turn.excludes = request.tried.size > 0 || turn.directOnly;
};

/** An instance whose circuit may be tried, and that this call has not been at. */
const trial = (turn: Turn): Candidate | undefined => {
  const { pool } = turn;
  for (let slot = startOf(pool, standings.trial); slot < endOf(pool, standings.trial); slot++) {
    const candidate = pool.members[slot]?.candidate;
    if (candidate !== undefined && !turn.isOut(candidate)) return candidate;
  }
  return undefined;
};

/**
 * The instance of `pool` that a call goes to. Leaves `turn` as it was chosen by.
 *
 * Fit ones are called; when there are none, or this call has been at all of them, degraded ones; then one whose circuit
 * may be tried. A trial comes before all others for the first attempt of a call, or it might never come; a call that
 * has failed elsewhere is not put at risk for it. A call with a key tries only the instance that its key belongs to.
 */
export const choose = (
  turn: Turn,
  service: ServiceGroup,
  pool: Pool,
  request: PickRequest,
  nowMs: number,
): Candidate | undefined => {
  fill(turn, service, pool, request, nowMs);
  const balancing = balancingOf(service);
  const { method } = request;
  const strategy =
    request.strategy ??
    (method === undefined ? undefined : methodOf(service, method)?.strategy) ??
    balancing.strategy;
  const isKeyed = turn.key !== undefined && (strategy === 'consistent-hash' || strategy === 'sticky');
  turn.slowStartMs = balancing.slowStartSec * 1_000;
  turn.tries = isKeyed && request.tried.size === 0;

  if (sizeOf(pool, standings.trial) > 0 && !isKeyed && request.tried.size === 0) {
    const candidate = trial(turn);
    if (candidate !== undefined) return candidate;
  }
  const fitEnd = endOf(pool, standings.fit);
  turn.from = 0;
  turn.size = panics(pool, balancing) ? endOf(pool, standings.unhealthy) : fitEnd;
  const fit = turn.size > 0 ? strategies[strategy](turn) : undefined;
  if (fit !== undefined) return fit;
  turn.from = fitEnd;
  turn.size = endOf(pool, standings.degraded) - fitEnd;
  const degraded = turn.size > 0 ? strategies[strategy](turn) : undefined;
  return degraded ?? trial(turn);
};
