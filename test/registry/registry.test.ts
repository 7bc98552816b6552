import test from 'ava';
import { asRevision } from '../../domain/event.ts';
import { defaultPolicy } from '../../domain/service/policy.ts';
import type { ServiceStatus } from '../../domain/service/service.ts';
import type { ServiceDocument } from '../../projections/documents.ts';
import { openRegistry, type RegistryOptions } from '../../src/registry/registry.ts';
import { createTargets } from '../../src/registry/target/targets.ts';
import { createTestClock, listen, quiet, serviceDocument } from './support.ts';

type Change = { readonly id: string; readonly to: ServiceStatus; readonly reason: string };

/** A registry beside a log that takes changes of status and hands the document back, as the core does. */
const open = (options: Partial<RegistryOptions> = {}) => {
  const clock = createTestClock();
  const changes: Change[] = [];
  const documents = new Map<string, ServiceDocument>();
  const waiting = new Set<{ readonly count: number; readonly resolve: () => void }>();
  const log = { broken: false };

  const put = (changed: Partial<ServiceDocument>): void => {
    const document = serviceDocument(changed);
    const revision = asRevision((documents.get(document.id)?.revision ?? -1) + 1);
    documents.set(document.id, { ...document, revision });
    registry.put({ ...document, revision });
  };

  const registry = openRegistry({
    logger: quiet,
    targets: createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }),
    clock: clock.now,
    after: clock.after,
    random: () => 0.5,
    async changeStatus(id, { status: to, reason, cause }) {
      if (log.broken) throw new Error('the log is away');
      changes.push({ id, to, reason });
      const document = documents.get(id);
      if (document !== undefined) {
        put({
          ...document,
          status: to,
          statusReason: reason,
          statusCause: cause,
          statusSince: new Date(clock.now() + changes.length).toISOString(),
        });
      }
      for (const waiter of waiting) if (changes.length >= waiter.count) waiter.resolve();
    },
    deregister: async () => {},
    ...options,
  });

  /** Resolves when so many changes of status were written. */
  const changed = (count: number): Promise<void> =>
    changes.length >= count
      ? Promise.resolve()
      : new Promise((resolve) => {
          waiting.add({ count, resolve });
        });

  return { registry, clock, changes, changed, put, log, document: (id: string) => documents.get(id) };
};

/** Lets everything run that needs no clock and no socket. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const statuses = (changes: readonly Change[]): readonly string[] => changes.map(({ to }) => to);

test('heartbeats are no events: only the change of status that they bring is written', async (t) => {
  const { registry, changes, put, clock } = open();
  put({ ttlSec: 10, status: 'starting' });
  t.deepEqual(await registry.heartbeat('one', { load: 0.25 }), {
    ok: true,
    value: { ttlSec: 10, status: 'healthy' },
  });
  for (let beat = 0; beat < 100; beat++) {
    clock.advance(5_000);
    await registry.heartbeat('one', {});
  }
  t.deepEqual(statuses(changes), ['healthy']);
  t.like(registry.live('one'), { load: 0.25, inFlight: 0, lastSeenAt: new Date(clock.now()).toISOString() });
  await registry.close();
});

test('an unknown or deregistered instance is told to register again', async (t) => {
  const { registry, put } = open();
  t.like(await registry.heartbeat('nobody', {}), { ok: false, problem: { code: 'not_found' } });
  put({ ttlSec: 10 });
  put({ ttlSec: 10, deregistered: true });
  t.like(await registry.heartbeat('one', {}), { ok: false, problem: { code: 'not_found' } });
  t.is(registry.live('one'), undefined);
  await registry.close();
});

test('an instance without a heartbeat goes offline after its TTL, once, and comes back with the next', async (t) => {
  const { registry, changes, put, clock } = open();
  put({ ttlSec: 10 });
  clock.advance(9_999);
  await settle();
  t.deepEqual(changes, []);
  clock.advance(1);
  await settle();
  t.deepEqual(changes, [{ id: 'one', to: 'offline', reason: 'no heartbeat within 10 s' }]);
  clock.advance(100_000);
  await settle();
  t.is(changes.length, 1);
  t.like(await registry.heartbeat('one', {}), { value: { status: 'healthy' } });
  t.deepEqual(statuses(changes), ['offline', 'healthy']);
  clock.advance(10_000);
  await settle();
  t.deepEqual(statuses(changes), ['offline', 'healthy', 'offline']);
  await registry.close();
});

test('after a restart of the hub everybody has a whole TTL, however old the documents are', async (t) => {
  const { registry, changes, put, clock } = open();
  put({ ttlSec: 10, updatedAt: '2001-01-01T00:00:00.000Z' });
  clock.advance(9_000);
  await registry.heartbeat('one', {});
  clock.advance(9_000);
  await settle();
  t.deepEqual(changes, []);
  await registry.close();
});

test('draining and maintenance are left alone until an operator ends them', async (t) => {
  const { registry, changes, put, clock } = open();
  put({ id: 'one', ttlSec: 10, status: 'draining' });
  put({ id: 'two', ttlSec: 10, status: 'maintenance' });
  clock.advance(60_000);
  t.like(await registry.heartbeat('one', { status: 'healthy' }), { value: { status: 'draining' } });
  t.like(await registry.heartbeat('two', {}), { value: { status: 'maintenance' } });
  t.deepEqual(changes, []);
  put({ id: 'two', ttlSec: 10, status: 'healthy' });
  clock.advance(10_000);
  await settle();
  t.deepEqual(
    changes.map(({ id, to }) => [id, to]),
    [['two', 'offline']],
  );
  await registry.close();
});

test('a change that the log cannot take is tried again, with what is true then', async (t) => {
  const { registry, changes, put, clock, log } = open();
  put({ ttlSec: 10 });
  log.broken = true;
  clock.advance(10_000);
  await settle();
  t.is(changes.length, 0);
  t.like(await registry.heartbeat('one', { status: 'degraded' }), { value: { status: 'degraded' } });
  log.broken = false;
  clock.advance(1_000);
  await settle();
  t.deepEqual(statuses(changes), ['degraded']);
  await registry.close();
});

test('a thousand instances that fall silent together are each written once', async (t) => {
  const { registry, changes, put, clock, changed } = open();
  for (let number = 0; number < 1_000; number++) put({ id: `i${number}`, ttlSec: 30 });
  clock.advance(30_000);
  await changed(1_000);
  await settle();
  t.is(new Set(changes.map(({ id }) => id)).size, 1_000);
  t.is(changes.length, 1_000);
  await registry.close();
});

test('probes bring an instance up at once, down after three failures and up again after two successes', async (t) => {
  let status = 200;
  let probes = 0;
  const seen: (() => void)[] = [];
  const server = await listen((_request, response) => {
    probes++;
    response.writeHead(status).end('fine', () => seen.shift()?.());
  });
  const { registry, changes, put, clock, changed } = open();
  const probed = async (): Promise<void> => {
    const answered = new Promise<void>((resolve) => seen.push(resolve));
    clock.advance(10_000);
    await answered;
  };
  /** Advances until the next probe's result has set the alarm of the one after it. */
  const probesUntil = async (count: number): Promise<void> => {
    while (probes < count) {
      clock.advance(1_000);
      await settle();
    }
  };

  put({ status: 'starting', healthCheckUrl: `http://127.0.0.1:${server.port}/health` });
  await probed();
  await changed(1);
  t.deepEqual(statuses(changes), ['healthy']);

  status = 503;
  await probesUntil(4);
  await changed(2);
  t.deepEqual(changes[1], { id: 'one', to: 'unhealthy', reason: 'health check: status 503' });

  status = 200;
  const before = probes;
  await probesUntil(before + 2);
  await changed(3);
  t.is(changes[2]?.to, 'healthy');
  t.true(probes - before >= 2);
  await registry.close();
  await server.close();
});

test('a redirect, a silent server and a forbidden address are each a failed probe that says why', async (t) => {
  let followed = 0;
  const redirecting = await listen((request, response) => {
    if (request.url === '/there') followed++;
    response.writeHead(302, { location: '/there' }).end();
  });
  const silent = await listen(() => {});
  const { registry, changes, put, clock, changed } = open();
  const healthCheck = { ...defaultPolicy.healthCheck, graceMs: 0 };
  put({
    id: 'redirects',
    status: 'starting',
    healthCheckUrl: `http://127.0.0.1:${redirecting.port}/`,
    healthCheck,
  });
  put({
    id: 'silent',
    status: 'starting',
    healthCheckUrl: `http://127.0.0.1:${silent.port}/`,
    healthCheck: { ...healthCheck, timeoutMs: 100 },
  });
  put({ id: 'metadata', status: 'starting', healthCheckUrl: 'http://169.254.169.254/latest', healthCheck });
  let written = false;
  const all = changed(3).then(() => {
    written = true;
  });
  while (!written) {
    clock.advance(1_000);
    await settle();
  }
  await all;
  const reasons = new Map(changes.map(({ id, reason }) => [id, reason]));
  t.is(reasons.get('redirects'), 'health check: status 302');
  t.is(followed, 0);
  t.is(reasons.get('silent'), 'health check: no answer within 100 ms');
  t.regex(reasons.get('metadata') ?? '', /^health check: 169\.254\.169\.254 is link-local/);
  await registry.close();
  await Promise.all([redirecting.close(), silent.close()]);
});

test('a closed registry writes nothing more and refuses invocations', async (t) => {
  const { registry, changes, put, clock } = open();
  put({ ttlSec: 1 });
  await registry.close();
  await registry.close();
  clock.advance(60_000);
  await settle();
  t.deepEqual(changes, []);
  t.like(await registry.invoke('svc', { method: 'm' }), { problem: { code: 'shutting_down' } });
});
