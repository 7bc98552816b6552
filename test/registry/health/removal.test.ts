import test from 'ava';
import { openWorld } from './world.ts';

test('an instance that was offline for its removeAfterSec is deregistered, with a reason that says for how long and why', async (t) => {
  const world = openWorld();
  world.register('one', { ttlSec: 10, removeAfterSec: 60 });
  await world.pass(10_000 + 59_000);
  t.is(world.document('one')?.deregistered, false);
  await world.pass(1_000);
  t.deepEqual(world.written('one'), [
    'starting → offline (ttl)',
    'removed (offline for 60 s: no heartbeat within 10 s)',
  ]);
  t.like(await world.heartbeat('one'), { ok: false, problem: { code: 'not_found' } });
  await world.close();
});

test('a sign of life before that starts the time anew', async (t) => {
  const world = openWorld();
  world.register('one', { ttlSec: 10, removeAfterSec: 60 });
  await world.pass(10_000 + 59_000);
  await world.heartbeat('one');
  await world.pass(10_000 + 59_000);
  t.is(world.document('one')?.deregistered, false);
  await world.pass(1_000);
  t.is(world.document('one')?.deregistered, true);
  await world.close();
});

test('an instance that calls itself unhealthy is removed too, one without removeAfterSec is not', async (t) => {
  const world = openWorld();
  world.register('ill', { ttlSec: 10, removeAfterSec: 30 });
  world.register('kept', { ttlSec: 10, removeAfterSec: null });
  await world.heartbeat('ill', 'unhealthy');
  for (let beats = 0; beats < 6; beats++) {
    await world.pass(5_000);
    await world.heartbeat('ill');
  }
  t.is(world.written('ill').at(-1), 'removed (unhealthy for 30 s: reported by the service)');
  await world.pass(300_000);
  t.is(world.status('kept'), 'offline');
  t.is(world.document('kept')?.deregistered, false);
  await world.close();
});

test('the time counts on while the hub is down, but nobody is removed before a whole TTL after the start', async (t) => {
  const world = openWorld();
  world.register('gone', { ttlSec: 10, removeAfterSec: 60 });
  world.register('back', { ttlSec: 10, removeAfterSec: 60 });
  await world.pass(20_000);
  await world.restart(3_600_000);
  await world.pass(9_000);
  await world.heartbeat('back');
  t.is(world.document('gone')?.deregistered, false);
  await world.pass(1_000);
  t.is(world.document('gone')?.deregistered, true);
  t.is(world.status('back'), 'healthy');
  await world.close();
});

test('another removeAfterSec counts from when the instance fell', async (t) => {
  const world = openWorld();
  world.register('one', { ttlSec: 10, removeAfterSec: 3_600 });
  await world.pass(40_000);
  world.update('one', { removeAfterSec: 31 });
  await world.pass(1_000);
  t.is(world.document('one')?.deregistered, true);
  await world.close();
});

test('a removal that the log cannot take is tried again', async (t) => {
  let tries = 0;
  const world = openWorld({
    async deregister() {
      tries++;
      throw new Error('the log is away');
    },
  });
  world.register('one', { ttlSec: 10, removeAfterSec: 60 });
  await world.pass(70_000);
  t.is(tries, 1);
  await world.pass(30_000);
  t.is(tries, 2);
  await world.close();
});
