import test from 'ava';
import { createBalanced } from './support.ts';

type Balanced = ReturnType<typeof createBalanced>;

const keys = Array.from({ length: 10_000 }, (_, index) => `customer-${index}`);
const byKey = (balanced: Balanced, strategy: 'consistent-hash' | 'sticky' = 'consistent-hash') =>
  keys.map((key) => balanced.call({ strategy, key }, 'answered', 0));
const moved = (before: readonly unknown[], after: readonly unknown[]) =>
  before.flatMap((id, index) => (id === after[index] ? [] : [{ from: id, to: after[index] }]));
const ids = Array.from({ length: 20 }, (_, index) => `instance-${index}`);
const withAll = (order: readonly string[] = ids): Balanced => {
  const balanced = createBalanced();
  for (const id of order) balanced.put(id);
  return balanced;
};
const countOf = (all: readonly unknown[], id: string) => all.filter((one) => one === id).length;

test('a key goes to the same instance on every node, whatever order they were registered in', (t) => {
  t.deepEqual(byKey(withAll()), byKey(withAll(ids.toReversed())));
});

test('the keys are spread evenly: nobody has a fifth more than its share, nor less than half', (t) => {
  const chosen = byKey(withAll());
  for (const id of ids) {
    const share = countOf(chosen, id) / (keys.length / ids.length);
    t.true(share > 0.5 && share < 1.2, `${id}: ${share}`);
  }
});

test('an instance that is removed moves its own keys and no others, and one that is added takes only its own', (t) => {
  const balanced = withAll();
  const before = byKey(balanced);
  balanced.remove('instance-7');
  const without = byKey(balanced);
  const gone = moved(before, without);
  t.true(gone.length > 0 && gone.length < (1.3 * keys.length) / ids.length, `${gone.length}`);
  t.true(gone.every(({ from }) => from === 'instance-7'));
  balanced.put('instance-7');
  t.deepEqual(byKey(balanced), before);
});

test('one that is not fit moves its own keys, each to the same other one, and gets them back', (t) => {
  const balanced = withAll();
  const before = byKey(balanced);
  balanced.put('instance-3', { status: 'maintenance' });
  const meanwhile = byKey(balanced);
  const gone = moved(before, meanwhile);
  t.is(gone.length, countOf(before, 'instance-3'));
  t.true(gone.every(({ from }) => from === 'instance-3'));
  t.true(new Set(gone.map(({ to }) => to)).size > 10, 'they are spread');
  t.deepEqual(byKey(balanced), meanwhile);
  balanced.put('instance-3', { status: 'healthy' });
  t.deepEqual(byKey(balanced), before);
});

test('a call that has been at the instance of its key goes to the key’s next one', (t) => {
  const balanced = withAll();
  for (const key of keys.slice(0, 200)) {
    const request = { strategy: 'consistent-hash' as const, key };
    const first = balanced.pick(request);
    if (first === undefined) return t.fail();
    const second = balanced.pick({ ...request, tried: new Set([first.instance]) });
    t.not(second?.instance, first.instance);
    const again = balanced.pick({ ...request, tried: new Set([first.instance]) });
    t.is(again?.instance, second?.instance);
  }
});

test('an instance has keys in proportion to its weight', (t) => {
  const balanced = createBalanced();
  const weights: Record<string, number> = { a: 1, b: 2, c: 4, d: 300, e: 600 };
  for (const [id, weight] of Object.entries(weights)) balanced.put(id, { weight });
  const chosen = byKey(balanced);
  for (const [id, weight] of Object.entries(weights)) {
    const share = countOf(chosen, id) / keys.length;
    t.true(share < (1.5 * weight) / 907 + 0.01, `${id}: ${share}`);
  }
  t.true(countOf(chosen, 'e') > 1.4 * countOf(chosen, 'd'));
  balanced.put('e', { weight: 1 });
  t.true(countOf(byKey(balanced), 'd') > 0.9 * keys.length);
});

test('without a key, and with hardly anybody fit, somebody fit is called all the same', (t) => {
  const balanced = createBalanced();
  for (let index = 0; index < 2_000; index++) balanced.put(`i${index}`, { status: 'maintenance' });
  balanced.put('fit');
  t.is(balanced.call({ strategy: 'consistent-hash' }), 'fit');
  for (const key of keys.slice(0, 200)) t.is(balanced.call({ strategy: 'consistent-hash', key }), 'fit');
});

test('a key tries its own instance when the circuit may be tried, and no other key does', (t) => {
  const balanced = withAll();
  const before = byKey(balanced);
  balanced.fail('instance-5', 5);
  t.is(countOf(byKey(balanced), 'instance-5'), 0);
  balanced.clock.advance(6_000);
  const other = keys[before.findIndex((id) => id !== 'instance-5')] ?? '';
  const own = keys[before.indexOf('instance-5')] ?? '';
  t.not(balanced.call({ strategy: 'consistent-hash', key: other }), 'instance-5');
  t.is(balanced.call({ strategy: 'consistent-hash', key: own }), 'instance-5');
});

test('sticky › a key stays where it was while that instance is fit, also when instances are added', (t) => {
  const balanced = withAll(ids.slice(0, 5));
  const before = byKey(balanced, 'sticky');
  t.deepEqual(before, byKey(balanced), 'the first choice is that of consistent-hash');
  for (const id of ids.slice(5)) balanced.put(id);
  t.deepEqual(byKey(balanced, 'sticky'), before);
  balanced.put('instance-0', { status: 'maintenance' });
  const after = byKey(balanced, 'sticky');
  t.true(moved(before, after).every(({ from }) => from === 'instance-0'));
  balanced.put('instance-0', { status: 'healthy' });
  t.deepEqual(byKey(balanced, 'sticky'), after, 'and does not go back');
});

test('sticky › a call that goes elsewhere once does not take its key with it', (t) => {
  const balanced = withAll();
  const request = { strategy: 'sticky' as const, key: 'k' };
  const first = balanced.pick(request);
  if (first === undefined) return t.fail();
  t.not(balanced.pick({ ...request, tried: new Set([first.instance]) })?.instance, first.instance);
  t.is(balanced.pick(request)?.instance, first.instance);
});

test('sticky › of 100,000 keys at most the oldest are forgotten', (t) => {
  const balanced = withAll(ids.slice(0, 3));
  const pickAll = (count: number) =>
    Array.from({ length: count }, (_, index) => {
      const picked = balanced.pick({ strategy: 'sticky', key: `${index}` });
      picked?.settle('cancelled');
      return picked?.instance.id;
    });
  const first = pickAll(50_000);
  for (const id of ids.slice(3)) balanced.put(id);
  t.deepEqual(pickAll(50_000), first, 'the last 50,000 are always known');
  pickAll(150_000);
  t.notDeepEqual(pickAll(50_000), first, 'and those before the last 100,000 are not');
});
