import test from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { projections } from '../../projections/index.ts';
import { createFolder, listParked } from '../../src/projection/fold.ts';
import { openLmdbReadStore } from '../../src/projection/lmdb.ts';
import type { ReadStore } from '../../src/projection/read-store.ts';
import { by } from '../support/given.ts';
import { positionAt, record } from '../support/recorded.ts';
import { refAt, wasCreated, wasDeadLettered, wasRedriven } from '../support/subscription-samples.ts';
import { temporaryFolder } from './folder.ts';

const set = (value: unknown) => by('ann', { type: 'StateSet', data: { value } });
const history = (stream: string, ...values: readonly unknown[]): readonly LogEvent[] =>
  record(stream, values.map(set));

const openFolder = async (t: Parameters<typeof temporaryFolder>[0]) => {
  const store = await openLmdbReadStore({ directory: temporaryFolder(t) });
  t.teardown(() => store.close());
  return { store, fold: createFolder(projections, store) };
};

test('within a batch each event is folded onto what the one before it made, and every one is history', async (t) => {
  const { fold } = await openFolder(t);
  const { changes, parked } = fold(history('state-a', 1, 2, 3));
  t.deepEqual(parked, []);
  t.deepEqual(
    changes.map(({ model, key, historyAt }) => [model, key, historyAt]),
    [1, 2, 3].map((place) => ['state', 'a', positionAt(place)]),
  );
});

test('events that are in the store already change nothing', async (t) => {
  const { store, fold } = await openFolder(t);
  const events = history('state-a', 1, 2, 3);
  const { changes } = fold(events);
  await store.write({ changes, checkpoint: positionAt(3), recordedAtMs: 1 });
  t.deepEqual(fold(events), { changes: [], forgotten: [], parked: [] });
});

test('a record that versions were removed ends the history of its key, also when it is folded again; of a topic it ends none', async (t) => {
  const { store, fold } = await openFolder(t);
  const data = { before: 2, position: positionAt(2) };
  const events = [
    ...record('trim-state/a', [by('system', { type: 'StateTrimmed', data: { key: 'a', ...data } })]),
    ...record('trim-a', [by('system', { type: 'TopicTrimmed', data: { topic: 'a', ...data } })]),
  ];
  const { changes, forgotten, parked } = fold(events);
  t.deepEqual(parked, []);
  t.deepEqual(forgotten, [{ model: 'state', key: 'a', to: positionAt(2) }]);
  await store.write({ changes, forgotten, checkpoint: positionAt(3), recordedAtMs: 1 });
  t.deepEqual(fold(events), { changes: [], forgotten, parked: [] });
  t.deepEqual(
    Array.from(store.range('trims'), ([key]) => key),
    ['a', 'state/a'],
  );
});

const letters = (count: number) => Array.from({ length: count }, (_, index) => wasDeadLettered(index + 1));
const lettersIn = (store: Pick<ReadStore, 'range'>) => [...store.range('dead-letters')].length;

test('one event is folded into every document that it concerns, and removes those of its batch too', async (t) => {
  const { store, fold } = await openFolder(t);
  const redriven = wasRedriven(refAt(1, 1), refAt(2, 2));
  const { changes } = fold(record('subscription-billing', [wasCreated, ...letters(3), redriven]));
  t.deepEqual(
    changes.filter(({ model }) => model === 'dead-letters').map(({ document }) => document === null),
    [false, false, false, true, true],
  );
  await store.write({ changes, checkpoint: positionAt(5), recordedAtMs: 1 });
  t.is(lettersIn(store), 1);
  t.like(store.read('subscriptions', 'billing'), { deadLetters: 1 });
});

test('what a batch before has put is removed, and what was removed in a batch can be put again in it', async (t) => {
  const { store, fold } = await openFolder(t);
  const history = [wasCreated, ...letters(2), wasRedriven(refAt(1, 1), refAt(2, 2)), wasDeadLettered(2)];
  const events = record('subscription-billing', history);
  await store.write({
    changes: fold(events.slice(0, 3)).changes,
    checkpoint: positionAt(3),
    recordedAtMs: 1,
  });
  t.is(lettersIn(store), 2);
  const { changes } = fold(events.slice(3));
  await store.write({ changes, checkpoint: positionAt(5), recordedAtMs: 2 });
  t.is(lettersIn(store), 1);
  t.like([...store.range<{ letter: number }>('dead-letters')][0]?.[1], { messageId: 'm2', letter: 4 });
  // The same events again, as after a crash before the checkpoint, lead to the same documents.
  const before = store.contentHash();
  await store.write({ changes: fold(events).changes, checkpoint: positionAt(5), recordedAtMs: 2 });
  t.is(store.contentHash(), before);
});

test('a stream that is parked in a batch stays parked for the rest of it and for the next ones', async (t) => {
  const { store, fold } = await openFolder(t);
  const [first, second, third, fourth] = history('state-a', 1, undefined, 3, 4);
  if (!first || !second || !third || !fourth) throw new Error('no events');
  const folded = fold([first, second, third]);
  // Each of the projections that are fed by it, and the document of the first event.
  t.deepEqual(
    folded.parked.map(({ projection }) => projection),
    ['state', 'expiring'],
  );
  t.is(folded.changes.length, 3);
  await store.write({ changes: folded.changes, checkpoint: positionAt(3), recordedAtMs: 1 });
  t.deepEqual(listParked(store), folded.parked.toReversed(), 'in the order of their names');
  t.deepEqual(fold([fourth]).changes, []);
  t.is(fold(history('state-b', 1)).changes.length, 1);
});

test('a projection that throws parks the stream, and does not end the fold', async (t) => {
  const { store } = await openFolder(t);
  const broken = projections.map((projection) =>
    projection.name === 'state'
      ? {
          ...projection,
          on: {
            ...projection.on,
            StateSet: () => {
              throw new Error('a fault of the projection');
            },
          },
        }
      : projection,
  );
  const fold = createFolder(broken as typeof projections, store);
  const { parked } = fold([...history('state-a', 1), ...history('state-b', 1)]);
  t.deepEqual(
    parked.map(({ stream, reason }) => [String(stream), reason]),
    [
      ['state-a', 'a fault of the projection'],
      ['state-b', 'a fault of the projection'],
    ],
  );
});

test('a store that fails is no fault of the event: the fold throws and parks nothing', async (t) => {
  const { store } = await openFolder(t);
  const fold = createFolder(projections, {
    range: store.range,
    read: () => {
      throw new Error('the store is closed');
    },
  });
  t.throws(() => fold(history('state-a', 1)), { message: 'the store is closed' });
});
