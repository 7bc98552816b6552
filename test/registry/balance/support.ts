import type { ServiceDocument } from '../../../projections/documents.ts';
import {
  type CallOutcome,
  createBalancer,
  type PickRequest,
} from '../../../src/registry/balance/balancer.ts';
import type { CircuitChange } from '../../../src/registry/balance/circuit-writes.ts';
import { createInstance, type Instance } from '../../../src/registry/instance.ts';
import { createSchedule } from '../../../src/registry/schedule.ts';
import { createTestClock, serviceDocument } from '../support.ts';

/** A linear congruential generator: the same draws in every run. */
export const seeded = (seed: number) => {
  let state = seed;
  return (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

/** Longer ago than any slow start. */
export const longAgo = '2029-12-31T00:00:00.000Z';

/** A balancer with a clock that is moved by hand, and draws that are the same in every run. */
export const createBalanced = (seed = 42) => {
  const clock = createTestClock();
  const random = seeded(seed);
  const changes: (CircuitChange & { readonly id: string })[] = [];
  const instances = new Map<string, Instance>();
  const schedule = createSchedule(clock);
  const balancer = createBalancer({
    clock,
    timeOfDay: clock.now,
    schedule,
    random,
    onCircuit: ({ id }, change) => changes.push({ id, ...change }),
  });

  const put = (id: string, document: Partial<ServiceDocument> = {}): Instance => {
    const known = instances.get(id);
    if (known !== undefined) {
      known.document = { ...known.document, ...document };
      balancer.put(known);
      return known;
    }
    const instance = createInstance(serviceDocument({ id, statusSince: longAgo, ...document }));
    instances.set(id, instance);
    balancer.put(instance);
    return instance;
  };

  const pick = (request: Partial<PickRequest> = {}) =>
    balancer.pick({ service: 'svc', tried: new Set(), ...request });

  return {
    balancer,
    clock,
    random,
    changes,
    put,
    pick,
    remove(id: string): void {
      const instance = instances.get(id);
      instances.delete(id);
      if (instance !== undefined) balancer.remove(instance);
    },
    instance: (id: string): Instance | undefined => instances.get(id),

    /** One call that takes `ms` of the clock; the id of the instance that it went to. */
    call(request: Partial<PickRequest> = {}, outcome: CallOutcome = 'answered', ms = 1): string | undefined {
      const picked = pick(request);
      clock.advance(ms);
      picked?.settle(outcome);
      return picked?.instance.id;
    },

    /** Of `rounds` calls, one after the other, the share that each instance got. */
    shares(request: Partial<PickRequest> = {}, rounds = 3_000, ms = 0): Record<string, number> {
      const counts: Record<string, number> = {};
      for (let round = 0; round < rounds; round++) {
        const picked = pick(request);
        clock.advance(ms);
        picked?.settle('answered');
        const id = picked?.instance.id ?? 'nobody';
        counts[id] = (counts[id] ?? 0) + 1 / rounds;
      }
      return counts;
    },

    /** Calls with these ids as outcomes fail until `id` has had so many failures. */
    fail(id: string, failures: number, outcome: CallOutcome = 'failed'): void {
      for (let count = 0; count < failures; ) {
        const picked = pick({ strategy: 'round-robin' });
        if (picked === undefined) return;
        picked.settle(picked.instance.id === id ? outcome : 'answered');
        if (picked.instance.id === id) count++;
      }
    },
  };
};
