import test from 'ava';
import {
  checkpointEveryMs,
  checkpointEverySettled,
  createCheckpointer,
} from '../../../src/bus/subscription/checkpointer.ts';
import { createTestClock } from '../../registry/support.ts';
import { turns } from './support.ts';

type Outcome = 'done' | 'lost';

/** A checkpointer whose saves end when the test says so. */
const open = () => {
  const clock = createTestClock();
  const saves: PromiseWithResolvers<Outcome>[] = [];
  const troubles: unknown[] = [];
  let lost = 0;
  const checkpointer = createCheckpointer({
    clock,
    save: () => {
      const save = Promise.withResolvers<Outcome>();
      saves.push(save);
      return save.promise;
    },
    lost: () => {
      lost++;
      checkpointer.stop();
    },
    troubled: (error) => troubles.push(error),
  });
  const settle = (count: number) => {
    for (let index = 0; index < count; index++) checkpointer.settled();
  };
  /** Whether a promise is settled by now, and with what. */
  const look = async <Value>(promise: Promise<Value>): Promise<Value | 'pending'> => {
    await turns();
    return Promise.race([promise, Promise.resolve('pending' as const)]);
  };
  const end = async (index: number, outcome: Outcome | Error = 'done') => {
    if (outcome instanceof Error) saves[index]?.reject(outcome);
    else saves[index]?.resolve(outcome);
    await turns();
  };
  return { checkpointer, clock, saves, troubles, settle, look, end, lost: () => lost };
};

test('what is settled is saved a second later, together; nothing is saved when nothing was settled', async (t) => {
  const { clock, saves, settle, end } = open();
  clock.advance(10 * checkpointEveryMs);
  await turns();
  t.is(saves.length, 0);
  settle(1);
  clock.advance(checkpointEveryMs - 1);
  settle(5);
  await turns();
  t.is(saves.length, 0);
  clock.advance(1);
  await turns();
  t.is(saves.length, 1);
  await end(0);
  clock.advance(10 * checkpointEveryMs);
  await turns();
  t.is(saves.length, 1);
});

test('so many settled are saved at once', async (t) => {
  const { saves, settle, end, clock } = open();
  settle(checkpointEverySettled - 1);
  await turns();
  t.is(saves.length, 0);
  settle(1);
  await turns();
  t.is(saves.length, 1);
  settle(2 * checkpointEverySettled);
  await turns();
  t.is(saves.length, 1, 'one at a time');
  await end(0);
  t.is(saves.length, 2);
  await end(1);
  clock.advance(checkpointEveryMs);
  await turns();
  t.is(saves.length, 2);
});

test('a save that takes longer than a second does not end the saving', async (t) => {
  const { clock, saves, settle, end } = open();
  settle(1);
  clock.advance(checkpointEveryMs);
  await turns();
  settle(1);
  clock.advance(3 * checkpointEveryMs);
  await end(0);
  settle(1);
  clock.advance(checkpointEveryMs);
  await turns();
  t.is(saves.length, 2, 'what was settled meanwhile is saved');
  await end(1);
  settle(1);
  clock.advance(checkpointEveryMs);
  await turns();
  t.is(saves.length, 3, 'and what comes');
});

test('flushed › is true once all that was settled before the call is saved, also during a save of less', async (t) => {
  const { checkpointer, saves, settle, look, end } = open();
  t.true(await checkpointer.flushed(), 'nothing was settled');
  settle(1);
  const first = checkpointer.flushed();
  t.is(await look(first), 'pending');
  t.is(saves.length, 1);
  settle(1);
  const second = checkpointer.flushed();
  await end(0);
  t.true(await first);
  t.is(await look(second), 'pending', 'the save under way did not know of it');
  t.is(saves.length, 2);
  const third = checkpointer.flushed();
  await end(1);
  t.deepEqual([await second, await third], [true, true]);
  t.is(saves.length, 2);
});

test('a save that fails is tried again, counts nothing as saved, and flushed waits for it', async (t) => {
  const { checkpointer, saves, settle, troubles, look, end } = open();
  const alive = setInterval(() => {}, 60_000);
  settle(3);
  const flushed = checkpointer.flushed();
  await turns();
  await end(0, new Error('the log is away'));
  t.is(troubles.length, 1);
  t.is(await look(flushed), 'pending');
  while (saves.length < 2) await turns();
  await end(1);
  t.true(await flushed);
  clearInterval(alive);
});

test('lost › ends it: flushed is false, and nothing is saved any more', async (t) => {
  const { checkpointer, clock, saves, settle, end, lost } = open();
  settle(1);
  const flushed = checkpointer.flushed();
  await turns();
  await end(0, 'lost');
  t.false(await flushed);
  t.is(lost(), 1);
  settle(checkpointEverySettled);
  clock.advance(10 * checkpointEveryMs);
  await turns();
  t.false(await checkpointer.flushed());
  t.is(saves.length, 1);
});

test('close › saves what is not saved; stop saves nothing', async (t) => {
  const closed = open();
  closed.settle(1);
  const closing = closed.checkpointer.close();
  await turns();
  t.is(closed.saves.length, 1);
  await closed.end(0);
  await closing;
  const stopped = open();
  stopped.settle(1);
  stopped.checkpointer.stop();
  stopped.clock.advance(checkpointEveryMs);
  await stopped.checkpointer.close();
  t.is(stopped.saves.length, 0);
});
