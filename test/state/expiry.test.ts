import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { parseConfig } from '../../src/config.ts';
import { type Core, openCore } from '../../src/core.ts';
import type { CommandDone, Context } from '../../src/nexus-core.ts';
import { createTestClock, quiet } from '../registry/support.ts';
import { until } from '../support/rest.ts';

const context: Context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

const openWorld = async (t: ExecutionContext) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-expiry-'));
  const clock = createTestClock();
  const parsed = parseConfig(['--data-dir', folder], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, log: [`file:${folder}`], stateFile: 'none' };
  const start = (): Promise<Core> =>
    openCore(config, { watchdogMs: 60_000, logger: quiet, clock: clock.now, after: clock.after });
  let core = await start();
  t.teardown(async () => {
    await core.close();
    await rm(folder, { recursive: true, force: true });
  });
  const run = async (type: string, data: object): Promise<CommandDone> => {
    const done = await core.execute({ type, data }, context);
    if (!done.ok) throw new Error(JSON.stringify(done.problem));
    return done.value;
  };
  return {
    clock,
    run,
    get core() {
      return core;
    },
    set: (key: string, data: object = {}) => run('SetState', { key, value: 1, ...data }),
    history: async (key: string): Promise<readonly LogEvent[]> => {
      const read = await core.stream(`state-${key}`, {}, context);
      return read.ok ? read.value.events : [];
    },
    exists: async (key: string): Promise<boolean> => (await core.state(key, {}, context)).ok,
    stop: () => core.close(),
    async restart() {
      await core.close();
      core = await start();
    },
  };
};
type World = Awaited<ReturnType<typeof openWorld>>;

const gone = (world: World, key: string) =>
  until(
    () => world.exists(key),
    (exists) => !exists,
  );
/** Resolves once whatever fell due before has been decided. */
const settled = async (world: World): Promise<void> => {
  await world.set('witness', { ttlMs: 1 });
  world.clock.advance(1);
  await gone(world, 'witness');
};

test('a key is there until its time has come, then an event says that it expired', async (t) => {
  const world = await openWorld(t);
  const { events } = await world.set('k', { ttlMs: 5_000 });
  world.clock.advance(4_998);
  await settled(world);
  t.true(await world.exists('k'));
  world.clock.advance(1);
  await gone(world, 'k');
  const [, expired, ...more] = await world.history('k');
  t.like(expired, { type: 'StateDeleted', data: { reason: 'expired' } });
  t.like(expired?.metadata, { actor: 'system', causationId: events[0]?.id });
  t.is(more.length, 0);
  t.is((await world.set('k', { expectedVersion: 0 })).created, true);
});

test('set without a TTL a key stays, set with another it lives by that, and counts and patches keep it', async (t) => {
  const world = await openWorld(t);
  for (const key of ['stays', 'longer', 'counted', 'patched']) await world.set(key, { ttlMs: 1_000 });
  await world.set('stays');
  await world.set('longer', { ttlMs: 3_000 });
  await world.run('IncrementState', { key: 'counted' });
  await world.run('PatchState', { key: 'patched', format: 'merge-patch', patch: { a: 1 } });
  world.clock.advance(1_000);
  await gone(world, 'counted');
  await gone(world, 'patched');
  await settled(world);
  t.true(await world.exists('stays'));
  t.true(await world.exists('longer'));
  world.clock.advance(2_000);
  await gone(world, 'longer');
  t.true(await world.exists('stays'));
});

test('a key that was deleted or set again before expires no more', async (t) => {
  const world = await openWorld(t);
  await world.set('deleted', { ttlMs: 1_000 });
  await world.set('again', { ttlMs: 1_000 });
  await world.run('DeleteState', { key: 'deleted' });
  await world.run('DeleteState', { key: 'again' });
  await world.set('again');
  world.clock.advance(1_000);
  await settled(world);
  t.deepEqual(
    (await world.history('deleted')).map(({ type }) => type),
    ['StateSet', 'StateDeleted'],
  );
  t.true(await world.exists('again'));
});

test('what came due while the hub was down expires at its start, and the rest in its time', async (t) => {
  const world = await openWorld(t);
  await world.set('due', { ttlMs: 1_000 });
  await world.set('later', { ttlMs: 60_000 });
  await world.stop();
  world.clock.advance(30_000);
  await world.restart();
  await gone(world, 'due');
  t.true(await world.exists('later'));
  world.clock.advance(30_000);
  await gone(world, 'later');
});

test('thousands that expire at once are worked off, and commands are answered meanwhile', async (t) => {
  const world = await openWorld(t);
  const keys = Array.from({ length: 3_000 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key) => world.set(key, { ttlMs: 1_000 })));
  world.clock.advance(1_001);
  const { position } = await world.set('meanwhile');
  const left = async () => {
    const page = await world.core.states({ prefix: 'k', limit: 1 }, context);
    return page.ok ? page.value.entries.length : 1;
  };
  await until(left, (count) => count === 0);
  const histories = await Promise.all(keys.map(world.history));
  t.deepEqual([...new Set(histories.map(({ length }) => length))], [2]);
  const behind = histories.filter((history) => (history.at(-1)?.position ?? '') > position).length;
  t.log(`${behind} expired behind the command`);
  t.true(behind > 1_000, `only ${behind} expired behind the command`);
});
