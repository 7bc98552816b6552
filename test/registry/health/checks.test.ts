import { createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { defaultPolicy, type HealthCheck } from '../../../domain/service/policy.ts';
import { freePort, listen } from '../support.ts';
import { openWorld, type World } from './world.ts';

const check = (changes: Partial<HealthCheck>): HealthCheck => ({
  ...defaultPolicy.healthCheck,
  intervalMs: 1_000,
  graceMs: 0,
  ...changes,
});

/** Answers health checks with what `status` says at that moment, and counts them. */
const openChecked = async (t: ExecutionContext) => {
  const answer = { status: 200, probes: 0 };
  const server = await listen((_request, response) => {
    answer.probes++;
    response.writeHead(answer.status).end();
  });
  t.teardown(server.close);
  return { answer, url: `http://127.0.0.1:${server.port}/` };
};

/** Moves the clock on by short steps until it holds. */
const passUntil = async (world: World, holds: () => boolean): Promise<void> => {
  while (!holds()) await world.pass(50);
};

test('thresholds are those that the service registered', async (t) => {
  const { answer, url } = await openChecked(t);
  const world = openWorld();
  world.register('one', {
    healthCheckUrl: url,
    healthCheck: check({ unhealthyThreshold: 2, healthyThreshold: 4 }),
  });
  await passUntil(world, () => world.status('one') === 'healthy');
  t.is(answer.probes, 1);
  answer.status = 500;
  await passUntil(world, () => world.status('one') === 'unhealthy');
  t.is(answer.probes, 3);
  answer.status = 204;
  await passUntil(world, () => world.status('one') === 'healthy');
  t.is(answer.probes, 7);
  t.deepEqual(world.written('one'), [
    'starting → healthy (probe)',
    'healthy → unhealthy (probe)',
    'unhealthy → healthy (probe)',
  ]);
  await world.close();
});

test('failed checks of an instance that starts do not count within its grace, a good one counts at once', async (t) => {
  const { answer, url } = await openChecked(t);
  const world = openWorld();
  answer.status = 503;
  world.register('one', { healthCheckUrl: url, healthCheck: check({ graceMs: 3_600_000 }) });
  await passUntil(world, () => answer.probes >= 10);
  t.is(world.status('one'), 'starting');
  answer.status = 200;
  await passUntil(world, () => world.status('one') !== 'starting');
  t.is(world.status('one'), 'healthy');
  answer.status = 503;
  await passUntil(world, () => world.status('one') !== 'healthy');
  t.is(world.status('one'), 'unhealthy');
  t.true(world.clock.now() - Date.parse(world.document('one')?.registeredAt ?? '') < 3_600_000);
  await world.close();
});

test('after its grace an instance that never answered well is unhealthy', async (t) => {
  const { answer, url } = await openChecked(t);
  const world = openWorld();
  answer.status = 503;
  world.register('one', { healthCheckUrl: url, healthCheck: check({ graceMs: 20_000 }) });
  await passUntil(world, () => world.status('one') !== 'starting');
  t.is(world.status('one'), 'unhealthy');
  t.true(world.clock.now() - Date.parse(world.document('one')?.registeredAt ?? '') >= 20_000);
  await world.close();
});

test('a TCP check is good when a connection comes about, and nothing is sent over it', async (t) => {
  let received = 0;
  const server = createServer((socket) => {
    socket.on('data', ({ length }) => {
      received += length;
    });
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const world = openWorld();
  world.register('one', { healthCheckUrl: `tcp://127.0.0.1:${port}`, healthCheck: check({}) });
  await passUntil(world, () => world.status('one') !== 'starting');
  t.is(world.status('one'), 'healthy');
  await new Promise((resolve) => server.close(resolve));
  await passUntil(world, () => world.status('one') !== 'healthy');
  t.regex(world.document('one')?.statusReason ?? '', /^health check: cannot connect to 127\.0\.0\.1:\d+/);
  t.is(received, 0);
  await world.close();
});

test('a TCP check of a forbidden address is refused before anything is sent', async (t) => {
  const world = openWorld();
  const port = await freePort();
  world.register('metadata', { healthCheckUrl: 'tcp://169.254.169.254:80', healthCheck: check({}) });
  world.register('private', { healthCheckUrl: `tcp://10.0.0.1:${port}`, healthCheck: check({}) });
  await passUntil(world, () => ['metadata', 'private'].every((id) => world.status(id) === 'unhealthy'));
  t.regex(world.document('metadata')?.statusReason ?? '', /^health check: 169\.254\.169\.254 is link-local/);
  t.regex(world.document('private')?.statusReason ?? '', /^health check: 10\.0\.0\.1 is a private address/);
  await world.close();
});

test('good checks do not replace heartbeats, and a good report does not outvote checks', async (t) => {
  const { answer, url } = await openChecked(t);
  const world = openWorld();
  world.register('one', { healthCheckUrl: url, ttlSec: 5, healthCheck: check({}) });
  await passUntil(world, () => world.status('one') === 'offline');
  // Never two at a time: when another one has come, what came of those before it is known.
  const good = answer.probes;
  await passUntil(world, () => answer.probes >= good + 3);
  t.is(world.status('one'), 'offline');
  answer.status = 500;
  const bad = answer.probes;
  await passUntil(world, () => answer.probes >= bad + 5);
  await world.heartbeat('one', 'healthy');
  t.is(world.status('one'), 'unhealthy');
  await world.close();
});
