import type { Strategy } from '../../../domain/service/policy.ts';
import type { Clock } from '../../clock.ts';
import { baseStatusOf, type Instance } from '../instance.ts';
import type { Schedule } from '../schedule.ts';
import { createBreakers } from './breakers.ts';
import { type Candidate, createCandidate } from './candidate.ts';
import { choose } from './choose.ts';
import type { CircuitChange } from './circuit-writes.ts';
import { type Standing, standings } from './pool.ts';
import { balancingOf, createServiceGroups, moveCandidate, rulesOf, type ServiceRules } from './services.ts';
import { addCall, addLatency, addToMean, createStats, releaseRow, takeRow } from './stats.ts';
import { createSticky } from './sticky.ts';
import { createTurn } from './turn.ts';

/** How a call to an instance ended, as far as it says something about the instance. */
export type CallOutcome =
  /** It answered, whatever it answered below 500. */
  | 'answered'
  /** It answered with 500 or more, or with what cannot be read, or the connection broke. */
  | 'failed'
  | 'timeout'
  /** No connection was made; nothing was sent. */
  | 'unreachable'
  /** The caller went away, or something else happened that is not the instance's doing. */
  | 'cancelled';

export type PickRequest = {
  readonly service: string;
  readonly method?: string | undefined;
  /** Default: the method's, else the service's. */
  readonly strategy?: Strategy | undefined;
  /** What `consistent-hash` and `sticky` go by. */
  readonly key?: string | undefined;
  /** Only instances that have it. */
  readonly capability?: string | undefined;
  /** Instances that this call has been at already. */
  readonly tried: ReadonlySet<Instance>;
  /** Only instances that have an address. */
  readonly directOnly?: boolean;
};

export type Picked = {
  readonly instance: Instance;
  /** To be called once, when the call has ended. @param reason of a call that failed, for the log. */
  settle(outcome: CallOutcome, reason?: string): void;
};

export type { ServiceRules } from './services.ts';

/** Chooses the instance that a call goes to, and learns from how it ended (docs/adr/0024-balancing.md). */
export type Balancer = {
  /** Undefined when no instance is fit. */
  pick(request: PickRequest): Picked | undefined;
  /** Undefined for a service that nobody is registered as. */
  rules(service: string): ServiceRules | undefined;
  /** After an instance was added, and after each change of its document or evidence. */
  put(instance: Instance): void;
  remove(instance: Instance): void;
};

export type BalancerOptions = {
  /** By which calls are timed and what falls due is counted: never set back. */
  readonly clock: Clock;
  /** Milliseconds since 1970: what events and their ends are told in. */
  readonly timeOfDay: () => number;
  readonly schedule: Schedule;
  /** 0 (inclusive) … 1 (exclusive). */
  readonly random: () => number;
  /** A circuit opened or closed; it has already for this process. */
  readonly onCircuit: (instance: Instance, change: CircuitChange) => void;
};

const maxSticky = 100_000;

export const createBalancer = (options: BalancerOptions): Balancer => {
  const { clock, timeOfDay, schedule, random, onCircuit } = options;
  const candidates = new Map<Instance, Candidate>();
  const stats = createStats();
  const services = createServiceGroups();
  const turn = createTurn(random, stats, createSticky(maxSticky));

  const standingOf = ({ instance, circuit }: Candidate): Standing => {
    const status = baseStatusOf(instance);
    if (status !== 'healthy' && status !== 'degraded' && status !== 'unhealthy') return standings.away;
    if (!circuit.open) return status === 'healthy' ? standings.fit : standings[status];
    return circuit.due && !circuit.trying && status !== 'unhealthy' ? standings.trial : standings.ejected;
  };

  const startSlowly = (candidate: Candidate): void => {
    const { service } = candidate;
    candidate.rampUntilMs = clock.now() + balancingOf(service).slowStartSec * 1_000;
    service.rampsUntilMs = Math.max(service.rampsUntilMs, candidate.rampUntilMs);
  };

  const restand = (candidate: Candidate): void => {
    const before = candidate.standing;
    const standing = standingOf(candidate);
    if (standing === before) return;
    moveCandidate(candidate, standing);
    if (before > standings.degraded && standing <= standings.degraded) startSlowly(candidate);
  };

  const breakers = createBreakers({
    clock,
    timeOfDay,
    schedule,
    stats,
    random,
    onChange: restand,
    write: (candidate, change) => onCircuit(candidate.instance, change),
  });

  const add = (instance: Instance): void => {
    const { document } = instance;
    const candidate = createCandidate(instance, services.groupOf(document.name), takeRow(stats));
    candidates.set(instance, candidate);
    breakers.recorded(candidate, null, document.circuit);
    const standing = standingOf(candidate);
    services.link(candidate, standing);
    // At the hub's own start those that have been healthy for long have nothing to start slowly from.
    const healthyForMs = timeOfDay() - Date.parse(document.statusSince);
    const { slowStartSec } = balancingOf(candidate.service);
    if (standing <= standings.degraded && healthyForMs < slowStartSec * 1_000) startSlowly(candidate);
  };

  const update = (candidate: Candidate): void => {
    const { document: before } = candidate;
    const { document: after } = candidate.instance;
    if (after !== before) {
      services.change(candidate, after);
      breakers.recorded(candidate, before.circuit, after.circuit);
    }
    restand(candidate);
  };

  const settle = (
    candidate: Candidate,
    startedMs: number,
    isTrial: boolean,
    outcome: CallOutcome,
    reason: string,
  ): void => {
    const { instance, row, service, removed } = candidate;
    instance.inFlight--;
    if (removed) return;
    if (outcome === 'cancelled') {
      if (isTrial) breakers.tried(candidate, undefined, reason);
      return;
    }
    const nowMs = clock.now();
    const failed = outcome !== 'answered';
    // An instance that refuses or breaks is not quick: only answers, and waiting in vain, are a latency.
    if (!failed || outcome === 'timeout') addLatency(stats, row, nowMs - startedMs, nowMs);
    if (!failed) addToMean(service.mean, nowMs - startedMs, nowMs);
    addCall(stats, row, failed, nowMs);
    if (isTrial) breakers.tried(candidate, !failed, reason);
    else if (failed) breakers.failed(candidate, reason, startedMs);
  };

  const begin = (candidate: Candidate, startedMs: number): Picked => {
    const { instance } = candidate;
    const isTrial = candidate.standing === standings.trial;
    if (isTrial) breakers.tries(candidate);
    instance.inFlight++;
    let ended = false;
    return {
      instance,
      settle(outcome, reason = outcome) {
        if (ended) return;
        ended = true;
        settle(candidate, startedMs, isTrial, outcome, reason);
      },
    };
  };

  return {
    pick(request) {
      const service = services.byName(request.service);
      if (service === undefined) return undefined;
      const { capability } = request;
      const pool = capability === undefined ? service.all : service.capabilities.get(capability);
      if (pool === undefined) return undefined;
      const candidate = choose(turn, service, pool, request, clock.now());
      return candidate === undefined ? undefined : begin(candidate, turn.nowMs);
    },

    rules(name) {
      const service = services.byName(name);
      return service === undefined ? undefined : rulesOf(service);
    },

    put(instance) {
      const candidate = candidates.get(instance);
      if (candidate === undefined) add(instance);
      else update(candidate);
    },

    remove(instance) {
      const candidate = candidates.get(instance);
      if (candidate === undefined) return;
      candidates.delete(instance);
      candidate.removed = true;
      breakers.forget(candidate);
      services.unlink(candidate);
      // A call that is still under way there no longer finds it.
      releaseRow(stats, candidate.row);
    },
  };
};
