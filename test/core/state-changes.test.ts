import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseConfig } from '../../src/config.ts';
import { createWatches } from '../../src/core/watches.ts';
import { type Core, openCore } from '../../src/core.ts';
import type { Context, NexusCore, StateChange } from '../../src/nexus-core.ts';
import { createTestClock, quiet } from '../registry/support.ts';

const context: Context = { subject: { id: 'ann', scopes: ['admin'] }, correlationId: 'c' };

const open = async (t: ExecutionContext) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-changes-'));
  const clock = createTestClock();
  const parsed = parseConfig(['--data-dir', folder, '--state-file', 'none'], {}, () => undefined);
  if (!parsed.ok) throw new Error(parsed.message);
  const config = { ...parsed.config, log: [`file:${folder}/log`] };
  const core: Core = await openCore(config, {
    watchdogMs: 60_000,
    logger: quiet,
    clock: clock.now,
    after: clock.after,
  });
  t.teardown(async () => {
    await core.close();
    await rm(folder, { recursive: true, force: true });
  });
  const run = async (type: string, data: object): Promise<unknown> => {
    const done = await core.execute({ type, data }, context);
    if (!done.ok) throw new Error(JSON.stringify(done.problem));
    return done.value.result;
  };
  return { core, clock, run };
};

/** The first `count` changes of a key from its start. */
const changesOf = async (
  { watchState }: Pick<NexusCore, 'watchState'>,
  key: string,
  count: number,
): Promise<readonly StateChange[]> => {
  const ending = new AbortController();
  const watch = await watchState({ key }, { after: 'start', signal: ending.signal }, context);
  if (!watch.ok) throw new Error(watch.problem.detail);
  const changes: StateChange[] = [];
  for await (const part of watch.value.items) {
    if (part.type === 'items') changes.push(...part.items);
    if (changes.length >= count) break;
  }
  ending.abort();
  return changes;
};

const told = (changes: readonly StateChange[]) =>
  changes.map(({ value, oldValue, version, deleted }) => ({ value, oldValue, version, deleted }));

test('a change › is told alike however it came about: patch, count, transaction, expiry, lock', async (t) => {
  const { core, clock, run } = await open(t);
  await run('SetState', { key: 'k', value: { n: 1 } });
  await run('PatchState', { key: 'k', format: 'merge-patch', patch: { more: true } });
  await run('PatchState', { key: 'k', format: 'json-patch', patch: [{ op: 'remove', path: '/n' }] });
  await run('DeleteState', { key: 'k' });
  await run('IncrementState', { key: 'k', by: 2 });
  await run('TransactState', {
    // biome-ignore lint/suspicious/noThenProperty: a list, by the name that it has on the wire
    then: [
      { op: 'increment', key: 'k', by: 3 },
      { op: 'set', key: 'other', value: 1 },
    ],
  });
  await run('SetState', { key: 'k', value: 'short', ttlMs: 1_000 });
  const expired = changesOf(core, 'k', 8);
  clock.advance(1_000);
  t.deepEqual(told(await expired), [
    { value: { n: 1 }, oldValue: null, version: 1, deleted: false },
    { value: { n: 1, more: true }, oldValue: { n: 1 }, version: 2, deleted: false },
    { value: { more: true }, oldValue: { n: 1, more: true }, version: 3, deleted: false },
    { value: null, oldValue: { more: true }, version: 4, deleted: true },
    { value: 2, oldValue: null, version: 5, deleted: false },
    { value: 5, oldValue: 2, version: 6, deleted: false },
    { value: 'short', oldValue: 5, version: 7, deleted: false },
    { value: null, oldValue: 'short', version: 8, deleted: true },
  ]);

  const lock = (await run('AcquireLock', { key: 'l', ttlMs: 60_000 })) as { readonly token: number };
  await run('RenewLock', { key: 'l', token: lock.token, ttlMs: 60_000 });
  await run('ReleaseLock', { key: 'l', token: lock.token });
  const locked = told(await changesOf(core, 'l', 3));
  t.deepEqual(
    locked.map(({ version, deleted }) => ({ version, deleted })),
    [
      { version: 1, deleted: false },
      { version: 2, deleted: false },
      { version: 3, deleted: true },
    ],
  );
  for (const [index, { oldValue }] of locked.entries())
    t.deepEqual(oldValue, locked[index - 1]?.value ?? null);
});

test('changes of one key that come in one batch › each have the value of the version before', async (t) => {
  const { core, run } = await open(t);
  const count = 500;
  await Promise.all(
    Array.from({ length: count }, (_, index) => run('SetState', { key: 'hot', value: index })),
  );
  const changes = await changesOf(core, 'hot', count);
  t.is(changes.length, count);
  for (const [index, { oldValue, version }] of changes.entries()) {
    t.is(oldValue, changes[index - 1]?.value ?? null);
    t.is(version, index + 1);
  }
});

test('changes › have the value of the version before also where the read models are behind', async (t) => {
  const { core, run } = await open(t);
  await run('SetState', { key: 'k', value: 'first' });
  const { position } = core.parts.runner;
  await run('DeleteState', { key: 'k' });
  await run('SetState', { key: 'k', value: 'third' });
  await run('SetState', { key: 'k', value: 'fourth' });
  const { runner } = core.parts;
  const { store } = runner;
  const late = Object.create(runner, {
    reached: { value: () => Promise.resolve(false) },
    store: {
      value: {
        ...store,
        history: (model: string, key: string) =>
          [...store.history(model, key)].filter((past) => past.position <= position),
      },
    },
  });
  const changes = await changesOf(createWatches({ ...core.parts, runner: late }), 'k', 4);
  t.deepEqual(
    changes.map(({ oldValue }) => oldValue),
    [null, 'first', null, 'third'],
  );
});
