import test from 'ava';
import { createBalanced } from './support.ts';

const even = (
  t: { true(value: boolean, message?: string): void },
  counts: Record<string, number>,
  n: number,
) => {
  for (const share of Object.values(counts)) t.true(Math.abs(share - 1 / n) < 0.05, JSON.stringify(counts));
};

for (const strategy of ['least-loaded', 'round-robin', 'weighted', 'random', 'latency'] as const)
  test(`${strategy} › equal instances get equal shares`, (t) => {
    const { put, shares } = createBalanced();
    for (const id of ['a', 'b', 'c']) put(id);
    const counts = shares({ strategy });
    t.is(Object.keys(counts).length, 3);
    even(t, counts, 3);
  });

test('least-loaded › the busiest instance is never picked, and every other one is', (t) => {
  const { put, shares } = createBalanced();
  put('a').inFlight = 9;
  put('b');
  put('c').inFlight = 1;
  t.deepEqual(Object.keys(shares()).sort(), ['b', 'c']);
});

test('least-loaded › among equally busy ones the reported load decides', (t) => {
  const { put, shares } = createBalanced();
  put('a').load = 0.9;
  put('b').load = 0.1;
  t.deepEqual(Object.keys(shares()), ['b']);
});

test('least-loaded › with the calls that it already has, an instance of weight 3 gets three times as many', (t) => {
  const { put, pick } = createBalanced();
  const heavy = put('heavy', { weight: 3 });
  put('light');
  for (let call = 0; call < 400; call++) pick();
  t.true(Math.abs(heavy.inFlight - 300) < 3, `${heavy.inFlight}`);
});

test('weighted › after any number of calls each has had its share but for three', (t) => {
  const { put, call } = createBalanced();
  const weights: Record<string, number> = { a: 1, b: 2, c: 7, d: 30 };
  for (const [id, weight] of Object.entries(weights)) put(id, { weight });
  const counts: Record<string, number> = { a: 0, b: 0, c: 0, d: 0 };
  for (let calls = 1; calls <= 2_000; calls++) {
    const id = call({ strategy: 'weighted' }) ?? 'nobody';
    counts[id] = (counts[id] ?? 0) + 1;
    for (const [each, weight] of Object.entries(weights))
      t.true(Math.abs((counts[each] ?? 0) - (calls * weight) / 40) < 3, `${each} after ${calls}`);
  }
});

test('round-robin › each is called once before one is called again', (t) => {
  const { put, call } = createBalanced();
  for (const id of ['a', 'b', 'c', 'd']) put(id);
  for (let round = 0; round < 5; round++) {
    const ids = [1, 2, 3, 4].map(() => call({ strategy: 'round-robin' }));
    t.is(new Set(ids).size, 4);
  }
});

test('the strategy of the call goes before the method’s, and that before the service’s', (t) => {
  const { put, balancer, pick } = createBalanced();
  const methods = { m: { strategy: 'round-robin' as const } };
  put('a', { methods });
  put('b', { methods });
  const inTurn = (request: object) => {
    const ids = [1, 2, 3, 4, 5, 6, 7, 8].map(() => {
      const picked = pick(request);
      picked?.settle('answered');
      return picked?.instance.id;
    });
    return ids.every((id, index) => index === 0 || id !== ids[index - 1]);
  };
  t.true(inTurn({ method: 'm' }));
  t.false(inTurn({ method: 'm', strategy: 'random' }));
  t.false(inTurn({ method: 'toString', strategy: undefined }));
  t.is(balancer.rules('svc')?.method('toString'), undefined);
});

test('a call goes to no instance twice, and to nobody when it has been at all', (t) => {
  for (const strategy of ['least-loaded', 'round-robin', 'weighted', 'random', 'latency'] as const) {
    const { put, pick } = createBalanced();
    const all = ['a', 'b', 'c', 'd'].map((id) => put(id));
    const tried = new Set<(typeof all)[number]>();
    for (let attempt = 0; attempt < 4; attempt++) {
      const picked = pick({ strategy, tried });
      if (picked !== undefined) tried.add(picked.instance);
    }
    t.is(tried.size, 4, strategy);
    t.is(pick({ strategy, tried }), undefined);
  }
});
