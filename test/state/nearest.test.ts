import test from 'ava';
import { createNearest } from '../../src/state/expiry/nearest.ts';
import { createTestClock } from '../registry/support.ts';

const open = (maxHeld: number) => {
  const clock = createTestClock(0);
  const rung: string[] = [];
  const horizons: number[] = [];
  const nearest = createNearest({
    clock,
    maxHeld,
    onDue: (key, version) => rung.push(`${key}@${version} ${clock.now()}`),
    onCut: () => horizons.push(nearest.horizonMs),
  });
  return { clock, rung, horizons, nearest };
};

test('a key rings once, when it is due, with its newest version; one that was removed never', (t) => {
  const { clock, rung, nearest } = open(10);
  nearest.put('a', 1, 100);
  nearest.put('b', 1, 50);
  nearest.put('c', 1, 60);
  nearest.put('a', 2, 45_000);
  nearest.remove('c');
  clock.advance(44_999);
  t.deepEqual(rung, ['b@1 50']);
  clock.advance(1);
  t.deepEqual(rung, ['b@1 50', 'a@2 45000']);
  t.is(nearest.size, 0);
});

test('of more keys than are held the nearer half stays, and the horizon says what is known', (t) => {
  const { clock, rung, horizons, nearest } = open(10);
  for (let index = 0; index < 11; index++) nearest.put(`k${index}`, 1, 1_000 - 10 * index);
  t.deepEqual(horizons, [940]);
  t.is(nearest.size, 5);
  nearest.put('behind', 1, 940);
  nearest.put('before', 1, 939);
  t.is(nearest.size, 6);
  clock.advance(2_000);
  t.deepEqual(rung, ['k10@1 900', 'k9@1 910', 'k8@1 920', 'k7@1 930', 'before@1 939', 'k6@1 940']);
  nearest.put('beyond', 1, 3_000);
  t.is(nearest.size, 0, 'what is behind the horizon is not held until it is widened');
  nearest.widen();
  nearest.put('beyond', 1, 3_000);
  t.is(nearest.size, 1);
});

test('memory is bounded however many keys there are', (t) => {
  const { nearest } = open(1_000);
  for (let index = 0; index < 100_000; index++) {
    nearest.put(`k${index}`, 1, 1 + ((index * 7_919) % 100_003));
    if (nearest.size > 1_000) t.fail(`${nearest.size} are held`);
  }
  t.true(nearest.size >= 500);
});
