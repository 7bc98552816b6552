import test from 'ava';
import { createRounds } from '../src/rounds.ts';

test('a call during a round waits for a round that begins after it, which serves all who called', async (t) => {
  let begun = 0;
  const gates: PromiseWithResolvers<void>[] = [];
  const run = createRounds(async () => {
    const number = ++begun;
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
    return number;
  });
  const first = run();
  const late = [run(), run(), run()];
  t.is(begun, 1);
  gates[0]?.resolve();
  t.is(await first, 1);
  await new Promise(setImmediate);
  t.is(begun, 2);
  const later = run();
  gates[1]?.resolve();
  t.deepEqual(await Promise.all(late), [2, 2, 2]);
  await new Promise(setImmediate);
  gates[2]?.resolve();
  t.is(await later, 3);
});

test('a round that fails is told to whoever asked for it, and the next one runs', async (t) => {
  let begun = 0;
  const run = createRounds(async () => {
    if (++begun === 1) throw new Error('the first');
    return begun;
  });
  const [first, second] = await Promise.allSettled([run(), run()]);
  t.is(first.status, 'rejected');
  t.deepEqual(second, { status: 'fulfilled', value: 2 });
});
