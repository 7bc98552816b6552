import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { Position } from '../../domain/event.ts';
import type { Forgotten } from '../../projections/projection.ts';
import { openLmdbReadStore } from '../../src/projection/lmdb.ts';
import type { ReadBatch, ReadChange, ReadStore } from '../../src/projection/read-store.ts';
import { createWriteBehind } from '../../src/projection/write-behind.ts';
import { positionAt } from '../support/recorded.ts';
import { temporaryFolder } from './folder.ts';

const never = { flushAfterMs: 2 ** 30, flushAtChanges: Number.MAX_SAFE_INTEGER };
const always = { flushAtChanges: 1 };

/** Every store that the runner may stand on, each held to the same claims. */
const stores = {
  lmdb: async (t: ExecutionContext): Promise<ReadStore> => {
    const store = await openLmdbReadStore({ directory: temporaryFolder(t) });
    t.teardown(() => store.close());
    return store;
  },
  'memory in front, nothing written': async (t: ExecutionContext): Promise<ReadStore> => {
    const store = createWriteBehind(await openLmdbReadStore({ directory: temporaryFolder(t) }), never);
    t.teardown(() => store.close());
    return store;
  },
  'memory in front, being written': async (t: ExecutionContext): Promise<ReadStore> => {
    const store = createWriteBehind(await openLmdbReadStore({ directory: temporaryFolder(t) }), always);
    t.teardown(() => store.close());
    return store;
  },
};

const batch = (place: number, ...changes: readonly ReadChange[]): ReadBatch => ({
  changes,
  checkpoint: positionAt(place),
  recordedAtMs: place * 1_000,
});

const byBytes = (left: string, right: string): number =>
  Buffer.compare(Buffer.from(left), Buffer.from(right));

type Entry = readonly [key: string, document: unknown];

/** What a store must answer, said in the simplest way. */
const createReference = () => {
  const current = new Map<string, unknown>();
  let pasts: { key: string; position: Position; document: unknown }[] = [];
  return {
    put(change: ReadChange): void {
      if (change.document === null) current.delete(change.key);
      else current.set(change.key, change.document);
      if (change.historyAt !== undefined) {
        pasts.push({ key: change.key, position: change.historyAt, document: change.document });
      }
    },
    forget(forgotten: string, to: Position): void {
      pasts = pasts.filter(({ key, position }) => key !== forgotten || position > to);
    },
    range: (prefix: string, after: string | undefined): Entry[] =>
      [...current]
        .filter(([key]) => key.startsWith(prefix) && (after === undefined || byBytes(key, after) > 0))
        .sort(([left], [right]) => byBytes(left, right)),
    history: (key: string, before: Position | undefined) =>
      pasts
        .filter((past) => past.key === key && (before === undefined || past.position < before))
        .map(({ position, document }) => ({ position, document }))
        .reverse(),
  };
};

const anyKey = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 6 })
  .filter((key) => key.isWellFormed());

for (const [name, open] of Object.entries(stores)) {
  test(`${name} › what was written is read back, and what was not is undefined`, async (t) => {
    const store = await open(t);
    t.is(store.checkpoint, undefined);
    t.is(store.read('state', 'a'), undefined);
    await store.write(batch(1, { model: 'state', key: 'a', document: { n: 1 } }));
    t.deepEqual(store.read('state', 'a'), { n: 1 });
    t.is(store.read('services', 'a'), undefined);
    t.is(store.checkpoint, positionAt(1));
    await store.write(batch(2, { model: 'state', key: 'a', document: { n: 2 } }));
    t.deepEqual(store.read('state', 'a'), { n: 2 });
  });

  test(`${name} › of several changes to a document in one batch the last one stands, and all are history`, async (t) => {
    const store = await open(t);
    const change = (n: number): ReadChange => ({
      model: 'state',
      key: 'a',
      document: { n },
      historyAt: positionAt(n),
    });
    await store.write(batch(3, change(1), change(2), change(3)));
    t.deepEqual(store.read('state', 'a'), { n: 3 });
    t.deepEqual(
      [...store.history<{ n: number }>('state', 'a')].map(({ document }) => document.n),
      [3, 2, 1],
    );
    t.deepEqual(
      [...store.history<{ n: number }>('state', 'a', positionAt(3))].map(({ document }) => document.n),
      [2, 1],
    );
  });

  test(`${name} › the document at a position is the newest one at or before it`, async (t) => {
    const store = await open(t);
    for (const place of [2, 4]) {
      await store.write(
        batch(place, { model: 'state', key: 'a', document: { place }, historyAt: positionAt(place) }),
      );
    }
    const at = (place: number) =>
      store.at<{ place: number }>('state', 'a', positionAt(place))?.document.place;
    t.deepEqual([1, 2, 3, 4, 5].map(at), [undefined, 2, 2, 4, 4]);
    t.is(store.at('state', 'b', positionAt(5)), undefined);
  });

  test(`${name} › of a forgotten history the newest document and what stands behind stay, and other keys keep theirs`, async (t) => {
    const store = await open(t);
    const change = (key: string, n: number): ReadChange => ({
      model: 'state',
      key,
      document: n,
      historyAt: positionAt(n),
    });
    const left = (key: string) => Array.from(store.history('state', key), ({ document }) => document);
    await store.write(
      batch(6, change('a', 1), change('aa', 2), change('a', 3), change('a', 5), change('b', 6)),
    );
    await store.write({ ...batch(7), forgotten: [{ model: 'state', key: 'a', to: positionAt(3) }] });
    t.deepEqual([left('a'), left('aa'), left('b')], [[5], [2], [6]]);
    t.is(store.read('state', 'a'), 5);
    t.is(store.at('state', 'a', positionAt(4)), undefined);
    await store.write(batch(8, change('a', 8)));
    // Of the same batch too, and an earlier place than the one that is known brings nothing back.
    await store.write({
      ...batch(10, change('a', 9), change('a', 10)),
      forgotten: [
        { model: 'state', key: 'a', to: positionAt(9) },
        { model: 'state', key: 'a', to: positionAt(1) },
      ],
    });
    t.deepEqual(left('a'), [10]);
    t.deepEqual(store.at('state', 'a', positionAt(10))?.document, 10);
  });

  test(`${name} › a time leads to the newest sample that is not later`, async (t) => {
    const store = await open(t);
    await store.write(batch(10));
    await store.write(batch(20));
    const found = [9_999, 10_000, 19_999, 20_000, 99_000].map((ms) => store.sampleAt(ms));
    // Between two samples the earlier one may be given, or none: the log is read on from there.
    for (const [index, limit] of [undefined, positionAt(10), positionAt(10), positionAt(20)].entries()) {
      const position = found[index];
      t.true(position === undefined || (limit !== undefined && position <= limit));
    }
    t.is(found[4], positionAt(20));
  });

  test(`${name} › ranges, histories and reads are those of the reference, for any keys, batches and forgotten histories`, async (t) => {
    const store = await open(t);
    let place = 0;
    let run = 0;
    const forget = fc.option(fc.nat({ max: 20 }), { nil: undefined });
    const anyBatch = fc.array(fc.record({ key: anyKey, value: fc.nat(), forget }), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyBatch, { maxLength: 6 }),
        fc.string({ unit: 'grapheme', maxLength: 2 }).filter((text) => text.isWellFormed()),
        fc.option(anyKey, { nil: undefined }),
        async (batches, prefix, after) => {
          // One store for all runs, a model of its own for each.
          const model = `m${run++}`;
          const reference = createReference();
          for (const list of batches) {
            const changes = list.map(({ key, value }): ReadChange => {
              place++;
              return { model, key, document: { value }, historyAt: positionAt(place) };
            });
            for (const change of changes) reference.put(change);
            const forgotten: Forgotten[] = [];
            for (const { key, forget: back } of list) {
              const newest = reference.history(key, undefined)[0]?.position;
              const to = positionAt(Math.max(0, place - (back ?? 0)));
              if (back === undefined || newest === undefined || to >= newest) continue;
              forgotten.push({ model, key, to });
              reference.forget(key, to);
            }
            await store.write({ ...batch(place, ...changes), forgotten });
          }
          const options = after === undefined ? { prefix } : { prefix, after };
          t.deepEqual([...store.range(model, options)], reference.range(prefix, after));
          const before = positionAt(Math.max(0, place - 3));
          for (const key of new Set(batches.flat().map((change) => change.key))) {
            const history = reference.history(key, undefined);
            t.deepEqual([...store.history(model, key)], history);
            t.deepEqual([...store.history(model, key, before)], reference.history(key, before));
            t.deepEqual(store.at(model, key, positionAt(place)), history[0]);
            const past = Math.max(0, place - 4);
            t.deepEqual(
              store.at(model, key, positionAt(past)),
              reference.history(key, positionAt(past + 1))[0],
            );
            t.deepEqual(store.read(model, key), history[0]?.document);
            t.deepEqual(store.oldest(model, key), history.at(-1));
            const newer = history.filter(({ position }) => position > positionAt(past));
            t.deepEqual(store.oldest(model, key, positionAt(past)), newer.at(-1));
          }
        },
      ),
      { seed: 7, numRuns: 60 },
    );
  });

  test(`${name} › a document that was removed is gone from reads and ranges, and can be put again`, async (t) => {
    const store = await open(t);
    const put = (key: string, n: number): ReadChange => ({ model: 'letters', key, document: { n } });
    const remove = (key: string): ReadChange => ({ model: 'letters', key, document: null });
    const keys = (after?: string) =>
      Array.from(store.range('letters', after === undefined ? {} : { after }), ([key]) => key);
    await store.write(batch(1, put('a', 1), put('b', 1), put('c', 1), put('d', 1)));
    await store.write(batch(2, remove('b'), remove('d'), remove('never')));
    t.is(store.read('letters', 'b'), undefined);
    t.is(store.read('letters', 'never'), undefined);
    t.deepEqual(keys(), ['a', 'c']);
    t.deepEqual(keys('a'), ['c']);
    // Of several changes in one batch the last one counts, whichever it is.
    await store.write(batch(3, put('b', 2), remove('a'), put('a', 3), put('c', 2), remove('c')));
    t.deepEqual(
      ['a', 'b', 'c', 'd'].map((key) => store.read('letters', key)),
      [{ n: 3 }, { n: 2 }, undefined, undefined],
    );
    t.deepEqual(keys(), ['a', 'b']);
    t.is(store.checkpoint, positionAt(3));
  });

  test(`${name} › ranges and reads are those of the reference while documents come and go`, async (t) => {
    const store = await open(t);
    let place = 0;
    let run = 0;
    const anyChange = fc.record({ key: anyKey, remove: fc.boolean() });
    const anyBatch = fc.array(anyChange, { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyBatch, { minLength: 1, maxLength: 8 }),
        fc.option(anyKey, { nil: undefined }),
        async (batches, after) => {
          const model = `m${run++}`;
          const reference = createReference();
          for (const list of batches) {
            const changes = list.map(
              ({ key, remove }): ReadChange => ({ model, key, document: remove ? null : { place: ++place } }),
            );
            for (const change of changes) reference.put(change);
            await store.write(batch(++place, ...changes));
            t.deepEqual([...store.range(model)], reference.range('', undefined));
          }
          const options = after === undefined ? {} : { after };
          t.deepEqual([...store.range(model, options)], reference.range('', after));
          const standing = new Map(reference.range('', undefined));
          for (const { key } of batches.flat()) t.deepEqual(store.read(model, key), standing.get(key));
        },
      ),
      { seed: 11, numRuns: 60 },
    );
  });
}
