import test, { type ExecutionContext } from 'ava';
import { asStreamId, type Position } from '../../domain/event.ts';
import { createHandler } from '../../src/command/handle.ts';
import type { Result } from '../../src/errors.ts';
import { trimStream } from '../../src/retention/trim.ts';
import { stateAt } from '../../src/state/state-at.ts';
import { context, openWorld, type World } from '../retention/world.ts';
import { redisForTest } from '../support/redis-server.ts';

const metadata = { actor: 'system', correlationId: 'c', causationId: null, node: 'n', schema: 1 };

/** One claim on each kind of log that a hub can free by itself. */
const both = (claim: string, check: (t: ExecutionContext, world: World) => Promise<void>): void => {
  test(`embedded › ${claim}`, async (t) => check(t, await openWorld(t)));
  test(`Redis › ${claim}`, async (t) => {
    const server = await redisForTest(t);
    if (server !== undefined) await check(t, await openWorld(t, { url: server.url }));
  });
};

/** Versions from 1 on, whose values are their numbers; their positions, that of version n at n - 1. */
const setAll = async ({ run }: World, key: string, count: number): Promise<readonly string[]> => {
  const positions: string[] = [];
  for (let n = 1; n <= count; n++) positions.push(await run('SetState', { key, value: n }));
  return positions;
};

/** Leaves the versions behind `gone`, and waits for the read models. */
const trim = async ({ core, log }: World, key: string, gone: number): Promise<void> => {
  await trimStream(log, createHandler(log), asStreamId(`state-${key}`), gone, metadata);
  await core.parts.runner.reached(await log.position(), 10_000);
};

const codeOf = (result: Result<unknown>) => (result.ok ? 'ok' : result.problem.code);
const before = (position: string | undefined): string =>
  (BigInt(`0x${position}`) - 1n).toString(16).padStart(String(position).length, '0');

both('a version that was removed is told so, with the oldest that is kept', async (t, world) => {
  const { core } = world;
  const positions = await setAll(world, 'orders/7', 6);
  await trim(world, 'orders/7', 4);
  for (const version of [1, 4]) {
    const gone = await core.state('orders/7', { version }, context);
    t.is(codeOf(gone), 'gap');
    if (!gone.ok)
      t.deepEqual(gone.problem.facts, { key: 'orders/7', oldestVersion: 5, oldestPosition: positions[4] });
  }
  for (const version of [5, 6]) {
    const kept = await core.state('orders/7', { version }, context);
    t.is(kept.ok && kept.value.value, version);
  }
  for (const version of [7, 0]) t.is(codeOf(await core.state('orders/7', { version }, context)), 'not_found');
  t.is(codeOf(await core.state('orders/8', { version: 1 }, context)), 'not_found');
});

both('a key before the oldest kept version is a gap, never a key that did not exist', async (t, world) => {
  const { core, run } = world;
  const early = await run('SetState', { key: 'other', value: 0 });
  const positions = await setAll(world, 'k', 4);
  const codeAt = async (asOf: string) => codeOf(await core.state('k', { asOf }, context));
  t.is(await codeAt(early), 'not_found');
  await trim(world, 'k', 3);
  t.is(await codeAt(early), 'gap');
  t.is(await codeAt(positions[2] ?? ''), 'gap');
  t.is(await codeAt(before(positions[3])), 'gap');
  t.is(await codeAt(positions[3] ?? ''), 'ok');
  t.is(codeOf(await core.state('k', {}, context)), 'ok');
  const other = await core.state('other', { asOf: early }, context);
  t.is(other.ok && other.value.value, 0, 'another key has lost nothing');
});

both(
  'a list at a position fails when it would leave keys out, and names the first one that it can show',
  async (t, world) => {
    const { core, run } = world;
    const first = await run('SetState', { key: 'l/a', value: 0 });
    const slow = await setAll(world, 'l/b', 3);
    const quick = await setAll(world, 'l/c', 3);
    await run('SetState', { key: 'm', value: 0 });
    await trim(world, 'l/b', 2);
    await trim(world, 'l/c', 1);
    const list = (prefix: string, asOf: string) => core.states({ prefix, asOf }, context);
    const gone = await list('l/', first);
    t.is(codeOf(gone), 'gap');
    if (!gone.ok) t.deepEqual(gone.problem.facts, { position: first, oldestPosition: quick[1] });
    const shown = await list('l/', quick[1] ?? '');
    t.deepEqual(shown.ok && shown.value.entries.map(({ key, value }) => [key, value]), [
      ['l/a', 0],
      ['l/b', 3],
      ['l/c', 2],
    ]);
    t.is(codeOf(await list('l/', before(slow[2]))), 'gap');
    t.is(codeOf(await list('l/a', first)), 'ok', 'no key of the page has lost anything');
    t.is(codeOf(await core.states({ prefix: 'l/' }, context)), 'ok');
  },
);

both(
  'a list whose pages stand at one position ends with a gap when its keys lose it meanwhile',
  async (t, world) => {
    const { core } = world;
    for (const key of ['p/a', 'p/b', 'p/c']) await setAll(world, key, 1);
    const page = await core.states({ prefix: 'p/', limit: 1 }, context);
    const cursor = page.ok ? page.value.cursor : undefined;
    t.not(cursor, undefined);
    await setAll(world, 'p/c', 2);
    await trim(world, 'p/c', 2);
    const next = (limit: number) => core.states({ prefix: 'p/', limit, ...(cursor && { cursor }) }, context);
    t.is(codeOf(await next(1)), 'ok', 'what this page shows is all there');
    t.is(codeOf(await next(2)), 'gap');
  },
);

both(
  'a history ends at its oldest kept version and names it, whatever it is asked from',
  async (t, world) => {
    const { core } = world;
    await setAll(world, 'k', 7);
    const versions = async (options: { readonly limit?: number; readonly before?: number }) => {
      const found = await core.stateHistory('k', options, context);
      if (!found.ok) throw new Error(found.problem.detail);
      const { history, more, oldestVersion } = found.value;
      return [history.map(({ version }) => version), more, oldestVersion];
    };
    t.deepEqual(await versions({}), [[7, 6, 5, 4, 3, 2, 1], false, 1]);
    await trim(world, 'k', 4);
    t.deepEqual(await versions({}), [[7, 6, 5], false, 5]);
    t.deepEqual(await versions({ limit: 2 }), [[7, 6], true, 5]);
    t.deepEqual(await versions({ before: 6 }), [[5], false, 5]);
    for (const from of [5, 4, 1]) t.deepEqual(await versions({ before: from }), [[], false, 5]);
    t.is(codeOf(await core.stateHistory('never', {}, context)), 'not_found');
  },
);

both('a deleted key may lose all but its deletion, and its versions go on counting', async (t, world) => {
  const { core, run } = world;
  await setAll(world, 'k', 3);
  await run('DeleteState', { key: 'k' });
  await trim(world, 'k', 3);
  t.is(codeOf(await core.state('k', {}, context)), 'not_found');
  const history = await core.stateHistory('k', {}, context);
  t.deepEqual(history.ok && history.value.history.map(({ version, deleted }) => [version, deleted]), [
    [4, true],
  ]);
  await run('SetState', { key: 'k', value: 'again', expectedVersion: 0 });
  const again = await core.state('k', {}, context);
  t.is(again.ok && again.value.version, 5);
});

both('a three-way merge whose base was removed is refused with the conflict', async (t, world) => {
  const { core } = world;
  await setAll(world, 'k', 4);
  await trim(world, 'k', 3);
  const data = { key: 'k', value: { a: 1 }, expectedVersion: 2, resolver: 'three-way-merge' };
  const merged = await core.execute({ type: 'SetState', data }, context);
  t.is(codeOf(merged), 'version_conflict');
  t.regex(merged.ok ? '' : JSON.stringify(merged.problem), /not kept/);
});

both(
  'read models that are folded anew are those that were folded live, whether the log has hidden the events or not',
  async (t, world) => {
    const { core, log } = world;
    const { runner } = core.parts;
    await setAll(world, 'a', 30);
    await setAll(world, 'b', 3);
    await trim(world, 'a', 20);
    await trim(world, 'a', 25);
    const live = await runner.contentHash();
    await runner.rebuild();
    t.is(await runner.contentHash(), live);
    // Recorded and not hidden, as a hub leaves it that is killed between the two.
    const [last] = await log.readStream(asStreamId('state-b'), { direction: 'backwards', limit: 1 });
    const [removed] = await log.readStream(asStreamId('state-b'), { limit: 1 });
    t.is(Number(last?.revision), 2);
    const data = { key: 'b', before: 1, position: String(removed?.position) };
    await createHandler(log).appendAny(
      asStreamId('trim-state/b'),
      { id: crypto.randomUUID(), type: 'StateTrimmed', data },
      metadata,
    );
    await runner.reached(await log.position(), 10_000);
    const behind = await runner.contentHash();
    t.not(behind, live);
    t.is(codeOf(await core.state('b', { version: 1 }, context)), 'gap');
    await runner.rebuild();
    t.is(await runner.contentHash(), behind);
  },
);

test('what is written to a file as the state at a position is never one that has lost keys', async (t) => {
  const world = await openWorld(t);
  const position = await world.run('SetState', { key: 'a', value: 1 });
  await setAll(world, 'a', 3);
  await trim(world, 'a', 2);
  const { store } = world.core.parts.runner;
  const read = async (at: string): Promise<void> => {
    for await (const _page of stateAt({ store, position: at as Position, check: () => {} }));
  };
  await t.throwsAsync(read(position), { message: /was removed/ });
  await t.notThrowsAsync(read(await world.log.position()));
});
