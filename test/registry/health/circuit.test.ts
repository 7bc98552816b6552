import test from 'ava';
import { openWorld } from './world.ts';

test('an instance whose circuit opens is unhealthy with what calls have shown, until it closes', async (t) => {
  const world = openWorld();
  world.register('one', { ttlSec: 10 });
  await world.heartbeat('one');
  world.openCircuit('one', '5 calls in a row failed: status 503');
  await world.pass(1_000);
  t.like(world.document('one'), {
    status: 'unhealthy',
    statusCause: 'invocations',
    statusReason: 'circuit open: 5 calls in a row failed: status 503',
  });
  t.like(await world.heartbeat('one'), { value: { status: 'unhealthy' } });
  world.closeCircuit('one');
  await world.pass(1_000);
  t.deepEqual(world.written('one'), [
    'starting → healthy (heartbeat)',
    'CircuitOpened',
    'healthy → unhealthy (invocations)',
    'CircuitClosed',
    'unhealthy → healthy (heartbeat)',
  ]);
  await world.close();
});

test('a circuit that closes on an instance that has fallen silent leaves it offline', async (t) => {
  const world = openWorld();
  world.register('one', { ttlSec: 10 });
  await world.heartbeat('one');
  world.openCircuit('one', '5 calls in a row failed');
  await world.pass(10_000);
  t.is(world.status('one'), 'offline');
  world.closeCircuit('one');
  await world.pass(1_000);
  t.is(world.status('one'), 'offline');
  await world.close();
});

test('a circuit gives no silent instance another TTL', async (t) => {
  const world = openWorld();
  world.register('one', { ttlSec: 10 });
  await world.heartbeat('one');
  await world.pass(6_000);
  world.openCircuit('one', '5 calls in a row failed');
  await world.pass(4_000);
  t.is(world.status('one'), 'offline');
  await world.close();
});

test('an open circuit outlives a restart of the hub', async (t) => {
  const world = openWorld();
  world.register('one', { ttlSec: 10 });
  await world.heartbeat('one');
  world.openCircuit('one', '5 calls in a row failed');
  await world.pass(1_000);
  await world.restart(1_000);
  t.is(world.status('one'), 'unhealthy');
  world.closeCircuit('one');
  await world.pass(1_000);
  t.is(world.status('one'), 'healthy');
  await world.close();
});

test('an instance whose calls failed for the third time within 10 minutes is held down after its circuit has closed', async (t) => {
  const world = openWorld();
  world.register('one', {});
  for (let openings = 0; openings < 3; openings++) {
    world.openCircuit('one', '5 calls in a row failed');
    await world.pass(4_000);
    world.closeCircuit('one');
    await world.pass(1_000);
  }
  t.deepEqual(world.written('one').slice(-4), [
    'CircuitOpened',
    'healthy → unhealthy (invocations)',
    'CircuitClosed',
    'unhealthy → unhealthy (flapping)',
  ]);
  // 10 s from the fall, of which 5 have passed.
  await world.pass(4_000);
  t.is(world.status('one'), 'unhealthy');
  await world.pass(1_000);
  t.is(world.status('one'), 'healthy');
  await world.close();
});
