import test from 'ava';
import { defaultPolicy, type Strategy } from '../../../domain/service/policy.ts';
import { createBalanced } from './support.ts';

const strategies: readonly Strategy[] = ['least-loaded', 'round-robin', 'weighted', 'random', 'latency'];
const others = Array.from({ length: 9 }, (_, index) => `old-${index}`);

for (const strategy of strategies)
  test(`${strategy} › a new instance begins with a tenth of its share, and has all of it after slowStartSec`, (t) => {
    const balanced = createBalanced();
    for (const id of others) balanced.put(id);
    balanced.put('new', { statusSince: '2030-01-01T00:00:00.000Z' });
    const shareOfNew = () => balanced.shares({ strategy }, 6_000).new ?? 0;
    const between = (least: number, most: number) => {
      const share = shareOfNew();
      t.true(share >= least && share <= most, `${share}`);
    };
    between(0.004, 0.03);
    balanced.clock.advance(5_000);
    between(0.035, 0.075);
    balanced.clock.advance(5_000);
    between(0.085, 0.115);
  });

test('an instance that has been healthy for long starts at once, as all do at the hub’s own start', (t) => {
  const balanced = createBalanced();
  for (const id of [...others, 'new']) balanced.put(id);
  t.true((balanced.shares({ strategy: 'random' }).new ?? 0) > 0.08);
});

test('one whose circuit has closed starts slowly', (t) => {
  const balanced = createBalanced();
  for (const id of [...others, 'new']) balanced.put(id);
  balanced.fail('new', 5);
  balanced.clock.advance(6_000);
  balanced.call();
  balanced.call();
  t.is(balanced.changes.at(-1)?.to, 'closed');
  const share = balanced.shares({ strategy: 'random' }).new ?? 0;
  t.true(share > 0 && share < 0.03, `${share}`);
  balanced.clock.advance(10_000);
  t.true((balanced.shares({ strategy: 'random' }).new ?? 0) > 0.08);
});

test('one that comes back from maintenance starts slowly', (t) => {
  const balanced = createBalanced();
  for (const id of [...others, 'new']) balanced.put(id);
  balanced.put('new', { status: 'maintenance' });
  t.is(balanced.shares({ strategy: 'random' }, 500).new, undefined);
  balanced.put('new', { status: 'healthy' });
  t.true((balanced.shares({ strategy: 'random' }).new ?? 0) < 0.03);
});

test('without a slow start, and when all start at once, everybody has its share', (t) => {
  const statusSince = '2030-01-01T00:00:00.000Z';
  const at = createBalanced();
  const balancing = { ...defaultPolicy.balancing, slowStartSec: 0 };
  for (const id of others) at.put(id, { balancing });
  at.put('new', { statusSince, balancing });
  t.true((at.shares({ strategy: 'random' }).new ?? 0) > 0.08);

  const all = createBalanced();
  for (const id of ['a', 'b']) all.put(id, { statusSince });
  for (const share of Object.values(all.shares({ strategy: 'random' })))
    t.true(Math.abs(share - 0.5) < 0.05, `${share}`);
});

test('the only instance is called from its first moment on', (t) => {
  const { put, shares } = createBalanced();
  put('a', { statusSince: '2030-01-01T00:00:00.000Z' });
  t.is(shares({}, 100).a?.toFixed(6), '1.000000');
});
