import test from 'ava';
import fc from 'fast-check';
import { createTopicLimits } from '../../src/retention/limits.ts';
import { createTally } from '../../src/retention/tally.ts';

const seeded = { seed: 20_260_101, numRuns: 500 };
const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 300 });

test('what a tally leaves is within the limit, but for one message that is larger by itself', (t) => {
  const property = fc.property(sizes, fc.integer({ min: 50, max: 5_000 }), (all, maxBytes) => {
    const tally = createTally(maxBytes, 0);
    for (const [revision, bytes] of all.entries()) tally.add(revision, bytes);
    const left = all.slice(tally.from);
    const total = left.reduce((sum, bytes) => sum + bytes, 0);
    t.true(total <= maxBytes || left.length === 1, `${total} of ${maxBytes}`);
    t.is(tally.next, all.length);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('a tally takes no more than a block beyond what must go', (t) => {
  const property = fc.property(sizes, fc.integer({ min: 1_000, max: 20_000 }), (all, maxBytes) => {
    const tally = createTally(maxBytes, 0);
    for (const [revision, bytes] of all.entries()) tally.add(revision, bytes);
    if (tally.from === 0) return;
    // With one block more, of 1/32 of the limit and a message at most, the limit would not have held.
    let total = 0;
    for (let revision = tally.from - 1; revision < all.length; revision++) total += all[revision] ?? 0;
    t.true(total + maxBytes / 32 + 400 > maxBytes);
  });
  t.notThrows(() => fc.assert(property, seeded));
});

test('what is gone for another reason no longer counts, and a tally that is far behind begins anew', (t) => {
  const tally = createTally(3_200, 0);
  for (let revision = 0; revision < 20; revision++) tally.add(revision, 150);
  t.is(tally.from, 0);
  tally.forget(10);
  t.is(tally.from, 10);
  for (let revision = 20; revision < 31; revision++) tally.add(revision, 150);
  t.is(tally.from, 10);
  tally.forget(100);
  t.deepEqual([tally.from, tally.next], [100, 100]);
});

test('of all patterns that match a topic the strictest limit of each kind holds', (t) => {
  const none = { maxAgeSec: null, maxMessages: null, maxBytes: null };
  const limits = createTopicLimits([
    { topic: '>', ...none, maxMessages: 1_000, maxAgeSec: 60 },
    { topic: 'orders.*', ...none, maxMessages: 10 },
    { topic: 'orders.eu', ...none, maxMessages: 500, maxBytes: 7 },
  ]);
  t.deepEqual(limits.of('orders.eu'), { maxAgeSec: 60, maxMessages: 10, maxBytes: 7 });
  t.deepEqual(limits.of('orders.us'), { maxAgeSec: 60, maxMessages: 10, maxBytes: null });
  t.deepEqual(limits.of('a'), { maxAgeSec: 60, maxMessages: 1_000, maxBytes: null });
  t.is(createTopicLimits([{ topic: 'a.*', ...none, maxBytes: 1 }]).of('a'), undefined);
});
