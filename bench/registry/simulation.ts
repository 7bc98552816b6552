import { defaultPolicy, type Strategy } from '../../domain/service/policy.ts';
import type { Clock } from '../../src/clock.ts';
import { createBalancer, type Picked } from '../../src/registry/balance/balancer.ts';
import { createInstance, type Instance } from '../../src/registry/instance.ts';
import { createSchedule, type Schedule } from '../../src/registry/schedule.ts';
import { benchService } from './service.ts';

/** What a service is put through: calls come at random, as they do from many callers that know nothing of each other. */
export type Scenario = {
  readonly strategy: Strategy;
  /** Whether circuits may open. */
  readonly breakers: boolean;
  readonly callsPerSec: number;
  readonly seconds: number;
  readonly serviceTime: 'exponential' | 'lognormal';
  readonly seed: number;
};

export type Outcome = {
  readonly calls: number;
  /** Of calls that were answered, or waited for in vain until the time limit. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all calls, those that failed or timed out. */
  readonly errorShare: number;
  /** Of the calls after the first 5 s, those that went to the instance that fails. */
  readonly failingShare: number;
  readonly slowShare: number;
  /** Circuits that opened or closed: what would be events. */
  readonly circuitEvents: number;
};

const instances = 10;
/** Calls that an instance works at, at one time; the others wait their turn. */
const workers = 8;
const meanMs = 20;
const slowFactor = 10;
const failMs = 1;
const limitMs = 2_000;
const settledAfterMs = 5_000;
const keys = 1_000;

/** 32 bits of state are enough for a hundred thousand draws (mulberry32). */
export const seededRandom = (seed: number) => {
  let state = seed >>> 0;
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** Time that passes only by `run`: from one thing that is due to the next. */
const createVirtualClock = (): Clock & { run(untilMs: number): void } => {
  let nowMs = Date.UTC(2030, 0, 1);
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  const earliest = () => {
    let first: { readonly atMs: number; readonly run: () => void } | undefined;
    for (const timer of timers) if (first === undefined || timer.atMs < first.atMs) first = timer;
    return first;
  };
  return {
    now: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    run(untilMs) {
      for (let first = earliest(); first !== undefined && first.atMs <= untilMs; first = earliest()) {
        timers.delete(first);
        nowMs = Math.max(nowMs, first.atMs);
        first.run();
      }
      nowMs = untilMs;
    },
  };
};

type Job = { readonly end: (outcome: 'answered' | 'failed') => void; readonly isOver: () => boolean };

/** A server with so many workers and a queue in front of them. */
const createServer = (schedule: Schedule, clock: Clock, kind: 'fails' | 'works', timeMs: () => number) => {
  const queue: Job[] = [];
  let busy = 0;
  const next = (): void => {
    while (busy < workers) {
      const job = queue.shift();
      if (job === undefined) return;
      // Whoever gave up is not worked for.
      if (job.isOver()) continue;
      busy++;
      schedule.alarm(clock.now() + timeMs(), () => {
        busy--;
        job.end(kind === 'fails' ? 'failed' : 'answered');
        next();
      });
    }
  };
  return (job: Job): void => {
    queue.push(job);
    next();
  };
};

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

const member = (id: string, { strategy, breakers }: Scenario): Instance =>
  createInstance(
    benchService(id, {
      balancing: { ...defaultPolicy.balancing, strategy, maxEjectedPercent: breakers ? 50 : 0 },
    }),
  );

/**
 * Ten instances of a service in virtual time, one of which is slow by ten times and one of which answers each call with
 * an error after a millisecond; calls are not repeated. The same seed gives the same answer.
 */
export const simulate = (scenario: Scenario): Outcome => {
  const { callsPerSec, seconds, serviceTime, seed } = scenario;
  const clock = createVirtualClock();
  const schedule = createSchedule(clock);
  const draw = seededRandom(seed);
  const exponential = (mean: number): number => -Math.log(1 - draw()) * mean;
  /** Median and mean differ by e^(1/2): sigma is 1. */
  const lognormal = (mean: number): number => {
    const normal = Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
    return mean * Math.exp(normal - 0.5);
  };
  const timeOf = serviceTime === 'exponential' ? exponential : lognormal;
  let circuitEvents = 0;
  const balancer = createBalancer({
    clock,
    timeOfDay: clock.now,
    schedule,
    random: seededRandom(seed + 1),
    onCircuit: () => circuitEvents++,
  });
  const servers = new Map<string, (job: Job) => void>();
  for (let index = 0; index < instances; index++) {
    const id = index === 0 ? 'fails' : index === 1 ? 'slow' : `works-${index}`;
    const timeMs = index === 0 ? () => failMs : () => timeOf(index === 1 ? slowFactor * meanMs : meanMs);
    servers.set(id, createServer(schedule, clock, index === 0 ? 'fails' : 'works', timeMs));
    balancer.put(member(id, scenario));
  }

  const startMs = clock.now();
  const endMs = startMs + seconds * 1_000;
  const latencies: number[] = [];
  const after = { calls: 0, failing: 0, slow: 0 };
  let calls = 0;
  let errors = 0;

  const send = ({ instance, settle }: Picked): void => {
    const sentMs = clock.now();
    let over = false;
    const end = (outcome: 'answered' | 'failed' | 'timeout'): void => {
      if (over) return;
      over = true;
      alarm.cancel();
      if (outcome !== 'failed') latencies.push(clock.now() - sentMs);
      if (outcome !== 'answered') errors++;
      settle(outcome);
    };
    const alarm = schedule.alarm(sentMs + limitMs, () => end('timeout'));
    servers.get(instance.id)?.({ end, isOver: () => over });
  };

  const arrive = (): void => {
    if (clock.now() >= endMs) return;
    calls++;
    const key = `key-${Math.floor(draw() * keys)}`;
    const picked = balancer.pick({ service: 'svc', key, tried: new Set() });
    if (clock.now() - startMs >= settledAfterMs) {
      after.calls++;
      if (picked?.instance.id === 'fails') after.failing++;
      if (picked?.instance.id === 'slow') after.slow++;
    }
    if (picked === undefined) errors++;
    else send(picked);
    schedule.alarm(clock.now() + exponential(1_000 / callsPerSec), arrive);
  };

  schedule.alarm(startMs, arrive);
  clock.run(endMs + limitMs);
  schedule.close();
  latencies.sort((one, other) => one - other);
  return {
    calls,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    errorShare: errors / calls,
    failingShare: after.failing / after.calls,
    slowShare: after.slow / after.calls,
    circuitEvents,
  };
};
