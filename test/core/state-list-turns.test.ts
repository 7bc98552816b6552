import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { asStreamId, type Position } from '../../domain/event.ts';
import { createHandler } from '../../src/command/handle.ts';
import { createReads, type Reads } from '../../src/core/reads.ts';
import { createStateQueries } from '../../src/core/states.ts';
import { ok } from '../../src/errors.ts';
import type { ReadStore } from '../../src/projection/read-store.ts';
import { trimStream } from '../../src/retention/trim.ts';
import { context, openWorld, type World } from '../retention/world.ts';

const metadata = { actor: 'system', correlationId: 'c', causationId: null, node: 'n', schema: 1 };
const deletedKeys = 2_300;

const deleteMany = async ({ run }: World): Promise<void> => {
  const one = async (n: number): Promise<void> => {
    const key = `d/${String(n).padStart(5, '0')}`;
    await run('SetState', { key, value: n });
    await run('DeleteState', { key });
  };
  await Promise.all(Array.from({ length: deletedKeys }, (_, n) => one(n)));
};

/** What reads of now rest on when the read models have moved on from `position` since they began. */
const begunAt = ({ core }: World, position: Position, store: ReadStore = core.parts.runner.store): Reads => {
  const reads = createReads(core.parts);
  let isFirst = true;
  return {
    ...reads,
    begin: async (...asked) => {
      if (!isFirst) return reads.begin(...asked);
      isFirst = false;
      return ok({ store, position, asOf: undefined });
    },
  };
};

test('a page that looks at many deleted keys gives others their turn, and is the page that it was', async (t) => {
  t.timeout(120_000);
  const world = await openWorld(t);
  const { core, log, run } = world;
  await deleteMany(world);
  await run('SetState', { key: 'd/y', value: 'y' });
  await run('SetState', { key: 'd/z', value: 1 });
  const position = await log.position();
  // Written while the page is looked for: it has none of that.
  await run('SetState', { key: 'd/00007', value: 'made again' });
  await run('DeleteState', { key: 'd/y' });
  await run('SetState', { key: 'd/z', value: 2 });
  await run('SetState', { key: 'd/zz', value: 'new' });
  await core.parts.runner.reached(await log.position(), 10_000);

  let turns = 0;
  let isOver = false;
  const counting = (async () => {
    for (; !isOver; turns++) await nextTurn();
  })();
  const looks: { readonly turn: number; keys: number }[] = [];
  const { store } = core.parts.runner;
  function* counted<Item>(items: Iterable<Item>): Generator<Item> {
    const look = { turn: turns, keys: 0 };
    looks.push(look);
    for (const item of items) {
      look.keys += 1;
      yield item;
    }
  }
  const range: ReadStore['range'] = (model, options) => counted(store.range(model, options));
  const queries = createStateQueries(begunAt(world, position, { ...store, range }), { log });
  const page = await queries.states({ prefix: 'd/' }, context);
  isOver = true;
  await counting;
  if (!page.ok) return t.fail(page.problem.detail);
  t.deepEqual(
    page.value.entries.map(({ key, value }) => [key, value]),
    [
      ['d/y', 'y'],
      ['d/z', 1],
    ],
  );
  t.is(page.value.position, position);
  t.is(page.value.cursor, undefined);
  t.is(page.value.scanned, deletedKeys + 3);
  t.true(looks.length > 2);
  // One more tells whether there is more.
  for (const { keys } of looks) t.true(keys <= 1_001, `${keys} keys were looked at in one turn`);
  t.is(new Set(looks.map(({ turn }) => turn)).size, looks.length);

  const gone = { ...context, signal: AbortSignal.abort() };
  t.like(await core.states({ prefix: 'd/' }, gone), { ok: false, problem: { code: 'shutting_down' } });
  t.like(await core.states({ prefix: 'd/', limit: 1 }, context), {
    value: { entries: [{ key: 'd/00007' }], scanned: 8 },
  });
});

test('what loses its history while a list of now is made is shown as it is then', async (t) => {
  const world = await openWorld(t);
  const { core, log, run } = world;
  await run('SetState', { key: 'a', value: 1 });
  const position = await log.position();
  await run('SetState', { key: 'a', value: 2 });
  await trimStream(log, createHandler(log), asStreamId('state-a'), 1, metadata);
  await core.parts.runner.reached(await log.position(), 10_000);
  const queries = createStateQueries(begunAt(world, position), { log });
  t.like(await queries.states({}, context), { ok: true, value: { entries: [{ key: 'a', value: 2 }] } });
  // Who asks for that position is told.
  t.like(await queries.states({ asOf: position }, context), { ok: false, problem: { code: 'gap' } });
});

test('a page ends once its values take as much as was asked for, and the next one goes on', async (t) => {
  const { core, run } = await openWorld(t);
  const keys = Array.from({ length: 9 }, (_, n) => `k/${n}`);
  for (const key of keys) await run('SetState', { key, value: 'x'.repeat(1_000) });
  const seen: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const from = cursor === undefined ? {} : { cursor };
    const page = await core.states({ prefix: 'k/', maxBytes: 4_000, ...from }, context);
    if (!page.ok) return t.fail(page.problem.detail);
    t.is(page.value.scanned, page.value.entries.length);
    t.true(page.value.entries.length <= 2);
    seen.push(...page.value.entries.map(({ key }) => key));
    ({ cursor } = page.value);
    if (cursor === undefined) break;
  }
  t.deepEqual(seen, keys);
});
