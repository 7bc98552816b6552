import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { readWholeLog, request } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { type CallLoad, type InstanceProcess, kill, startInstance, startLoad } from './invoke-load.ts';

/** Once in the suite; NEXUS_LONG=1 makes it 10. */
const rounds = isLong ? 10 : 1;
const perSec = 500;
const ids = ['one', 'two', 'three'];

type World = { readonly hub: HubProcess; readonly instances: readonly InstanceProcess[] };

const openWorld = async (t: ExecutionContext): Promise<World> => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-invoke-kill-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const hub = await startHubProcess(folder);
  t.teardown(async () => {
    await hub.kill('SIGKILL');
  });
  const instances = await Promise.all(ids.map((id) => startInstance(id)));
  t.teardown(async () => {
    await Promise.all(instances.map(kill));
  });
  for (const { id, port } of instances) {
    const { status } = await request(hub.url, 'POST', '/services', {
      body: {
        ...{ id, name: 'svc', version: '1.0.0', host: '127.0.0.1', port },
        healthCheckUrl: `http://127.0.0.1:${port}/health`,
        healthCheck: { intervalMs: 500, graceMs: 0 },
        // All have their whole share from the beginning.
        balancing: { slowStartSec: 0 },
        methods: { who: { idempotent: true, timeoutMs: 20_000 } },
      },
    });
    t.is(status, 201);
  }
  for (const id of ids) await whenHealthy(hub, id);
  return { hub, instances };
};

const statusOf = async (hub: HubProcess, id: string): Promise<unknown> =>
  (await request(hub.url, 'GET', `/services/${id}`)).body.status;
const whenHealthy = (hub: HubProcess, id: string): Promise<void> =>
  until(async () => (await statusOf(hub, id)) === 'healthy');

const answered = (load: CallLoad, calls: number): Promise<void> => {
  const target = load.ends.length + calls;
  return until(() => load.ends.length >= target);
};
const servedBy = (load: CallLoad, id: string): number =>
  load.ends.filter(({ instance }) => instance === id).length;

/** What the log says of the instance beyond its registration. */
const eventsOf = async (hub: HubProcess, id: string): Promise<readonly LogEvent[]> =>
  (await readWholeLog(hub.url)).filter(
    ({ stream, type }) => stream === `service-${id}` && type !== 'ServiceRegistered',
  );
const reasonsOf = (events: readonly LogEvent[]): string[] =>
  events.flatMap(({ type, data }) => {
    const { to, reason } = data as { readonly to?: string; readonly reason?: string };
    return type === 'CircuitOpened' || to === 'unhealthy' ? [`${type}: ${reason ?? ''}`] : [];
  });

/** Its share of the calls that end while it comes back: far below a third. */
const comesBackSlowly = async (t: ExecutionContext, load: CallLoad, id: string): Promise<void> => {
  const before = servedBy(load, id);
  await until(() => servedBy(load, id) >= before + 5);
  const from = load.ends.length;
  await answered(load, 200);
  const first = load.ends.slice(from, from + 200).filter(({ instance }) => instance === id).length;
  t.true(first < 50, `${first} of the first 200 calls went to it; its share would be 67`);
};

test(`an instance is killed under ${perSec} calls a second › at most one call fails, the log says why, and it comes back slowly`, async (t) => {
  t.timeout(10 * 60_000);
  const { hub, instances } = await openWorld(t);
  // From here on, and long enough that a machine with much else to do is still within it.
  for (const id of ids) {
    const body = { balancing: { slowStartSec: 60 } };
    t.is((await request(hub.url, 'PATCH', `/services/${id}`, { body })).status, 200);
  }
  const load = startLoad(hub.url, 'svc', { method: 'who' }, perSec);
  t.teardown(load.stop);
  await answered(load, 500);
  for (let round = 0; round < rounds; round++) {
    const victim = instances[round % instances.length];
    if (victim === undefined) return t.fail();
    const before = (await eventsOf(hub, victim.id)).length;
    await kill(victim);
    await answered(load, 500);
    await until(async () => reasonsOf((await eventsOf(hub, victim.id)).slice(before)).length > 0);
    for (const reason of reasonsOf((await eventsOf(hub, victim.id)).slice(before)))
      t.regex(reason, /: \S/, 'the event says what caused it');
    const { child } = await startInstance(victim.id, victim.port);
    victim.child = child;
    await comesBackSlowly(t, load, victim.id);
    await whenHealthy(hub, victim.id);
  }
  await load.stop();
  const failed = load.ends.filter(({ ok }) => !ok);
  t.log(`${load.ends.length} calls, ${failed.length} failed, ${rounds} rounds`);
  t.true(failed.length <= rounds, failed.map(({ text }) => text).join('\n'));
});

test(`an instance is stopped under ${perSec} calls a second › calls that hang go elsewhere, and none fails`, async (t) => {
  t.timeout(10 * 60_000);
  const { hub, instances } = await openWorld(t);
  const load = startLoad(hub.url, 'svc', { method: 'who', timeoutMs: 4_000 }, perSec);
  t.teardown(load.stop);
  await answered(load, 500);
  for (let round = 0; round < rounds; round++) {
    const victim = instances[round % instances.length];
    if (victim === undefined) return t.fail();
    const before = (await eventsOf(hub, victim.id)).length;
    victim.child.kill('SIGSTOP');
    await until(async () => reasonsOf((await eventsOf(hub, victim.id)).slice(before)).length > 0);
    await answered(load, 500);
    victim.child.kill('SIGCONT');
    await whenHealthy(hub, victim.id);
  }
  await load.stop();
  const failed = load.ends.filter(({ ok }) => !ok);
  t.log(`${load.ends.length} calls, ${failed.length} failed, ${rounds} rounds`);
  t.true(failed.length <= rounds, failed.map(({ text }) => text).join('\n'));
});

test('control › without an idempotent method the same kill is felt', async (t) => {
  const { hub, instances } = await openWorld(t);
  const load = startLoad(hub.url, 'svc', { method: 'who', idempotent: false }, perSec);
  t.teardown(load.stop);
  await answered(load, 500);
  const [victim] = instances;
  if (victim === undefined) return t.fail();
  // A call that hangs at a stopped process is broken when that is killed.
  victim.child.kill('SIGSTOP');
  await answered(load, 200);
  await kill(victim);
  await answered(load, 200);
  await load.stop();
  t.true(load.ends.some(({ ok, text }) => !ok && text.includes('broke')));
});
