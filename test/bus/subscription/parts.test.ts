import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import fc from 'fast-check';
import { createDue } from '../../../src/bus/subscription/due.ts';
import { createFifo } from '../../../src/bus/subscription/fifo.ts';
import { createWindow } from '../../../src/bus/subscription/window.ts';
import { seeded } from '../../support/arbitraries.ts';
import { entryAt, turns } from './support.ts';

test('due › gives what a sorted list would, equal ones in the order in which they came', (t) => {
  const step = fc.oneof(fc.record({ add: fc.nat({ max: 20 }) }), fc.record({ take: fc.nat({ max: 25 }) }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const due = createDue<number>();
      let list: { readonly item: number; readonly dueMs: number }[] = [];
      for (const [item, one] of steps.entries()) {
        if ('add' in one) {
          due.add(item, one.add);
          list = [...list, { item, dueMs: one.add }].sort((a, b) => a.dueMs - b.dueMs);
        } else {
          const [first] = list;
          const expected = first !== undefined && first.dueMs <= one.take ? first.item : undefined;
          t.is(due.take(one.take), expected);
          if (expected !== undefined) list.shift();
        }
        t.is(due.size, list.length);
        t.is(due.nextMs, list[0]?.dueMs);
      }
    }),
    seeded,
  );
});

test('fifo › gives what an array would, over thousands of items', (t) => {
  const step = fc.record({ push: fc.nat({ max: 2_000 }), shift: fc.nat({ max: 2_000 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 6, size: 'max' }), (steps) => {
      const fifo = createFifo<number>();
      let [next, first] = [0, 0];
      for (const { push, shift } of steps) {
        for (let count = 0; count < push; count++) fifo.push(next++);
        for (let count = 0; count < shift; count++) {
          const expected = first < next ? first++ : undefined;
          if (fifo.shift() !== expected) t.fail(`not ${expected}`);
        }
        t.is(fifo.length, next - first);
        t.is(fifo.peek(), first < next ? first : undefined);
      }
    }),
    { ...seeded, numRuns: 100 },
  );
});

test('fifo › holds on to nothing that was taken, however long it is never empty', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const fifo = createFifo<object>();
  const taken: WeakRef<object>[] = [];
  fifo.push({});
  for (let count = 0; count < 500; count++) {
    fifo.push({});
    const item = fifo.shift();
    if (item !== undefined) taken.push(new WeakRef(item));
  }
  await turns();
  collect();
  t.is(fifo.length, 1);
  // The last one may still stand in a register.
  t.true(taken.filter((ref) => ref.deref() !== undefined).length <= 1);
});

test('window › is full at either bound, and has room again only at half of both', async (t) => {
  const window = createWindow(4, 100);
  t.false(window.full);
  await window.room();
  for (let count = 0; count < 4; count++) window.add(10);
  t.true(window.full);
  let hasRoom = false;
  const room = window.room().then(() => {
    hasRoom = true;
  });
  window.remove(10);
  await turns();
  t.false(hasRoom);
  window.remove(10);
  await room;
  t.false(window.full);
});

test('window › a single entry larger than its bytes finds room, and frees it all', async (t) => {
  const window = createWindow(4, 100);
  await window.room();
  window.add(1_000);
  t.true(window.full);
  const room = window.room();
  window.remove(1_000);
  await room;
  t.false(window.full);
});

test('window › close wakes who waits, and nobody waits from then on', async (t) => {
  const window = createWindow(1, 100);
  window.add(1);
  const room = window.room();
  window.close();
  await room;
  await window.room();
  t.true(window.full);
});

test('entry › weighs its headers and its key as it does its payload', (t) => {
  const plain = entryAt(1).bytes;
  const large = 'x'.repeat(10_000);
  for (const more of [{ payload: large }, { headers: { large } }, { key: large }]) {
    t.true(entryAt(1, more).bytes - plain >= 20_000);
  }
});
