import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { soleOwnership } from '../../src/bus/ownership.ts';
import { createHandler } from '../../src/command/handle.ts';
import { parseConfig } from '../../src/config.ts';
import { createDeciders } from '../../src/core/deciders.ts';
import { createExpire } from '../../src/core/expirations.ts';
import { openCore } from '../../src/core.ts';
import { type ExpiryLimits, openExpiry } from '../../src/state/expiry.ts';
import { createTestClock, quiet } from '../registry/support.ts';
import { until } from '../support/rest.ts';

const small: ExpiryLimits = { maxHeld: 8, maxInFlight: 2, maxDue: 4, pageKeys: 5 };
const context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

/** A core whose own clock stands still, and an expiry of small bounds beside it whose clock is moved. */
const openWorld = async (t: ExecutionContext) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-expiry-'));
  const parsed = parseConfig(['--data-dir', folder], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, log: [`file:${folder}`], stateFile: 'none' };
  const still = createTestClock();
  const clock = createTestClock();
  const core = await openCore(config, {
    watchdogMs: 60_000,
    logger: quiet,
    clock: still.now,
    after: still.after,
  });
  const { runner, node, log } = core.parts;
  const record = createExpire({ runner, node }, createHandler(log), createDeciders(runner));
  const tried: string[] = [];
  let failures = 0;
  const atOnce = { now: 0, most: 0 };
  const expire = async (key: string, version: number): Promise<void> => {
    tried.push(key);
    atOnce.most = Math.max(atOnce.most, ++atOnce.now);
    try {
      if (failures > 0) {
        failures--;
        throw new Error('the log is away');
      }
      await record(key, version);
    } finally {
      atOnce.now--;
    }
  };
  const open = () => {
    const expiry = openExpiry({
      runner,
      ownership: soleOwnership,
      clock,
      logger: quiet,
      expire,
      limits: small,
    });
    t.teardown(expiry.close);
    return expiry;
  };
  t.teardown(async () => {
    await core.close();
    await rm(folder, { recursive: true, force: true });
  });
  return {
    clock,
    tried,
    atOnce,
    open,
    fail: (times: number) => {
      failures = times;
    },
    set: async (key: string, ttlMs: number): Promise<void> => {
      const done = await core.execute({ type: 'SetState', data: { key, value: 1, ttlMs } }, context);
      if (!done.ok) throw new Error(done.problem.detail);
    },
    left: async (): Promise<number> => {
      const page = await core.states({}, context);
      return page.ok ? page.value.entries.length : -1;
    },
  };
};
type World = Awaited<ReturnType<typeof openWorld>>;

const whenLeft = (world: World, count: number) => until(world.left, (left) => left === count);

test('of more keys than memory holds each expires in its time, by looking through all of them again', async (t) => {
  const world = await openWorld(t);
  const expiry = world.open();
  const order = Array.from({ length: 60 }, (_, index) => (index * 37) % 60);
  for (const index of order) await world.set(`k${index}`, 60_000 * (index + 1));
  t.true(expiry.held <= small.maxHeld);
  for (let index = 0; index < 60; index++) {
    world.clock.advance(60_000);
    await whenLeft(world, 59 - index);
    t.is(world.tried.at(-1), `k${index}`);
    t.true(expiry.held <= small.maxHeld);
  }
});

test('a burst is worked off whole, so many at a time, live or at a start', async (t) => {
  const world = await openWorld(t);
  const keys = Array.from({ length: 60 }, (_, index) => `k${index}`);
  await Promise.all(keys.map((key) => world.set(key, 1_000)));
  await world.set('later', 100_000);
  world.clock.advance(1_000);
  world.open();
  await whenLeft(world, 1);
  t.is(world.atOnce.most, small.maxInFlight);
  await Promise.all(keys.map((key) => world.set(`again-${key}`, 5_000)));
  world.clock.advance(4_000);
  await whenLeft(world, 1);
  t.is(world.atOnce.most, small.maxInFlight);
});

test('what the log cannot take is tried again until it can', async (t) => {
  const world = await openWorld(t);
  world.open();
  await world.set('a', 1_000);
  await world.set('b', 1_000);
  await world.set('c', 1_000);
  world.fail(4);
  world.clock.advance(1_000);
  await whenLeft(world, 0);
  t.is(world.tried.length, 7);
});
