import test from 'ava';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { pick } from '../../../src/registry/balance/pick.ts';
import { createInstance, type Instance } from '../../../src/registry/instance.ts';
import { serviceDocument } from '../support.ts';

/** A linear congruential generator: the same draws in every run. */
const seeded = (seed: number) => {
  let state = seed;
  return (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

const instance = (
  id: string,
  changes: Partial<ServiceDocument & Pick<Instance, 'load' | 'inFlight'>> = {},
): Instance => {
  const { load = null, inFlight = 0, ...document } = changes;
  return { ...createInstance(serviceDocument({ id, ...document })), load, inFlight };
};

const shares = (instances: readonly Instance[], rounds = 3_000): Record<string, number> => {
  const random = seeded(42);
  const counts: Record<string, number> = {};
  for (let round = 0; round < rounds; round++) {
    const picked = pick(instances, () => true, random);
    if (picked !== undefined) counts[picked.id] = (counts[picked.id] ?? 0) + 1 / rounds;
  }
  return counts;
};

test('equal instances get equal shares', (t) => {
  const counts = shares(['a', 'b', 'c'].map((id) => instance(id)));
  for (const share of Object.values(counts)) t.true(Math.abs(share - 1 / 3) < 0.05, `${share}`);
});

test('the busiest instance is never picked, and every other one is', (t) => {
  const counts = shares([instance('a', { inFlight: 9 }), instance('b'), instance('c', { inFlight: 1 })]);
  t.deepEqual(Object.keys(counts).sort(), ['b', 'c']);
});

test('among equally busy ones the reported load decides', (t) => {
  t.deepEqual(Object.keys(shares([instance('a', { load: 0.9 }), instance('b', { load: 0.1 })])), ['b']);
});

test('with the requests that it already has, an instance of weight 3 gets three times as many', (t) => {
  const instances = [instance('heavy', { weight: 3 }), instance('light')];
  const random = seeded(1);
  for (let round = 0; round < 400; round++) {
    const picked = pick(instances, () => true, random);
    if (picked !== undefined) picked.inFlight++;
  }
  t.true(Math.abs((instances[0]?.inFlight ?? 0) - 300) < 3, `${instances[0]?.inFlight}`);
});

test('only healthy instances that are accepted are picked', (t) => {
  const all = [
    instance('a', { status: 'draining' }),
    instance('b', { status: 'offline', ttlSec: 5 }),
    instance('c', { status: 'starting', ttlSec: 5 }),
    instance('d', { capabilities: ['x'] }),
    instance('e'),
  ];
  t.deepEqual(Object.keys(shares(all, 200)).sort(), ['d', 'e']);
  t.is(pick(all, ({ id }) => id === 'd', Math.random)?.id, 'd');
  t.is(
    pick(all, () => false, Math.random),
    undefined,
  );
  t.is(
    pick([], () => true, Math.random),
    undefined,
  );
});
