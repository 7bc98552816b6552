import test from 'ava';
import { createRetryBudget } from '../../../src/registry/call/budget.ts';

/** How many repetitions there is room for now. */
const drain = (budget: ReturnType<typeof createRetryBudget>, service = 'svc'): number => {
  let spent = 0;
  for (; budget.allows(service); spent++) budget.spend(service);
  return spent;
};

test('a tenth of a thousand in ten seconds is there from the beginning, and again when it has aged', (t) => {
  let nowMs = 0;
  const budget = createRetryBudget(() => nowMs);
  t.is(drain(budget), 100);
  nowMs += 9_999;
  t.is(drain(budget), 0);
  nowMs += 1;
  t.is(drain(budget), 100);
});

test('a fifth of the calls of the last ten seconds comes on top, each service for itself', (t) => {
  let nowMs = 0;
  const budget = createRetryBudget(() => nowMs);
  for (let call = 0; call < 500; call++) budget.deposit('svc');
  t.is(drain(budget, 'other'), 100);
  t.is(drain(budget), 200);
  nowMs += 60_000;
  t.is(drain(budget), 100);
});
