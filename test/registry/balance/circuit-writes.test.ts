import test from 'ava';
import { type CircuitChange, createCircuitWrites } from '../../../src/registry/balance/circuit-writes.ts';
import { createInstance, createInstances, type Instance } from '../../../src/registry/instance.ts';
import { createSchedule } from '../../../src/registry/schedule.ts';
import { createTestClock, quiet, serviceDocument } from '../support.ts';

const opened: CircuitChange = { to: 'open', reason: 'why', until: '2030-01-01T00:00:05.000Z' };
const closed: CircuitChange = { to: 'closed', reason: 'why' };

/** Writes that end when they are told to. */
const createWorld = () => {
  const clock = createTestClock();
  const instances = createInstances();
  const running: { id: string; change: CircuitChange; done(): void; fail(): void }[] = [];
  const writes = createCircuitWrites({
    clock,
    schedule: createSchedule(clock),
    logger: quiet,
    instances,
    changeCircuit: (id, change) =>
      new Promise((done, fail) => {
        running.push({ id, change, done, fail: () => fail(new Error('the log is away')) });
      }),
  });
  const add = (id: string): Instance => {
    const instance = createInstance(serviceDocument({ id }));
    instances.add(instance);
    return instance;
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { clock, instances, running, writes, add, turn };
};

test('one write at a time per instance, and of what waits only the last', async (t) => {
  const { running, writes, add, turn } = createWorld();
  const one = add('one');
  writes.write(one, opened);
  writes.write(one, closed);
  writes.write(one, { ...opened, reason: 'again' });
  t.is(running.length, 1);
  running[0]?.done();
  await turn();
  t.deepEqual(
    running.map(({ change }) => change.reason),
    ['why', 'again'],
  );
  running[1]?.done();
  await turn();
  t.is(running.length, 2);
});

test('one that failed is written again after 1 s, then 2 s, with what is true then', async (t) => {
  const { clock, running, writes, add, turn } = createWorld();
  const one = add('one');
  writes.write(one, opened);
  running[0]?.fail();
  await turn();
  clock.advance(999);
  t.is(running.length, 1);
  clock.advance(1);
  t.is(running.length, 2);
  t.deepEqual(running[1]?.change, opened);
  running[1]?.fail();
  await turn();
  writes.write(one, closed);
  clock.advance(1_999);
  t.is(running.length, 2, 'what comes meanwhile waits as well');
  clock.advance(1);
  t.deepEqual(running[2]?.change, closed);
  running[2]?.done();
  await turn();
  clock.advance(600_000);
  t.is(running.length, 3);
});

test('what came while a write was failing is written in its place', async (t) => {
  const { clock, running, writes, add, turn } = createWorld();
  const one = add('one');
  writes.write(one, opened);
  writes.write(one, closed);
  running[0]?.fail();
  await turn();
  clock.advance(1_000);
  t.deepEqual(
    running.map(({ change }) => change),
    [opened, closed],
  );
});

test('sixteen are written at a time, and the others after them', async (t) => {
  const { running, writes, add, turn } = createWorld();
  for (let index = 0; index < 40; index++) writes.write(add(`i${index}`), opened);
  t.is(running.length, 16);
  for (let index = 0; index < 40; index++) {
    running[index]?.done();
    await turn();
    t.true(running.length <= index + 17);
  }
  t.deepEqual(new Set(running.map(({ id }) => id)).size, 40);
});

test('an instance that was removed is written no more, and closing waits for what runs', async (t) => {
  const { clock, instances, running, writes, add, turn } = createWorld();
  const one = add('one');
  const two = add('two');
  writes.write(one, opened);
  instances.remove(one);
  writes.forget(one);
  running[0]?.fail();
  await turn();
  clock.advance(600_000);
  t.is(running.length, 1);

  writes.write(two, opened);
  let isClosed = false;
  const closing = writes.close().then(() => {
    isClosed = true;
  });
  writes.write(two, closed);
  await turn();
  t.false(isClosed);
  running[1]?.done();
  await closing;
  t.is(running.length, 2);
});
