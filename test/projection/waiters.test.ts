import test from 'ava';
import { createWaiters } from '../../src/projection/waiters.ts';
import { positionAt } from '../support/recorded.ts';

test('who waits is let go when its position is reached, in whatever order they came', async (t) => {
  const waiters = createWaiters();
  const done: number[] = [];
  for (const place of [5, 2, 9, 2, 7]) {
    waiters.wait(positionAt(place), 60_000).then(
      () => done.push(place),
      () => {},
    );
  }
  waiters.release(positionAt(1));
  await null;
  t.deepEqual(done, []);
  waiters.release(positionAt(6));
  await new Promise(setImmediate);
  t.deepEqual(done, [2, 2, 5]);
  t.is(waiters.size, 2);
  waiters.release(positionAt(9));
  await new Promise(setImmediate);
  t.deepEqual(done, [2, 2, 5, 7, 9]);
  t.is(waiters.size, 0);
});

test('who waited too long, or is left when it closes, is told no and forgotten', async (t) => {
  const waiters = createWaiters();
  t.false(await waiters.wait(positionAt(1), 1));
  t.is(waiters.size, 0);
  const left = waiters.wait(positionAt(1), 60_000);
  waiters.close();
  t.false(await left);
  t.is(waiters.size, 0);
});
