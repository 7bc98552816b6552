import test from 'ava';
import { openWorld } from './world.ts';

for (const aside of ['draining', 'maintenance'] as const) {
  test(`${aside} outlives silence, reports and a restart, and heartbeats are answered with it`, async (t) => {
    const world = openWorld();
    world.register('one', { ttlSec: 10, removeAfterSec: 10 });
    await world.heartbeat('one');
    world.patch('one', aside);
    t.like(await world.heartbeat('one', 'unhealthy'), { value: { status: aside } });
    await world.pass(60_000);
    await world.restart(60_000);
    await world.pass(60_000);
    t.deepEqual(world.written('one'), ['starting → healthy (heartbeat)', `healthy → ${aside} (operator)`]);
    await world.close();
  });

  test(`${aside} that an operator ends gives the status that was seen meanwhile`, async (t) => {
    const world = openWorld();
    for (const id of ['silent', 'ill', 'well']) {
      world.register(id, { ttlSec: 10 });
      await world.heartbeat(id);
      world.patch(id, aside);
    }
    await world.heartbeat('ill', 'degraded');
    await world.pass(9_000);
    await world.heartbeat('ill');
    await world.heartbeat('well');
    await world.pass(2_000);
    for (const id of ['silent', 'ill', 'well']) world.patch(id, 'healthy');
    await world.pass(1_000);
    t.deepEqual(
      ['silent', 'ill', 'well'].map((id) => world.written(id).at(-1)),
      ['healthy → offline (ttl)', 'healthy → degraded (report)', `${aside} → healthy (operator)`],
    );
    await world.close();
  });
}
