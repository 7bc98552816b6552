import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { streamId } from '../../domain/event.ts';
import type { StateRules } from '../../domain/state-policy/policy.ts';
import type { StateSize } from '../../domain/state-policy/quota.ts';
import type { StateDocument } from '../../projections/documents.ts';
import { parseConfig } from '../../src/config.ts';
import { createDeciders } from '../../src/core/deciders.ts';
import { type Core, openCore } from '../../src/core.ts';
import type { Context } from '../../src/nexus-core.ts';
import { openQuotas } from '../../src/state/quotas.ts';
import { createTestClock, quiet } from '../registry/support.ts';
import { redisForTest } from '../support/redis-server.ts';
import { until } from '../support/rest.ts';

const context: Context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

const openWorld = async (t: ExecutionContext, log?: string) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-quotas-'));
  const parsed = parseConfig(['--data-dir', folder], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, log: [log ?? `file:${folder}`], stateFile: 'none' };
  let core: Core = await openCore(config, { watchdogMs: 60_000, logger: quiet });
  t.teardown(async () => {
    await core.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The code of the refusal, or `ok`. */
  const run = async (type: string, data: object): Promise<string> => {
    const done = await core.execute({ type, data }, context);
    return done.ok ? 'ok' : done.problem.code;
  };
  const world = {
    get core() {
      return core;
    },
    async restart() {
      await core.close();
      core = await openCore(config, { watchdogMs: 60_000, logger: quiet });
    },
    run,
    set: (key: string, value: unknown = 1) => run('SetState', { key, value }),
    remove: (key: string) => run('DeleteState', { key }),
    limit: async (pattern: string, rules: Partial<StateRules>): Promise<void> => {
      t.is(await run('SetStatePolicy', { pattern, ...rules }), 'ok');
    },
    /** What the pattern is said to use, once it is counted. */
    usage: (pattern: string): Promise<StateSize | null> =>
      until(
        async () => core.parts.quotas.usageOf(pattern),
        (usage) => usage !== null,
      ),
    /** What the keys below a prefix use, by a look at each. */
    recount: (prefix: string): StateSize => {
      let [keys, bytes] = [0, 0];
      for (const [key, { deleted, value }] of core.parts.runner.store.range<StateDocument>('state', {
        prefix,
      })) {
        if (deleted) continue;
        keys++;
        bytes += Buffer.byteLength(key) + Buffer.byteLength(JSON.stringify(value));
      }
      return { keys, bytes };
    },
  };
  return world;
};

const times = (count: number, code: string) => Array.from({ length: count }, () => code);
const sorted = (codes: readonly string[]) => codes.toSorted();

test('64 writers at once › of new keys as many are taken as there is room for, and no more', async (t) => {
  const world = await openWorld(t);
  await world.limit('q/*', { maxKeys: 40 });
  const codes = await Promise.all(Array.from({ length: 64 }, (_, n) => world.set(`q/${n}`)));
  t.deepEqual(sorted(codes), [...times(40, 'ok'), ...times(24, 'quota_exceeded')]);
  t.is((await world.usage('q/*'))?.keys, 40);
  t.is(await world.remove(`q/${codes.indexOf('ok')}`), 'ok');
  t.is(await world.set('q/another'), 'ok');
  t.is(await world.set('q/one-more'), 'quota_exceeded');
  t.is(await world.set('other'), 'ok', 'keys of other patterns are no part of it');
});

test('64 writers at once › on a log that other nodes may share, keys that conflict among them', async (t) => {
  const server = await redisForTest(t);
  if (server === undefined) return;
  const world = await openWorld(t, server.url);
  await world.limit('q/*', { maxKeys: 20 });
  const codes = await Promise.all(
    Array.from({ length: 64 }, (_, n) =>
      n % 2 === 0 ? world.set(`q/${n}`) : world.run('IncrementState', { key: `q/same${n % 3}` }),
    ),
  );
  t.deepEqual(new Set(codes), new Set(['ok', 'quota_exceeded']));
  t.is((await world.usage('q/*'))?.keys, 20);
  t.deepEqual(await world.usage('q/*'), world.recount('q/'));
});

test('64 writers at once › bytes never pass the quota, and what fits is taken at the end', async (t) => {
  const world = await openWorld(t);
  const maxBytes = 8_000;
  await world.limit('b/*', { maxBytes });
  let passed = 0;
  const unfollow = world.core.parts.runner.onFolded(() => {
    if (world.recount('b/').bytes > maxBytes) passed++;
  });
  const writer = async (n: number): Promise<void> => {
    for (let round = 0; round < 12; round++) {
      const step = (n * 31 + round * 17) % 97;
      const key = `b/${(n + round) % 40}`;
      if (step % 5 === 0) await world.remove(key);
      else await world.set(key, 'x'.repeat(step * 10));
    }
  };
  await Promise.all(Array.from({ length: 64 }, (_, n) => writer(n)));
  unfollow();
  t.is(passed, 0);
  const usage = await world.usage('b/*');
  t.deepEqual(usage, world.recount('b/'));
  const left = maxBytes - (usage?.bytes ?? 0);
  await world.remove('b/1');
  const free = maxBytes - ((await world.usage('b/*'))?.bytes ?? 0);
  t.true(free >= left);
  const overhead = Buffer.byteLength('b/1') + 2;
  if (free > overhead) {
    t.is(await world.set('b/1', 'y'.repeat(free - overhead + 1)), 'quota_exceeded');
    t.is(await world.set('b/1', 'y'.repeat(free - overhead)), 'ok');
    t.is((await world.usage('b/*'))?.bytes, maxBytes);
  }
});

test('many writes of one key at once › take the room of the largest, not of all', async (t) => {
  const world = await openWorld(t);
  await world.limit('hot', { maxBytes: 150 });
  t.is(await world.set('hot', ''), 'ok');
  const codes = await Promise.all(
    Array.from({ length: 200 }, (_, n) => world.set('hot', 'x'.repeat(n % 2 === 0 ? 100 : 1))),
  );
  t.deepEqual(new Set(codes), new Set(['ok']));
  t.is(await world.set('hot', 'x'.repeat(150)), 'quota_exceeded');
});

test('over the quota › what shrinks or stays as large is taken, what grows is not', async (t) => {
  const world = await openWorld(t);
  for (const key of ['o/a', 'o/b', 'o/c']) t.is(await world.set(key, 'xxxx'), 'ok');
  await world.limit('o/*', { maxKeys: 1, maxBytes: 5 });
  t.is(await world.set('o/a', 'yyyy'), 'ok');
  t.is(await world.set('o/a', 'y'), 'ok');
  t.is(await world.set('o/a', 'yy'), 'quota_exceeded');
  t.is(await world.set('o/d', ''), 'quota_exceeded');
  t.is(await world.remove('o/b'), 'ok');
  t.is(await world.remove('o/c'), 'ok');
  t.deepEqual(await world.usage('o/*'), { keys: 1, bytes: 6 });
});

test('of quotas all that match hold, and facts say which one is used up', async (t) => {
  const world = await openWorld(t);
  await world.limit('n/*', { maxKeys: 2 });
  await world.limit('n/deep/*', { maxKeys: 5, maxBytes: 30 });
  t.is(await world.set('n/deep/a', ''), 'ok');
  const large = { type: 'SetState', data: { key: 'n/deep/b', value: 'x'.repeat(30) } };
  const refused = await world.core.execute(large, context);
  t.deepEqual(refused.ok ? {} : refused.problem.facts, {
    key: 'n/deep/b',
    pattern: 'n/deep/*',
    of: 'bytes',
    limit: 30,
    used: 10,
    needed: 40,
  });
  t.is(await world.set('n/b', ''), 'ok');
  const another = await world.core.execute(
    { type: 'SetState', data: { key: 'n/deep/c', value: 1 } },
    context,
  );
  t.like(another.ok ? {} : another.problem.facts, {
    pattern: 'n/*',
    of: 'keys',
    limit: 2,
    used: 2,
    needed: 1,
  });
});

test('every command that makes a key or lets it grow is held to the quota', async (t) => {
  const world = await openWorld(t);
  await world.limit('c/*', { maxKeys: 1, maxBytes: 12 });
  t.is(await world.set('c/n', 9_999_999), 'ok');
  t.is(await world.run('IncrementState', { key: 'c/n', by: 1 }), 'ok', '10,000,000 has 8 digits');
  t.is(await world.run('IncrementState', { key: 'c/n', by: 990_000_000 }), 'quota_exceeded');
  t.is(
    await world.run('PatchState', { key: 'c/n', format: 'merge-patch', patch: { a: 'long' } }),
    'quota_exceeded',
  );
  t.is(await world.run('PatchState', { key: 'c/m', format: 'merge-patch', patch: {} }), 'quota_exceeded');
  t.is(await world.run('IncrementState', { key: 'c/m' }), 'quota_exceeded');
  t.is(await world.run('AcquireLock', { key: 'c/l', ttlMs: 60_000 }), 'quota_exceeded');
  await world.limit('c/*', { maxKeys: 1 });
  t.is(await world.remove('c/n'), 'ok');
  t.is(await world.run('AcquireLock', { key: 'c/l', ttlMs: 60_000 }), 'ok');
  t.is(await world.set('c/n'), 'quota_exceeded');
});

test('a transaction › may take the room that it gives up, and is refused whole beyond that', async (t) => {
  const world = await openWorld(t);
  await world.limit('t/*', { maxKeys: 2, maxBytes: 12 });
  t.is(await world.set('t/a'), 'ok');
  t.is(await world.set('t/b'), 'ok');
  const transact = (...then: readonly object[]) =>
    world.core.execute({ type: 'TransactState', data: { then } }, context);
  const moved = await transact({ op: 'delete', key: 't/a' }, { op: 'set', key: 't/c', value: 1 });
  t.true(moved.ok);
  const refused = await transact(
    { op: 'set', key: 'elsewhere', value: 1 },
    { op: 'set', key: 't/b', value: 2 },
    { op: 'set', key: 't/d', value: 1 },
    { op: 'set', key: 't/e', value: 1 },
    { op: 'get', key: 't/f' },
  );
  t.like(refused.ok ? {} : refused.problem, {
    code: 'quota_exceeded',
    facts: { key: 't/e', pattern: 't/*', of: 'keys', limit: 2, used: 2, needed: 2, pointer: '/then/3' },
  });
  t.false((await world.core.state('elsewhere', {}, context)).ok, 'nothing of it was done');
  t.deepEqual(await world.usage('t/*'), { keys: 2, bytes: 8 });
  const both = await Promise.all([
    transact({ op: 'delete', key: 't/b' }, { op: 'set', key: 't/g', value: 1 }),
    transact({ op: 'delete', key: 't/c' }, { op: 'set', key: 't/h', value: 1 }),
    world.set('t/i'),
  ]);
  t.is(both[2], 'quota_exceeded');
  t.deepEqual(await world.usage('t/*'), world.recount('t/'));
  t.is((await world.usage('t/*'))?.keys, 2);
});

test('usage › is that of a recount after a restart, and after the read models were built anew under writes', async (t) => {
  const world = await openWorld(t);
  await world.limit('r/*', { maxKeys: 1_000 });
  await Promise.all(Array.from({ length: 100 }, (_, n) => world.set(`r/é${n}`, { n: 'ü'.repeat(n % 7) })));
  await Promise.all(Array.from({ length: 30 }, (_, n) => world.remove(`r/é${n * 3}`)));
  const before = await world.usage('r/*');
  t.deepEqual(before, world.recount('r/'));
  t.is(before?.keys, 70);
  await world.restart();
  t.deepEqual(await world.usage('r/*'), before);
  const writing = Promise.all(
    Array.from({ length: 200 }, (_, n) => world.set(`r/é${n % 120}`, 'x'.repeat(n % 11))),
  );
  await world.core.parts.runner.rebuild();
  t.deepEqual(new Set(await writing), new Set(['ok']));
  t.deepEqual(await world.usage('r/*'), world.recount('r/'));
});

test('usage › is exact when keys are written and deleted while it is counted', async (t) => {
  const world = await openWorld(t);
  const key = (n: number) => `w/${String(n).padStart(5, '0')}`;
  await Promise.all(Array.from({ length: 2_500 }, (_, n) => world.set(key(n), n)));
  await world.limit('w/*', { maxKeys: 2_600 });
  t.is(world.core.parts.quotas.usageOf('w/*'), null, 'it is still being counted');
  const codes = await Promise.all(
    Array.from({ length: 300 }, (_, n) => {
      if (n % 3 === 0) return world.remove(key(n * 8));
      return n % 3 === 1 ? world.set(key(n * 8), 'longer than it was') : world.set(`w/new${n}`);
    }),
  );
  t.deepEqual(new Set(codes), new Set(['ok']));
  t.deepEqual(await world.usage('w/*'), world.recount('w/'));
  t.is((await world.usage('w/*'))?.keys, 2_500);
});

test('usage › goes with its policy, and is counted anew when that comes again', async (t) => {
  const world = await openWorld(t);
  t.is(await world.set('p/a'), 'ok');
  await world.limit('p/*', { maxKeys: 1 });
  t.is((await world.usage('p/*'))?.keys, 1);
  t.is(await world.run('RemoveStatePolicy', { pattern: 'p/*' }), 'ok');
  t.is(world.core.parts.quotas.usageOf('p/*'), null);
  t.is(await world.set('p/b'), 'ok');
  await world.limit('p/*', { maxKeys: 2 });
  t.is(await world.set('p/c'), 'quota_exceeded');
  await world.limit('p/*', { maxKeys: 3 });
  t.is(await world.set('p/c'), 'ok');
});

test('while usage is not known › what grows is not decided on, what does not grow is', async (t) => {
  const world = await openWorld(t);
  t.is(await world.set('u/a', 'xx'), 'ok');
  await world.limit('u/*', { maxKeys: 9 });
  const { runner, statePolicies } = world.core.parts;
  const clock = createTestClock();
  const { store, position, reached, onFolded, onSwapped } = runner;
  const building = { store, position, reached, onFolded, onSwapped, ready: false };
  const { state } = createDeciders(runner);
  const quotas = openQuotas({ runner: building, statePolicies, decides: state, logger: quiet, clock });
  t.teardown(() => quotas.close());
  const decide = (key: string, value: string) =>
    quotas
      .reserve()
      ?.within(key)
      .decider.decide(
        { type: 'SetState', value },
        state.restore(streamId('state', key))?.state ?? state.decider.initial,
      );
  t.deepEqual(decide('u/b', ''), { ok: false, rejection: { code: 'usage_unknown', pattern: 'u/*' } });
  t.like(decide('u/a', 'y'), { ok: true });
  const known = quotas.counted('u/*', 5_000);
  clock.advance(5_000);
  t.false(await known);
});
