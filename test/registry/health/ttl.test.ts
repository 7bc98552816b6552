import test from 'ava';
import { openWorld } from './world.ts';

test('a TTL that is given, changed or taken away counts from then on', async (t) => {
  const world = openWorld();
  world.register('one', {});
  await world.pass(60_000);
  t.is(world.status('one'), 'healthy');
  world.update('one', { ttlSec: 20 });
  await world.pass(15_000);
  world.update('one', { ttlSec: 10 });
  await world.pass(9_000);
  t.is(world.status('one'), 'healthy');
  await world.pass(1_000);
  t.is(world.status('one'), 'offline');
  world.update('one', { ttlSec: null });
  await world.pass(1_000);
  t.is(world.status('one'), 'healthy');
  await world.pass(60_000);
  t.is(world.status('one'), 'healthy');
  await world.close();
});

test('of 10,000 instances that beat each 10 s nothing is written for 10 minutes, and each that stops is offline in time', async (t) => {
  const world = openWorld();
  const ids = Array.from({ length: 10_000 }, (_, index) => `i${index}`);
  for (const id of ids) world.register(id, { ttlSec: 30 });
  for (const id of ids) await world.heartbeat(id);
  const before = world.events.length;
  for (let round = 0; round < 60; round++) {
    for (const id of ids) await world.heartbeat(id);
    await world.pass(10_000);
  }
  t.is(world.events.length, before);
  // The last heartbeats are 10 s old.
  await world.pass(19_000);
  t.is(world.events.length, before);
  await world.pass(1_000);
  for (let settling = 0; world.events.length < before + ids.length && settling < 10_000; settling++)
    await world.pass(1);
  t.is(world.events.length, before + ids.length);
  t.true(ids.every((id) => world.status(id) === 'offline'));
  await world.close();
});
