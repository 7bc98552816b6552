import test from 'ava';
import { createLockQueues, type Place } from '../../src/core/lock-queues.ts';
import { ProblemError, problem } from '../../src/errors.ts';
import { createTestClock } from '../registry/support.ts';

const open = (limits = { maxWaiting: 100, maxWaitingPerKey: 100, maxWaitingPerSubject: 100 }) => {
  const clock = createTestClock();
  const queues = createLockQueues(clock, limits);
  const told: string[] = [];
  const enter = (key: string, waitMs = 1_000, signal?: AbortSignal): Place => {
    const entered = queues.enter(key, 'ann', waitMs, signal);
    if (!entered.ok) throw new Error(entered.problem.code);
    return entered.value;
  };
  /** Says whose turn it is when it is; resolves after all that is due has been said. */
  const ask = (name: string, place: Place): void => {
    void place.turn().then((turn) => told.push(turn === 'try' ? name : `${name} ${turn.code}`));
  };
  const said = async (): Promise<readonly string[]> => {
    await new Promise((resolve) => setImmediate(resolve));
    return told.splice(0);
  };
  return { clock, queues, enter, ask, said };
};

test('the first one alone tries, at once and whenever the key may be free; then the next', async (t) => {
  const { queues, enter, ask, said } = open();
  const [ann, bob, eve] = [enter('k'), enter('k'), enter('k')];
  for (const [name, place] of [
    ['ann', ann],
    ['bob', bob],
    ['eve', eve],
  ] as const)
    ask(name, place);
  t.deepEqual(await said(), ['ann']);
  ask('ann', ann);
  t.deepEqual(await said(), []);
  queues.freed('other');
  t.deepEqual(await said(), []);
  queues.freed('k');
  t.deepEqual(await said(), ['ann']);
  ann.leave();
  t.deepEqual(await said(), [], 'what ann has got is not free');
  queues.freed('k');
  t.deepEqual(await said(), ['bob']);
  eve.leave();
  bob.leave();
  t.is(queues.size, 0);
  t.false(queues.isWaitedFor('k'));
});

test('what frees the key while somebody tries is tried again, by whoever is first then', async (t) => {
  const { queues, enter, ask, said } = open();
  const [ann, bob] = [enter('k'), enter('k')];
  ask('ann', ann);
  ask('bob', bob);
  t.deepEqual(await said(), ['ann']);
  queues.freed('k');
  ask('ann', ann);
  t.deepEqual(await said(), ['ann']);
  queues.freed('k');
  ann.leave();
  t.deepEqual(await said(), ['bob']);
});

test('a wait ends with its time, in the words of who holds the key, and is not the turn of one whose time is over', async (t) => {
  const { clock, queues, enter, ask, said } = open();
  const [ann, bob] = [enter('k', 1_000), enter('k', 500)];
  ask('ann', ann);
  ask('bob', bob);
  await said();
  ask('ann', ann);
  queues.held('k', problem('lock_held', 'held', { holder: 'eve' }));
  clock.advance(500);
  t.deepEqual(await said(), ['bob lock_held']);
  bob.leave();
  clock.advance(500);
  queues.freed('k');
  t.deepEqual(await said(), ['ann lock_held']);
});

test('a wait ends when its asker is gone, or with what it is to be told', async (t) => {
  const { enter, ask, said } = open();
  const [gone, told] = [new AbortController(), new AbortController()];
  enter('k');
  const [ann, bob] = [enter('k', 1_000, gone.signal), enter('k', 1_000, told.signal)];
  ask('ann', ann);
  ask('bob', bob);
  gone.abort();
  told.abort(new ProblemError(problem('shutting_down', 'over')));
  t.deepEqual(await said(), ['ann lock_held', 'bob shutting_down']);
  t.true(ann.isForsaken);
  t.false(bob.isForsaken);
  const eve = enter('k', 1_000, gone.signal);
  ask('eve', eve);
  t.deepEqual(await said(), ['eve lock_held']);
});

test('so many wait for one key, and so many in all; those who left count no more', (t) => {
  const { queues, enter } = open({ maxWaiting: 3, maxWaitingPerKey: 2, maxWaitingPerSubject: 100 });
  const place = enter('a');
  enter('a');
  const refused = queues.enter('a', 'ann', 1, undefined);
  t.like(refused, { ok: false, problem: { code: 'overloaded', facts: { key: 'a' } } });
  enter('b');
  t.like(queues.enter('c', 'ann', 1, undefined), { ok: false, problem: { code: 'overloaded' } });
  place.leave();
  place.leave();
  t.is(queues.size, 2);
  enter('c');
});

test('closing ends every wait, and nobody waits from then on', async (t) => {
  const { queues, enter, ask, said } = open();
  ask('ann', enter('a'));
  await said();
  ask('bob', enter('a'));
  queues.close();
  t.deepEqual(await said(), ['bob shutting_down']);
  t.like(queues.enter('b', 'ann', 1, undefined), { ok: false, problem: { code: 'shutting_down' } });
});

test('one subject takes no more than its share of the places, and what it leaves it may take again', (t) => {
  const { queues, enter } = open({ maxWaiting: 10, maxWaitingPerKey: 10, maxWaitingPerSubject: 2 });
  const place = enter('a');
  enter('b');
  const refused = queues.enter('c', 'ann', 1, undefined);
  t.like(refused, { ok: false, problem: { code: 'overloaded' } });
  t.true(queues.enter('c', 'bob', 1, undefined).ok);
  place.leave();
  place.leave();
  t.true(queues.enter('c', 'ann', 1, undefined).ok);
  t.false(queues.enter('d', 'ann', 1, undefined).ok);
});
