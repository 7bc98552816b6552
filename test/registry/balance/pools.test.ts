import test from 'ava';
import { asPosition } from '../../../domain/event.ts';
import { defaultPolicy } from '../../../domain/service/policy.ts';
import type { ServiceStatus } from '../../../domain/service/service.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { evidenceOf } from '../../../src/registry/health/liveness.ts';
import { createBalanced, seeded } from './support.ts';

type Balanced = ReturnType<typeof createBalanced>;

/** A document with a status that its evidence bears out. */
const withStatus = (status: ServiceStatus): Partial<ServiceDocument> => ({
  status,
  healthCheckUrl: 'http://127.0.0.1/health',
  ttlSec: 60,
});

const turn = (balanced: Balanced, id: string, document: Partial<ServiceDocument>): void => {
  const instance = balanced.instance(id);
  if (instance !== undefined) instance.evidence = evidenceOf({ ...instance.document, ...document });
  balanced.put(id, document);
};

/** Everybody whom calls go to: as many calls in turn as there may be instances, twice. */
const called = (balanced: Balanced, request: object = {}, rounds = 40): string[] => {
  const ids = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    const picked = balanced.pick({ strategy: 'round-robin', ...request });
    picked?.settle('cancelled');
    if (picked !== undefined) ids.add(picked.instance.id);
  }
  return [...ids].sort();
};

const plain = { ...defaultPolicy.balancing, panicPercent: 0, slowStartSec: 0 };

test('after any puts and removes calls go to whom a scan of all instances would name', (t) => {
  const random = seeded(7);
  const below = (limit: number): number => Math.floor(random() * limit);
  const of = <Item>(items: readonly Item[]): Item => {
    const item = items[below(items.length)];
    if (item === undefined) throw new Error('none');
    return item;
  };
  const names = ['svc', 'other'];
  const capabilities = [[], ['x'], ['y'], ['x', 'y'], ['x', 'x']];
  const states: ServiceStatus[] = ['healthy', 'healthy', 'degraded', 'unhealthy', 'offline', 'draining'];
  const balanced = createBalanced();
  const all = new Map<string, ServiceDocument>();

  for (let step = 0; step < 1_500; step++) {
    const id = `i${below(20)}`;
    if (below(4) === 0) {
      balanced.remove(id);
      all.delete(id);
    } else {
      const document = {
        ...withStatus(of(states)),
        ...{ name: of(names), capabilities: of(capabilities), weight: 1 + below(5), balancing: plain },
      };
      turn(balanced, id, document);
      const instance = balanced.instance(id);
      if (instance !== undefined) all.set(id, instance.document);
    }
    const service = of(names);
    const capability = of(['', 'x', 'y']) || undefined;
    const having = [...all.values()].filter(
      ({ name, capabilities: own }) =>
        name === service && (capability === undefined || own.includes(capability)),
    );
    const inState = (wanted: ServiceStatus) =>
      having.filter(({ status }) => status === wanted).map(({ id: own }) => own);
    const fit = inState('healthy').length > 0 ? inState('healthy') : inState('degraded');
    for (const strategy of ['round-robin', 'weighted'] as const)
      t.deepEqual(called(balanced, { service, capability, strategy }, 150), fit.sort(), `step ${step}`);
    for (const strategy of ['least-loaded', 'random', 'consistent-hash', 'sticky', 'latency'] as const) {
      const picked = balanced.pick({ service, capability, strategy, key: `${step}` });
      picked?.settle('cancelled');
      t.is(picked === undefined, fit.length === 0, strategy);
      if (picked !== undefined) t.true(fit.includes(picked.instance.id), `${strategy} at step ${step}`);
    }
  }
});

test('an instance with a capability is picked among those that have it alone', (t) => {
  const balanced = createBalanced();
  balanced.put('a', { capabilities: ['pdf', 'a4'] });
  balanced.put('b', { capabilities: ['pdf'] });
  balanced.put('c');
  t.deepEqual(called(balanced, { capability: 'pdf' }), ['a', 'b']);
  t.deepEqual(called(balanced, { capability: 'a4' }), ['a']);
  t.deepEqual(called(balanced, { capability: 'toString' }), []);
  balanced.put('c', { capabilities: ['a4'] });
  t.deepEqual(called(balanced, { capability: 'a4' }), ['a', 'c']);
  balanced.remove('a');
  t.deepEqual(called(balanced, { capability: 'pdf' }), ['b']);
});

test('degraded instances are called when none is healthy, and nobody when there is neither', (t) => {
  const balanced = createBalanced();
  for (const id of ['a', 'b', 'c']) balanced.put(id, withStatus('healthy'));
  turn(balanced, 'a', withStatus('degraded'));
  t.deepEqual(called(balanced), ['b', 'c']);
  turn(balanced, 'b', withStatus('degraded'));
  turn(balanced, 'c', withStatus('offline'));
  t.deepEqual(called(balanced), ['a', 'b']);
  turn(balanced, 'a', withStatus('starting'));
  turn(balanced, 'b', withStatus('maintenance'));
  t.deepEqual(called(balanced), []);
});

test('a call that has been at all healthy instances goes to a degraded one', (t) => {
  const balanced = createBalanced();
  const healthy = balanced.put('a');
  balanced.put('b', { ...withStatus('degraded') });
  t.is(balanced.pick({ tried: new Set([healthy]) })?.instance.id, 'b');
});

test('panic: with fewer fit instances than panicPercent those that are not quite fit are called too', (t) => {
  const balanced = createBalanced();
  const ids = ['a', 'b', 'c', 'd', 'e'];
  for (const id of ids) balanced.put(id, withStatus('healthy'));
  turn(balanced, 'a', withStatus('unhealthy'));
  turn(balanced, 'b', withStatus('degraded'));
  t.deepEqual(called(balanced), ['c', 'd', 'e']);
  turn(balanced, 'c', withStatus('unhealthy'));
  t.deepEqual(called(balanced), ids);
  // One that is set aside or gone is not among those of which half should be fit.
  turn(balanced, 'a', withStatus('draining'));
  t.deepEqual(called(balanced), ['d', 'e']);
  turn(balanced, 'd', withStatus('offline'));
  turn(balanced, 'e', withStatus('offline'));
  t.deepEqual(called(balanced), ['b']);
});

test('panic: one with an open circuit is not called', (t) => {
  const balanced = createBalanced();
  for (const id of ['a', 'b', 'c', 'd', 'e']) balanced.put(id, withStatus('healthy'));
  balanced.fail('a', 5);
  turn(balanced, 'b', withStatus('unhealthy'));
  turn(balanced, 'c', withStatus('unhealthy'));
  t.deepEqual(called(balanced), ['b', 'c', 'd', 'e']);
});

test('only instances with an address are picked for a call that needs one', (t) => {
  const balanced = createBalanced();
  balanced.put('a', { reach: 'socket' });
  t.deepEqual(called(balanced, { directOnly: true }), []);
  balanced.put('b');
  t.deepEqual(called(balanced, { directOnly: true }), ['b']);
  t.deepEqual(called(balanced), ['a', 'b']);
});

test('rules › the instance that was registered or changed last decides, and after it the next', (t) => {
  const { put, balancer, remove } = createBalanced();
  const rule = (maxInFlight: number, place: number) => ({
    balancing: { ...defaultPolicy.balancing, maxInFlight },
    fieldsAt: asPosition(`${place}`.padStart(16, '0')),
  });
  t.is(balancer.rules('svc'), undefined);
  put('a', rule(1, 1));
  put('b', rule(2, 3));
  put('c', rule(3, 2));
  t.is(balancer.rules('svc')?.maxInFlight, 2);
  remove('b');
  t.is(balancer.rules('svc')?.maxInFlight, 3);
  put('c', rule(9, 4));
  t.is(balancer.rules('svc')?.maxInFlight, 9);
  put('a', rule(7, 5));
  t.is(balancer.rules('svc')?.maxInFlight, 7);
});
