import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { LogEvent } from '../../domain/event.ts';
import { parseConfig } from '../../src/config.ts';
import { type Core, openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import type { Context } from '../../src/nexus-core.ts';
import { seeded } from '../support/arbitraries.ts';

const open = (folder: string): Promise<Core> => {
  const parsed = parseConfig(
    ['--data-dir', folder, '--log', `file:${folder}/log`, '--state-file', 'none'],
    {},
    () => undefined,
  );
  if (!parsed.ok) throw new Error(parsed.message);
  return openCore(parsed.config, { watchdogMs: 60_000, logger: createLogger('silent') });
};

const root: Context = { subject: { id: 'root', scopes: ['admin'] }, correlationId: 'c' };

// Neighbours in the order of keys, one key that is the beginning of others, and one of two bytes a letter.
const keys = ['a', 'a/b', 'a/c', 'a0', 'b', 'bé'];
const prefixes = ['', 'a', 'a/', 'b', 'bé', 'none'];

const key = fc.constantFrom(...keys);
const value = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(null, 'text', [1, 2]),
  fc.record({ n: fc.integer({ min: 0, max: 3 }), list: fc.constantFrom([], [1]) }),
);

type Step = { readonly type: string; readonly data: object };

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('SetState'), data: fc.record({ key, value }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('PatchState'),
      data: fc.record({
        key,
        format: fc.constant('merge-patch'),
        patch: fc.constantFrom<unknown>({ n: null, more: 1 }, { more: { deep: true } }, 5),
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('PatchState'),
      data: fc.record({
        key,
        format: fc.constant('json-patch'),
        patch: fc.constant([{ op: 'add', path: '/list/-', value: 2 }]),
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('IncrementState'),
      data: fc.record({ key, by: fc.integer({ min: -2, max: 2 }) }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('DeleteState'), data: fc.record({ key }) }),
  },
);

type Entry = { readonly key: string; readonly value: unknown; readonly version: number };
type State = ReadonlyMap<string, Entry>;

/** The state after one more event: a plain fold of what stands in the log, apart from that of the product. */
const folded = (state: State, { type, stream, revision, data }: LogEvent): State => {
  const name = stream.slice('state-'.length);
  const next = new Map(state);
  if (type === 'StateSet') {
    next.set(name, { key: name, value: (data as { value: unknown }).value, version: revision + 1 });
  } else if (type === 'StateDeleted') next.delete(name);
  else throw new Error(`${type} is not folded`);
  return next;
};

const wholeLog = async (core: Core): Promise<readonly LogEvent[]> => {
  const page = await core.log({ after: 'start', limit: 1_000, category: 'state' }, root);
  if (!page.ok || page.value.more) throw new Error('not the whole log');
  return page.value.events;
};

const alone = async (core: Core, name: string, options: object): Promise<Entry | undefined> => {
  const found = await core.state(name, options, root);
  if (!found.ok && found.problem.code !== 'not_found') throw new Error(found.problem.detail);
  if (!found.ok) return undefined;
  const { value: own, version } = found.value;
  return { key: name, value: own, version };
};

/** All pages of two each; `between` runs behind each page. */
const listed = async (
  core: Core,
  options: { readonly prefix: string; readonly asOf?: string },
  between: () => Promise<unknown> = async () => undefined,
): Promise<{ readonly entries: readonly Entry[]; readonly positions: ReadonlySet<string> }> => {
  const entries: Entry[] = [];
  const positions = new Set<string>();
  let { asOf } = options;
  for (let cursor: string | undefined; ; ) {
    const page = await core.states(
      {
        prefix: options.prefix,
        limit: 2,
        ...(asOf === undefined ? {} : { asOf }),
        ...(cursor === undefined ? {} : { cursor }),
      },
      root,
    );
    if (!page.ok) throw new Error(page.problem.detail);
    if (page.value.entries.length > 2) throw new Error('a page of more than its limit');
    entries.push(
      ...page.value.entries.map(({ key: name, value: own, version }) => ({ key: name, value: own, version })),
    );
    positions.add(page.value.position);
    ({ cursor } = page.value);
    if (cursor === undefined) return { entries, positions };
    // The cursor says it all.
    asOf = undefined;
    await between();
  }
};

const inOrder = (state: State, prefix: string): readonly Entry[] =>
  [...state.values()]
    .filter((entry) => entry.key.startsWith(prefix))
    .sort((left, right) => Buffer.compare(Buffer.from(left.key), Buffer.from(right.key)));

/** Every position and every time of `events` shows the fold up to there, key by key and by each prefix. */
const shows = async (t: ExecutionContext, core: Core, events: readonly LogEvent[]): Promise<number> => {
  let state: State = new Map();
  let compared = 0;
  const compare = async (asOf: string): Promise<void> => {
    for (const name of keys)
      t.deepEqual(await alone(core, name, { asOf }), state.get(name), `${name} ${asOf}`);
    for (const prefix of prefixes) {
      const { entries, positions } = await listed(core, { prefix, asOf });
      t.deepEqual(entries, inOrder(state, prefix), `${prefix} ${asOf}`);
      t.is(positions.size, 1);
      compared += entries.length;
    }
  };
  await compare('0'.repeat(events[0]?.position.length ?? 16));
  for (const [index, event] of events.entries()) {
    state = folded(state, event);
    await compare(event.position);
    // The last event that was recorded in its millisecond is what this millisecond shows; of the newest one that is not
    // known, as the hub may write one more.
    const next = events[index + 1]?.metadata.recordedAt;
    const { recordedAt } = event.metadata;
    if (next !== undefined && next !== recordedAt) await compare(recordedAt);
    const name = event.stream.slice('state-'.length);
    t.deepEqual(await alone(core, name, { version: event.revision + 1 }), state.get(name));
  }
  for (const name of keys) {
    const own = events.filter(({ stream }) => stream === `state-${name}`);
    const history = await core.stateHistory(name, {}, root);
    t.deepEqual(
      history.ok
        ? history.value.history.map(({ version, deleted, eventId }) => [version, deleted, eventId])
        : [],
      own.toReversed().map(({ revision, type, id }) => [revision + 1, type === 'StateDeleted', id]),
    );
  }
  return compared;
};

test('property › asOf any position and any time is the state folded up to there, after a restart and a rebuild too', async (t) => {
  t.timeout(120_000);
  let [compared, removed] = [0, 0];
  const property = fc.asyncProperty(fc.array(anyStep, { minLength: 15, maxLength: 40 }), async (steps) => {
    const folder = await mkdtemp(join(tmpdir(), 'nexus-past-'));
    try {
      const core = await open(folder);
      for (const step of steps) await core.execute(step, root);
      const events = await wholeLog(core);
      removed += events.filter(({ type }) => type === 'StateDeleted').length;
      compared += await shows(t, core, events);
      await core.close();
      const again = await open(folder);
      await shows(t, again, events);
      await again.close();
      await rm(join(folder, 'read-models'), { recursive: true });
      const rebuilt = await open(folder);
      await shows(t, rebuilt, events);
      await rebuilt.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
  await t.notThrowsAsync(fc.assert(property, { ...seeded, numRuns: 8, endOnFailure: true }));
  t.true(compared > 1_000, `${compared} entries were compared`);
  t.true(removed > 10, `${removed} keys were deleted`);
});

test('property › the pages of one list are one snapshot, whatever is written between them', async (t) => {
  t.timeout(120_000);
  const folder = await mkdtemp(join(tmpdir(), 'nexus-past-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const core = await open(folder);
  const property = fc.asyncProperty(
    fc.array(anyStep, { minLength: 5, maxLength: 20 }),
    fc.array(anyStep, { minLength: 5, maxLength: 20 }),
    fc.constantFrom(...prefixes),
    async (before, between, prefix) => {
      for (const step of before) await core.execute(step, root);
      const expected = await listed(core, { prefix });
      const { entries, positions } = await listed(core, { prefix }, async () => {
        for (const step of between) await core.execute(step, root);
      });
      t.deepEqual(entries, expected.entries);
      t.is(positions.size, 1);
    },
  );
  await t.notThrowsAsync(fc.assert(property, { ...seeded, numRuns: 20, endOnFailure: true }));
  await core.close();
});
