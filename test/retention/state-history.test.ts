import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asRevision, asStreamId } from '../../domain/event.ts';
import { createHandler } from '../../src/command/handle.ts';
import { createKeyKind } from '../../src/retention/key-kind.ts';
import { createLane } from '../../src/retention/lane.ts';
import { redisForTest } from '../support/redis-server.ts';
import { context, maintain, openWorld, type World } from './world.ts';

const numbers = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, n) => from + n);

/** Sets `key` to each of the numbers, one after the other. */
const setAll = async ({ run }: World, key: string, from: number, to: number): Promise<void> => {
  for (const value of numbers(from, to)) await run('SetState', { key, value });
};

/** Values of the versions that are left, oldest first; null for a deletion. */
const left = async ({ core }: World, key: string): Promise<readonly unknown[]> => {
  const found = await core.stateHistory(key, { limit: 1_000 }, context);
  if (!found.ok) throw new Error(found.problem.detail);
  return found.value.history.map(({ value }) => value).toReversed();
};

/** The same as the log has it. */
const inLog = async ({ log }: World, key: string): Promise<number> =>
  (await log.readStream(asStreamId(`state-${key}`), { limit: 1_000 })).length;

const recordsOf = ({ log }: World, key: string) =>
  log.readStream(asStreamId(`trim-state/${key}`), { from: asRevision(0), limit: 100 });

/** One claim on each kind of log that a hub can free by itself. */
const both = (claim: string, check: (t: ExecutionContext, world: World) => Promise<void>): void => {
  test(`embedded › ${claim}`, async (t) => check(t, await openWorld(t)));
  test(`Redis › ${claim}`, async (t) => {
    const server = await redisForTest(t);
    if (server !== undefined) await check(t, await openWorld(t, { url: server.url }));
  });
};

/** A round, and what it recorded has reached the read models. */
const cut = async (world: World): Promise<void> => {
  await maintain(world);
  const { runner, log } = world.core.parts;
  await runner.reached(await log.position(), 10_000);
};

both(
  'count › the newest versions of each key stay, the rest is gone, and what no pattern matches is left alone',
  async (t, world) => {
    for (const key of ['orders/1', 'orders/2', 'other']) await setAll(world, key, 0, 12);
    await world.run('SetStatePolicy', { pattern: 'orders/*', maxVersions: 5 });
    await cut(world);
    t.deepEqual(await left(world, 'orders/1'), numbers(7, 12));
    t.deepEqual(await left(world, 'orders/2'), numbers(7, 12));
    t.is(await inLog(world, 'orders/2'), 5);
    t.deepEqual(await left(world, 'other'), numbers(0, 12));
    await setAll(world, 'orders/1', 12, 15);
    await cut(world);
    t.deepEqual(await left(world, 'orders/1'), numbers(10, 15));
    t.is(world.core.parts.maintenance.facts().truncatedEvents, 17);
    t.is((await recordsOf(world, 'orders/1')).length, 1, 'of the records only the newest is kept');
    const live = await world.core.parts.runner.contentHash();
    await world.core.parts.runner.rebuild();
    t.is(await world.core.parts.runner.contentHash(), live, 'read models that are built anew are the same');
  },
);

both(
  'age › a version goes once it was replaced for long enough, and the newest stays whatever its age',
  async (t, world) => {
    await setAll(world, 'a', 0, 4);
    await world.run('SetStatePolicy', { pattern: '*', maxAgeSec: 3_600 });
    await cut(world);
    t.deepEqual(await left(world, 'a'), numbers(0, 4));
    world.aheadMs = 3_590_000;
    await cut(world);
    t.deepEqual(await left(world, 'a'), numbers(0, 4));
    world.aheadMs = 2 * 3_600_000;
    await cut(world);
    t.deepEqual(await left(world, 'a'), [3]);
    // The log's clock has not moved, so this one is written two hours before the hub's time.
    await setAll(world, 'a', 4, 5);
    await cut(world);
    t.deepEqual(await left(world, 'a'), [4]);
  },
);

test('age › what a key was within the age can be shown, also when it was set long before', async (t) => {
  const world = await openWorld(t);
  await setAll(world, 'a', 0, 3);
  await world.run('SetStatePolicy', { pattern: 'a', maxAgeSec: 3_600 });
  const [, , newest] = await world.log.readStream(asStreamId('state-a'), { limit: 10 });
  const setMs = Date.parse(newest?.metadata.recordedAt ?? '');
  // By the time at which version 3 replaced version 2, version 1 was replaced already.
  world.aheadMs = setMs + 3_600_000 - Date.now() - 60_000;
  await cut(world);
  t.is((await left(world, 'a')).length, 3);
  const lane = createLane({
    log: world.log,
    runner: world.core.parts.runner,
    handler: createHandler(world.log),
    kind: createKeyKind(world.core.parts.runner, world.core.parts.statePolicies, () => {}),
  });
  const metadata = { actor: 'system', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
  const { signal } = new AbortController();
  await lane.run(setMs + 3_600_000, metadata, signal);
  t.true(
    (await inLog(world, 'a')) >= 2,
    'an hour after version 3 was set, version 2 has been replaced for an hour',
  );
  await lane.run(setMs + 3_600_001, metadata, signal);
  t.is(await inLog(world, 'a'), 1);
});

both('a deleted key keeps its deletion alone, and its versions go on counting', async (t, world) => {
  await setAll(world, 'gone', 0, 4);
  await world.run('DeleteState', { key: 'gone' });
  await world.run('SetStatePolicy', { pattern: 'gone', maxAgeSec: 60 });
  world.aheadMs = 3_600_000;
  await cut(world);
  t.deepEqual(await left(world, 'gone'), [null]);
  await setAll(world, 'gone', 7, 8);
  const again = await world.core.state('gone', {}, context);
  t.is(again.ok && again.value.version, 6);
});

both(
  'the longest pattern that limits histories holds, and without one nothing is removed any more',
  async (t, world) => {
    await setAll(world, 'a/b', 0, 10);
    await world.run('SetStatePolicy', { pattern: 'a/*', maxVersions: 6 });
    await world.run('SetStatePolicy', { pattern: '*', maxVersions: 2 });
    await cut(world);
    t.deepEqual(await left(world, 'a/b'), numbers(4, 10));
    await world.run('RemoveStatePolicy', { pattern: 'a/*' });
    await cut(world);
    t.deepEqual(await left(world, 'a/b'), numbers(8, 10));
    await world.run('RemoveStatePolicy', { pattern: '*' });
    await setAll(world, 'a/b', 10, 15);
    await cut(world);
    t.deepEqual(await left(world, 'a/b'), numbers(8, 15));
  },
);

test('a hub that starts again goes on where the one before it was', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-history-'));
  const first = await openWorld(t, { folder });
  await setAll(first, 'k', 0, 8);
  await first.run('SetStatePolicy', { pattern: 'k', maxVersions: 4, maxAgeSec: 3_600 });
  await cut(first);
  t.deepEqual(await left(first, 'k'), numbers(4, 8));
  const hash = await first.core.parts.runner.contentHash();
  await first.close();
  const second = await openWorld(t, { folder });
  await second.core.parts.runner.reached(await second.log.position(), 10_000);
  t.is(await second.core.parts.runner.contentHash(), hash);
  t.deepEqual(await left(second, 'k'), numbers(4, 8));
  await setAll(second, 'k', 8, 9);
  await cut(second);
  t.deepEqual(await left(second, 'k'), numbers(5, 9));
  second.aheadMs = 2 * 3_600_000;
  await cut(second);
  t.deepEqual(await left(second, 'k'), [8]);
});

test('what was recorded and not hidden when a hub was killed is hidden by the next one', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-history-'));
  const first = await openWorld(t, { folder });
  await setAll(first, 'k', 0, 6);
  const [, second] = await first.log.readStream(asStreamId('state-k'), { limit: 2 });
  await createHandler(first.log).appendAny(
    asStreamId('trim-state/k'),
    {
      id: crypto.randomUUID(),
      type: 'StateTrimmed',
      data: { key: 'k', before: 2, position: String(second?.position) },
    },
    { actor: 'system', correlationId: 'c', causationId: null, node: 'n', schema: 1 },
  );
  t.is(await inLog(first, 'k'), 6);
  await first.close();
  const next = await openWorld(t, { folder });
  await cut(next);
  t.is(await inLog(next, 'k'), 4);
  t.deepEqual(await left(next, 'k'), numbers(2, 6));
});

test('many keys › each is brought to its limit in one round, and the next one looks only at what has changed', async (t) => {
  const world = await openWorld(t);
  const keys = numbers(0, 600).map((n) => `many/${n}`);
  for (let round = 0; round < 3; round++)
    await Promise.all(keys.map((key) => world.run('SetState', { key, value: round })));
  await world.run('SetState', { key: 'other', value: 0 });
  await world.run('SetStatePolicy', { pattern: 'many/*', maxVersions: 1 });
  await cut(world);
  t.is(world.core.parts.maintenance.facts().truncatedEvents, 1_200);
  for (const key of keys) t.deepEqual(await left(world, key), [2]);
  await world.run('SetState', { key: 'other', value: 1 });
  await world.run('SetState', { key: 'many/1', value: 3 });
  await cut(world);
  t.is(world.core.parts.maintenance.facts().lastRun?.keys, 1);
});

test('with more keys than are remembered › each is cut when its time has come, and rounds before it look at none', async (t) => {
  const world = await openWorld(t);
  const { runner, statePolicies } = world.core.parts;
  for (const key of ['a', 'b', 'c', 'd', 'e']) await setAll(world, key, 0, 2);
  const kind = createKeyKind(runner, statePolicies, () => {});
  const handler = createHandler(world.log);
  const lane = createLane({ log: world.log, runner, handler, kind, maxRemembered: 2 });
  const metadata = { actor: 'system', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
  const { signal } = new AbortController();
  const run = (aheadMs: number) => lane.run(Date.now() + aheadMs, metadata, signal);
  await world.run('SetStatePolicy', { pattern: '*', maxAgeSec: 86_400 });
  await runner.reached(await world.log.position(), 10_000);
  t.deepEqual(await run(0), { looked: 5, truncatedEvents: 0, done: true });
  t.is((await run(3_600_000)).looked, 0);
  t.deepEqual(await run(2 * 86_400_000), { looked: 5, truncatedEvents: 5, done: true });
  t.is((await run(4 * 86_400_000)).looked, 0, 'what has one version left is never due');
});

test('two nodes on one log › both enforce, and each version is removed once', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const [one, two] = [await openWorld(t, { url: server.url }), await openWorld(t, { url: server.url })];
  for (let n = 0; n < 40; n++)
    await (n % 2 === 0 ? one : two).run('SetState', { key: `k${n % 4}`, value: n });
  const position = await one.run('SetStatePolicy', { pattern: '*', maxVersions: 3 });
  await two.core.parts.runner.reached(await one.log.position(), 10_000);
  t.true(position <= two.core.parts.runner.position);
  await Promise.all([cut(one), cut(two)]);
  await Promise.all([cut(one), cut(two)]);
  for (let key = 0; key < 4; key++) {
    t.deepEqual(await left(two, `k${key}`), [28 + key, 32 + key, 36 + key]);
    t.is((await recordsOf(one, `k${key}`)).length, 1);
  }
  const counts = [one, two].map((world) => world.core.parts.maintenance.facts().truncatedEvents);
  t.is((counts[0] ?? 0) + (counts[1] ?? 0), 28);
  t.is(await one.core.parts.runner.contentHash(), await two.core.parts.runner.contentHash());
});
