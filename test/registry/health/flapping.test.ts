import test from 'ava';
import { openWorld, type World } from './world.ts';

/** Goes offline, and beats again at once: a fall. */
const fall = async (world: World): Promise<void> => {
  await world.pass(10_000);
  await world.heartbeat('one');
};

/** Beats each 5 s for so long. */
const beat = async (world: World, ms: number): Promise<void> => {
  for (let left = ms; left > 0; left -= 5_000) {
    await world.heartbeat('one');
    await world.pass(Math.min(left, 5_000));
  }
};

const flapping = async (): Promise<World> => {
  const world = openWorld();
  world.register('one', { ttlSec: 10 });
  await world.heartbeat('one');
  for (let falls = 0; falls < 3; falls++) await fall(world);
  return world;
};

test('an instance that fell twice within 10 minutes is healthy as soon as it is good', async (t) => {
  const world = openWorld();
  world.register('one', { ttlSec: 10 });
  await world.heartbeat('one');
  await fall(world);
  await fall(world);
  t.is(world.status('one'), 'healthy');
  await world.close();
});

test('the third fall within 10 minutes holds it down for 10 s, with a reason that says why and until when', async (t) => {
  const world = await flapping();
  t.like(world.document('one'), {
    status: 'unhealthy',
    statusCause: 'flapping',
    statusReason:
      'fell 3 times within 10 min: must stay good for 10 s, at least until 2030-01-01T00:00:40.000Z',
  });
  await beat(world, 9_000);
  t.is(world.status('one'), 'unhealthy');
  await world.pass(1_000);
  t.is(world.status('one'), 'healthy');
  t.deepEqual(world.written('one').slice(-3), [
    'healthy → offline (ttl)',
    'offline → unhealthy (flapping)',
    'unhealthy → healthy (heartbeat)',
  ]);
  await world.close();
});

test('an instance that is bad again while it is held has to stay good for the whole time again', async (t) => {
  const world = await flapping();
  await beat(world, 5_000);
  await world.heartbeat('one', 'unhealthy');
  await world.pass(5_000);
  await world.heartbeat('one', 'healthy');
  await beat(world, 9_000);
  t.is(world.status('one'), 'unhealthy');
  await world.pass(1_000);
  t.is(world.status('one'), 'healthy');
  t.deepEqual(world.written('one').slice(-2), [
    'offline → unhealthy (flapping)',
    'unhealthy → healthy (heartbeat)',
  ]);
  await world.close();
});

test('each further fall doubles the hold', async (t) => {
  const world = await flapping();
  await beat(world, 10_000);
  await fall(world);
  t.regex(world.document('one')?.statusReason ?? '', /^fell 4 times within 10 min: must stay good for 20 s/);
  await beat(world, 19_000);
  t.is(world.status('one'), 'unhealthy');
  await world.pass(1_000);
  t.is(world.status('one'), 'healthy');
  await world.close();
});

test('falls that are older than 10 minutes count no more', async (t) => {
  const world = await flapping();
  await beat(world, 600_000);
  t.is(world.status('one'), 'healthy');
  await fall(world);
  t.is(world.status('one'), 'healthy');
  await world.close();
});

test('a hold goes on where it was after a restart of the hub, and ends at the same time', async (t) => {
  const world = await flapping();
  await beat(world, 4_000);
  await world.restart(3_000);
  t.is(world.status('one'), 'unhealthy');
  await world.pass(2_000);
  t.is(world.status('one'), 'unhealthy');
  await world.pass(1_000);
  t.is(world.status('one'), 'healthy');
  await world.close();
});

test('an operator’s healthy ends a hold at once', async (t) => {
  const world = await flapping();
  world.patch('one', 'healthy');
  await world.pass(1_000);
  t.is(world.status('one'), 'healthy');
  t.is(world.written('one').at(-1), 'unhealthy → healthy (operator)');
  await world.close();
});

test('what follows from another cause is written of a held instance only when its status is another one', async (t) => {
  const world = await flapping();
  const before = world.events.length;
  for (let round = 0; round < 20; round++) {
    await world.heartbeat('one', 'unhealthy');
    await world.pass(1_000);
    await world.heartbeat('one', 'healthy');
    await world.pass(1_000);
  }
  t.is(world.events.length, before);
  await world.close();
});
