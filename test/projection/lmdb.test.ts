import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openLmdbReadStore } from '../../src/projection/lmdb.ts';
import { type ReadChange, ReadModelDamaged } from '../../src/projection/read-store.ts';
import { ReadStoreFull } from '../../src/projection/room.ts';
import { createWriteBehind } from '../../src/projection/write-behind.ts';
import { positionAt } from '../support/recorded.ts';
import { temporaryFolder } from './folder.ts';

const put = (key: string, document: unknown, place?: number): ReadChange => ({
  model: 'state',
  key,
  document,
  ...(place === undefined ? {} : { historyAt: positionAt(place) }),
});

const batchAt = (place: number, ...changes: readonly ReadChange[]) => ({
  changes,
  checkpoint: positionAt(place),
  recordedAtMs: place,
});

test('a store that was closed is what it was when it is opened again', async (t) => {
  const directory = temporaryFolder(t);
  const first = await openLmdbReadStore({ directory });
  await first.write(batchAt(1, put('a', { n: 1 }, 1), put('b', { n: 2 })));
  const hash = first.contentHash();
  await first.close();
  const second = await openLmdbReadStore({ directory });
  t.teardown(() => second.close());
  t.is(second.checkpoint, positionAt(1));
  t.deepEqual(second.read('state', 'a'), { n: 1 });
  t.is(second.contentHash(), hash);
});

test('the content hash knows content, not batches, internal models or the order of properties', async (t) => {
  const open = async () => {
    const store = await openLmdbReadStore({ directory: temporaryFolder(t) });
    t.teardown(() => store.close());
    return store;
  };
  const [one, two, other] = [await open(), await open(), await open()];
  await one.write(batchAt(2, put('a', { x: 1, y: 2 }, 1), put('b', { n: 1 }, 2)));
  await two.write(batchAt(1, put('a', { y: 2, x: 1 }, 1)));
  await two.write(batchAt(2, put('b', { n: 1 }, 2), { model: '$own', key: 'k', document: 1 }));
  await other.write(batchAt(2, put('a', { x: 1, y: 3 }, 1), put('b', { n: 1 }, 2)));
  t.is(one.contentHash(), two.contentHash());
  t.not(one.contentHash(), other.contentHash());
});

test('a document that was removed leaves nothing: content and hash are those of a store that never had it', async (t) => {
  const directory = temporaryFolder(t);
  const one = await openLmdbReadStore({ directory });
  await one.write(batchAt(1, put('a', 1), put('b', 2)));
  await one.write(batchAt(2, put('a', null)));
  const hash = one.contentHash();
  await one.close();
  const other = await openLmdbReadStore({ directory: temporaryFolder(t) });
  t.teardown(() => other.close());
  await other.write(batchAt(2, put('b', 2)));
  t.is(hash, other.contentHash());
  const again = await openLmdbReadStore({ directory });
  t.teardown(() => again.close());
  t.deepEqual([...again.range('state')], [['b', 2]]);
});

test('a forgotten history leaves nothing, however long it is: content and hash are those of a store that never had it', async (t) => {
  const versions = 12_000;
  const directory = temporaryFolder(t);
  const one = await openLmdbReadStore({ directory });
  await one.write(batchAt(versions, ...Array.from({ length: versions }, (_, n) => put('a', n + 1, n + 1))));
  const forgotten = [{ model: 'state', key: 'a', to: positionAt(versions - 1) }];
  await one.write({ ...batchAt(versions + 1, put('b', 1, versions + 1)), forgotten });
  const hash = one.contentHash();
  t.deepEqual(
    Array.from(one.history('state', 'a'), ({ document }) => document),
    [versions],
  );
  await one.close();
  const other = await openLmdbReadStore({ directory: temporaryFolder(t) });
  t.teardown(() => other.close());
  await other.write(batchAt(1, put('a', versions, versions), put('b', 1, versions + 1)));
  t.is(hash, other.contentHash());
});

test('a document with one wrong bit is damage on every way to it, and the others are read on', async (t) => {
  const directory = temporaryFolder(t);
  const first = await openLmdbReadStore({ directory });
  await first.write(batchAt(2, put('a', { text: 'good-marker' }, 1), put('b', { text: 'fine' }, 2)));
  await first.close();
  const file = join(directory, 'read-models.mdb');
  const bytes = readFileSync(file);
  for (let at = bytes.indexOf('good-marker'); at >= 0; at = bytes.indexOf('good-marker', at)) {
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  }
  writeFileSync(file, bytes);

  const told: ReadModelDamaged[] = [];
  const store = await openLmdbReadStore({ directory, onDamaged: (error) => told.push(error) });
  t.teardown(() => store.close());
  t.throws(() => store.read('state', 'a'), { instanceOf: ReadModelDamaged });
  t.throws(() => [...store.range('state')], { instanceOf: ReadModelDamaged });
  t.throws(() => [...store.history('state', 'a')], { instanceOf: ReadModelDamaged });
  t.throws(() => store.at('state', 'a', positionAt(9)), { instanceOf: ReadModelDamaged });
  t.throws(() => store.contentHash(), { instanceOf: ReadModelDamaged });
  t.is(told.length, 5);
  t.deepEqual(store.read('state', 'b'), { text: 'fine' });
});

test('a file that was cut short is damage where it is met, and never the end of the process', async (t) => {
  const value = 'x'.repeat(20_000);
  const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
  let told = 0;
  for (const size of [8_192, 12_288, 16_384, 100_000, 400_000]) {
    const directory = temporaryFolder(t);
    const whole = await openLmdbReadStore({ directory });
    await whole.write(batchAt(1, ...keys.map((key) => put(key, { value }))));
    await whole.close();
    truncateSync(join(directory, 'read-models.mdb'), size);
    const use = async () => {
      const store = await openLmdbReadStore({ directory, onDamaged: () => told++ });
      try {
        for (const key of keys) t.deepEqual(store.read('state', key), { value });
      } finally {
        await store.close();
      }
    };
    await t.throwsAsync(use, { instanceOf: ReadModelDamaged });
  }
  t.is(told, 5);
});

test('a file that is no database is damage at the opening', async (t) => {
  const directory = temporaryFolder(t);
  writeFileSync(join(directory, 'read-models.mdb'), 'no database '.repeat(2_000));
  await t.throwsAsync(openLmdbReadStore({ directory }), { instanceOf: ReadModelDamaged });
});

test('a batch with a key that cannot be stored writes nothing', async (t) => {
  const store = await openLmdbReadStore({ directory: temporaryFolder(t) });
  t.teardown(() => store.close());
  for (const key of ['k'.repeat(1_201), 'é'.repeat(601), '\ud800']) {
    await t.throwsAsync(store.write(batchAt(1, put('a', 1), put(key, 2))), { instanceOf: RangeError });
  }
  t.is(store.read('state', 'a'), undefined);
  t.is(store.checkpoint, undefined);
  const longest = 'é'.repeat(600);
  await store.write(batchAt(1, put(longest, 'longest', 1)));
  t.is(store.read('state', longest), 'longest');
  t.is(store.at('state', longest, positionAt(1))?.document, 'longest');
});

test('documents of every size come back: none fits into the chunk of another', async (t) => {
  const store = await openLmdbReadStore({ directory: temporaryFolder(t) });
  t.teardown(() => store.close());
  const sizes = [0, 1, 100, 4_000, 80_000, 262_140, 262_144, 300_000, 1_000_000, 7];
  const text = (size: number) => 'ü'.repeat(size / 2);
  await store.write(batchAt(1, ...sizes.map((size) => put(`${size}`, { text: text(size) }, 1))));
  for (const size of sizes) t.deepEqual(store.read('state', `${size}`), { text: text(size) });
});

test('a second write while one is under way is refused', async (t) => {
  const store = await openLmdbReadStore({ directory: temporaryFolder(t) });
  t.teardown(() => store.close());
  const first = store.write(batchAt(1, put('a', 1)));
  await t.throwsAsync(store.write(batchAt(2, put('a', 2))), { message: /one write/ });
  await first;
  t.is(store.read('state', 'a'), 1);
});

test('memory in front › what was written before a flush stands below with its checkpoint', async (t) => {
  const directory = temporaryFolder(t);
  const below = await openLmdbReadStore({ directory });
  const store = createWriteBehind(below, { flushAfterMs: 2 ** 30 });
  await store.write(batchAt(1, put('a', 1, 1)));
  await store.write(batchAt(2, put('a', 2, 2)));
  t.is(below.checkpoint, undefined);
  t.is(store.checkpoint, positionAt(2));
  await store.flush();
  t.is(below.checkpoint, positionAt(2));
  t.is(below.read('state', 'a'), 2);
  t.is([...below.history('state', 'a')].length, 2);
  await store.write(batchAt(3, put('a', 3, 3)));
  await store.close();
  const again = await openLmdbReadStore({ directory });
  t.teardown(() => again.close());
  t.is(again.checkpoint, positionAt(3));
});

test('memory in front › what is removed in front covers what stands below, while it is written and after', async (t) => {
  const gate = Promise.withResolvers<void>();
  const below = await openLmdbReadStore({ directory: temporaryFolder(t) });
  await below.write(batchAt(1, put('a', 1), put('b', 1), put('c', 1), put('e', 1)));
  const slow: typeof below = {
    ...below,
    write: async (batch) => {
      await gate.promise;
      await below.write(batch);
    },
  };
  const store = createWriteBehind(slow, { flushAtChanges: 1 });
  t.teardown(() => store.close());
  const entries = () => [...store.range('state')];
  const both = [
    ['a', 3],
    ['d', 2],
    ['e', 1],
  ];
  // The first is being written below, and the second waits behind it.
  await store.write(batchAt(2, put('a', null), put('b', 2), put('c', null), put('d', 2)));
  t.deepEqual(entries(), [
    ['b', 2],
    ['d', 2],
    ['e', 1],
  ]);
  await store.write(batchAt(3, put('a', 3), put('b', null)));
  t.deepEqual(entries(), both);
  t.deepEqual(
    ['a', 'b', 'c'].map((key) => store.read('state', key)),
    [3, undefined, undefined],
  );
  gate.resolve();
  await store.flush();
  t.deepEqual(entries(), both);
  t.deepEqual([...below.range('state')], both);
});

test('memory in front › holds no more than its bound while the store below is slow', async (t) => {
  const gate = Promise.withResolvers<void>();
  const below = await openLmdbReadStore({ directory: temporaryFolder(t) });
  const slow: typeof below = {
    ...below,
    write: async (batch) => {
      await gate.promise;
      await below.write(batch);
    },
  };
  const store = createWriteBehind(slow, { flushAtChanges: 1, maxChanges: 10 });
  let written = 0;
  const writer = (async () => {
    for (let place = 1; place <= 100; place++) {
      await store.write(batchAt(place, put(`k${place}`, place)));
      written = place;
    }
  })();
  await new Promise(setImmediate);
  // One batch is leaving, ten wait in front.
  t.true(store.waitingChanges <= 11);
  t.is(written, 11);
  gate.resolve();
  await writer;
  await store.close();
});

test('memory in front › a write for which there is no room is tried again, and nothing is lost or seen twice', async (t) => {
  const directory = temporaryFolder(t);
  const below = await openLmdbReadStore({ directory });
  let failures = 0;
  const failing: typeof below = {
    ...below,
    write: async (batch) => {
      if (failures < 2) throw new ReadStoreFull('no space');
      await below.write(batch);
    },
  };
  const told: number[] = [];
  const store = createWriteBehind(failing, {
    flushAtChanges: 1,
    onFailed: (_error, count) => {
      failures = count;
      told.push(count);
    },
  });
  await store.write(batchAt(1, put('a', 1, 1)));
  t.is(store.read('state', 'a'), 1);
  await store.flush();
  t.deepEqual(told, [1, 2]);
  t.is(below.read('state', 'a'), 1);
  await store.close();
});

test('memory in front › after a write that failed none is begun, what was folded can be read, and it can be closed', async (t) => {
  const below = await openLmdbReadStore({ directory: temporaryFolder(t) });
  let begun = 0;
  const failing: typeof below = {
    ...below,
    write: async () => {
      begun++;
      throw new Error('the disk failed');
    },
  };
  const told = Promise.withResolvers<unknown>();
  const store = createWriteBehind(failing, { flushAtChanges: 1, onFailed: told.resolve });
  await store.write(batchAt(1, put('a', 1, 1)));
  t.regex(String(await told.promise), /the disk failed/);
  await store.write(batchAt(2, put('b', 2, 2)));
  t.deepEqual([store.read('state', 'a'), store.read('state', 'b')], [1, 2]);
  await store.close();
  t.is(begun, 1);
  t.is(below.checkpoint, undefined);
});

test('a write that would touch the reserve of the disk is refused before it is begun, and can be tried again', async (t) => {
  const directory = temporaryFolder(t);
  const failures: Error[] = [];
  const onFailure = (error: Error) => failures.push(error);
  const full = await openLmdbReadStore({ directory, onFailure, reserveBytes: Number.MAX_SAFE_INTEGER });
  for (let tries = 0; tries < 2; tries++) {
    await t.throwsAsync(full.write(batchAt(1, put('a', 1, 1))), { instanceOf: ReadStoreFull });
  }
  t.is(full.read('state', 'a'), undefined);
  t.deepEqual(failures, []);
  await full.close();
  const roomy = await openLmdbReadStore({ directory });
  t.teardown(() => roomy.close());
  await roomy.write(batchAt(1, put('a', 1, 1)));
  t.is(roomy.read('state', 'a'), 1);
});
