import test, { type ExecutionContext } from 'ava';
import type { DeadLetter } from '../../../domain/subscription/subscription.ts';
import { createGraveyard, payloadOmitted } from '../../../src/bus/subscription/graveyard.ts';
import { LogError } from '../../../src/log/event-log.ts';
import { entriesTo, entryAt, turns } from './support.ts';

const tooLarge = () => new LogError('too_large', 'too large', {});
const away = () => new LogError('log_unavailable', 'the log is away', {});

/** A graveyard, what it was asked to record, and what it has said of that; `refuse` stands in the log's way. */
const open = (
  t: ExecutionContext,
  refuse: (letters: readonly DeadLetter[]) => Error | undefined = () => undefined,
) => {
  const asked: string[][] = [];
  const recorded: DeadLetter[] = [];
  const buried: string[] = [];
  const troubles: unknown[] = [];
  const waiting: number[] = [];
  const state = { lost: 0, outcome: 'done' as 'done' | 'lost' };
  const finished = Promise.withResolvers<void>();
  const graveyard = createGraveyard({
    bury: async (letters) => {
      asked.push(letters.map(({ messageId }) => messageId));
      const error = refuse(letters);
      if (error !== undefined) throw error;
      if (state.outcome === 'done') recorded.push(...letters);
      return state.outcome;
    },
    buried: (entries) => {
      buried.push(...entries.map(({ message }) => message.messageId));
      waiting.push(graveyard.waiting);
      if (graveyard.waiting === 0) finished.resolve();
    },
    lost: () => {
      state.lost++;
      graveyard.stop();
    },
    troubled: (error) => troubles.push(error),
  });
  const alive = setInterval(() => {}, 60_000);
  t.teardown(() => clearInterval(alive));
  return {
    graveyard,
    asked,
    recorded,
    buried,
    troubles,
    waiting,
    state,
    finished: finished.promise,
  };
};

const idsTo = (count: number) => Array.from({ length: count }, (_, index) => `m${index + 1}`);

test('letters go together, 64 at most, in order, each once; none counts once it is said to be recorded', async (t) => {
  const own = open(t);
  for (const entry of entriesTo(200)) own.graveyard.add(entry);
  t.is(own.graveyard.waiting, 200);
  await own.finished;
  t.deepEqual(
    own.recorded.map(({ messageId }) => messageId),
    idsTo(200),
  );
  t.deepEqual(own.buried, idsTo(200));
  t.true(own.asked.every(({ length }) => length <= 64));
  t.true(own.asked.length <= 5);
  t.is(own.waiting.at(-1), 0);
  t.deepEqual(own.troubles, []);
});

test('large letters go in batches that one append holds', async (t) => {
  const own = open(t);
  for (const entry of entriesTo(6, { payload: 'x'.repeat(90_000) })) own.graveyard.add(entry);
  await own.finished;
  t.deepEqual(own.asked, [['m1'], ['m2', 'm3'], ['m4', 'm5'], ['m6']]);
});

test('a batch that is too large is recorded one by one, and not again from its beginning when the log goes away', async (t) => {
  let calls = 0;
  const own = open(t, (letters) => {
    calls++;
    if (letters.length > 1) return tooLarge();
    return calls === 5 ? away() : undefined;
  });
  for (const entry of entriesTo(6)) own.graveyard.add(entry);
  await own.finished;
  t.deepEqual(
    own.recorded.map(({ messageId }) => messageId),
    idsTo(6),
  );
  t.deepEqual(own.buried, idsTo(6));
  t.is(own.troubles.length, 1);
});

test('a letter that is too large loses its older failures, and its payload only then', async (t) => {
  const failures = idsTo(20).map((reason) => ({ at: '2030-01-01T00:00:00.000Z', reason }));
  const entry = Object.assign(entryAt(1, { payload: 'payload' }), { failures, attempts: 20 });
  const long = open(t, ([letter]) => ((letter?.errors.length ?? 0) > 1 ? tooLarge() : undefined));
  long.graveyard.add(entry);
  await long.finished;
  t.like(long.recorded[0], { attempts: 20, error: 'm20', message: { payload: 'payload', headers: {} } });
  t.deepEqual(long.recorded[0]?.errors, failures.slice(-1));

  const large = open(t, ([letter]) => (letter?.message.payload === null ? undefined : tooLarge()));
  large.graveyard.add(entry);
  await large.finished;
  t.like(large.recorded[0], { messageId: 'm1', error: 'm20' });
  t.deepEqual(large.recorded[0]?.message.headers, { [payloadOmitted]: 'true' });
});

test('log away › letters wait and are recorded once when it is back; nothing is recorded after stop', async (t) => {
  let isAway = true;
  const own = open(t, () => (isAway ? away() : undefined));
  for (const entry of entriesTo(3)) own.graveyard.add(entry);
  await turns();
  t.is(own.graveyard.waiting, 3);
  isAway = false;
  await own.finished;
  t.deepEqual(own.buried, idsTo(3));
  t.deepEqual(own.recorded.length, 3);
  own.graveyard.stop();
  own.graveyard.add(entryAt(4));
  await turns();
  t.is(own.recorded.length, 3);
});

test('lost › is said once, and nothing more is asked for', async (t) => {
  const own = open(t);
  own.state.outcome = 'lost';
  for (const entry of entriesTo(100)) own.graveyard.add(entry);
  await turns();
  t.deepEqual([own.state.lost, own.buried, own.asked], [1, [], [['m1']]]);
});
