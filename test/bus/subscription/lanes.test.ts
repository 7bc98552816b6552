import test from 'ava';
import fc from 'fast-check';
import { type Priority, priorities } from '../../../domain/message/message.ts';
import type { Entry } from '../../../src/bus/subscription/entry.ts';
import { ageingMs, createLanes, type Lanes } from '../../../src/bus/subscription/lanes.ts';
import { seeded } from '../../support/arbitraries.ts';
import { entryAt } from './support.ts';

/** Takes `count` and tells how many were of each priority; what was taken is offered anew, so no lane runs dry. */
const sharesOf = (lanes: Lanes, count: number, nowMs: number): Readonly<Record<string, number>> => {
  const shares: Record<string, number> = {};
  for (let taken = 0; taken < count; taken++) {
    const entry = lanes.take(nowMs);
    if (entry === undefined) break;
    const { priority } = entry.message;
    shares[priority] = (shares[priority] ?? 0) + 1;
    lanes.release(entry);
    lanes.offer(entryAt(1_000 + taken, { priority, nowMs }));
  }
  return shares;
};

const filled = (of: readonly Priority[], nowMs = 0): Lanes => {
  const lanes = createLanes('none');
  for (let place = 0; place < 40; place++) {
    for (const priority of of) lanes.offer(entryAt(place, { priority, nowMs }));
  }
  return lanes;
};

test('shares › with all four waiting they are 8, 4, 2 and 1 of fifteen', (t) => {
  const shares = sharesOf(filled(priorities), 1_500, 0);
  t.deepEqual(shares, { CRITICAL: 800, HIGH: 400, NORMAL: 200, LOW: 100 });
});

test('shares › a flood of CRITICAL leaves a ninth to LOW that waits, and takes everything without it', (t) => {
  const lanes = filled(['LOW', 'CRITICAL']);
  const shares = sharesOf(lanes, 900, 0);
  t.log(`of 900: CRITICAL ${shares.CRITICAL}, LOW ${shares.LOW}`);
  t.deepEqual(shares, { CRITICAL: 800, LOW: 100 });
  t.deepEqual(sharesOf(filled(['CRITICAL']), 900, 0), { CRITICAL: 900 });
});

test('shares › LOW is taken within the first nine, and never later than every ninth', (t) => {
  const lanes = filled(['LOW', 'CRITICAL']);
  const taken = Array.from({ length: 270 }, () => {
    const priority = lanes.take(0)?.message.priority ?? 'LOW';
    lanes.offer(entryAt(1, { priority }));
    return priority;
  });
  const places = taken.flatMap((priority, index) => (priority === 'LOW' ? [index] : []));
  t.true((places[0] ?? 9) < 9);
  t.true(places.every((place, index) => index === 0 || place - (places[index - 1] ?? 0) <= 9));
});

test('shares › LOW that is new beside three old backlogs has a twenty-fifth, which is the least', (t) => {
  const lanes = createLanes('none');
  for (let place = 0; place < 500; place++) {
    for (const priority of priorities) {
      lanes.offer(entryAt(place, { priority, nowMs: priority === 'LOW' ? 3 * ageingMs : 0 }));
    }
  }
  let low = 0;
  for (let taken = 0; taken < 500; taken++) if (lanes.take(3 * ageingMs)?.message.priority === 'LOW') low++;
  t.is(low, 20);
});

test('ageing › for each 30 s that the oldest of a lane waits it counts as one higher, and at most as CRITICAL', (t) => {
  const sharesAfter = (waitedMs: number) => {
    const lanes = createLanes('none');
    for (let place = 0; place < 900; place++) {
      lanes.offer(entryAt(place, { priority: 'LOW', nowMs: 0 }));
      lanes.offer(entryAt(place, { priority: 'CRITICAL', nowMs: waitedMs }));
    }
    let low = 0;
    for (let taken = 0; taken < 720; taken++) if (lanes.take(waitedMs)?.message.priority === 'LOW') low++;
    return low;
  };
  t.deepEqual(
    [0, 1, 2, 3, 9].map((steps) => sharesAfter(steps * ageingMs)),
    [80, 144, 240, 360, 360],
  );
  t.is(sharesAfter(ageingMs - 1), 80);
});

test('a lane that was empty has saved up nothing, and owes nothing', (t) => {
  const lanes = createLanes('none');
  for (let place = 0; place < 1_000; place++) lanes.offer(entryAt(place, { priority: 'CRITICAL' }));
  for (let taken = 0; taken < 100; taken++) lanes.take(0);
  for (let place = 0; place < 100; place++) lanes.offer(entryAt(place, { priority: 'LOW' }));
  let low = 0;
  for (let taken = 0; taken < 90; taken++) if (lanes.take(0)?.message.priority === 'LOW') low++;
  t.is(low, 10);
});

test('within a lane › first in, first out, and what was tried before comes before what is new', (t) => {
  const lanes = createLanes('none');
  const [first, second, third] = [entryAt(1), entryAt(2), entryAt(3)];
  for (const entry of [first, second, third]) lanes.offer(entry);
  t.is(lanes.take(0), first);
  t.is(lanes.take(0), second);
  lanes.again(second);
  lanes.again(first);
  t.deepEqual(
    [lanes.take(0), lanes.take(0), lanes.take(0), lanes.take(0)],
    [second, first, third, undefined],
  );
});

test('keys › one message of a key at a time, while other keys go on; without the order all at once', (t) => {
  const lanes = createLanes('key');
  const a1 = entryAt(1, { key: 'a' });
  const a2 = entryAt(2, { key: 'a' });
  const b1 = entryAt(3, { key: 'b' });
  const plain = [entryAt(4), entryAt(5)];
  for (const entry of [a1, a2, b1, ...plain]) lanes.offer(entry);
  t.is(lanes.ready, 4);
  t.deepEqual(
    [lanes.take(0), lanes.take(0), lanes.take(0), lanes.take(0), lanes.take(0)],
    [a1, b1, ...plain, undefined],
  );
  lanes.release(b1);
  t.is(lanes.ready, 0);
  lanes.again(a1);
  t.deepEqual([lanes.take(0), lanes.take(0)], [a1, undefined]);
  lanes.release(a1);
  t.deepEqual([lanes.take(0), lanes.take(0)], [a2, undefined]);
  lanes.release(a2);
  lanes.offer(a1);
  t.is(lanes.take(0), a1);

  const unordered = createLanes('none');
  unordered.offer(a1);
  unordered.offer(a2);
  t.is(unordered.ready, 2);
});

test('keys › the same key of two priorities is two keys', (t) => {
  const lanes = createLanes('key');
  lanes.offer(entryAt(1, { key: 'a', priority: 'LOW' }));
  lanes.offer(entryAt(2, { key: 'a', priority: 'HIGH' }));
  t.is(lanes.ready, 2);
});

test('keys › one that rests holds its key, and one that rests behind another of its key waits for that', (t) => {
  const lanes = createLanes('key');
  const [first, second, third, fourth] = [1, 2, 3, 4].map((place) => entryAt(place, { key: 'a' }));
  if (!first || !second || !third || !fourth) throw new Error('four');
  t.true(lanes.rest(first));
  lanes.offer(second);
  t.false(lanes.rest(third));
  lanes.offer(fourth);
  t.is(lanes.take(0), undefined);
  lanes.again(first);
  for (const entry of [first, second, third, fourth]) {
    t.is(lanes.take(0), entry);
    t.is(lanes.ready, 0);
    lanes.release(entry);
  }
  t.is(lanes.take(0), undefined);
});

const anyEntry = fc.record({
  key: fc.constantFrom('a', 'b', 'c', undefined),
  priority: fc.constantFrom<Priority[]>('LOW', 'CRITICAL'),
});
const anySteps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: anyEntry.map((entry) => ({ what: 'offer' as const, entry })) },
    { weight: 3, arbitrary: fc.constant({ what: 'take' as const }) },
    {
      weight: 4,
      arbitrary: fc.record({ what: fc.constantFrom('again', 'release'), index: fc.nat({ max: 9 }) }),
    },
  ),
  { maxLength: 120, size: 'max' },
);

test('keys › whatever happens, those of a key and priority are first taken in order and never two at once', (t) => {
  fc.assert(
    fc.property(anySteps, (steps) => {
      const lanes = createLanes('key');
      const taken: Entry[] = [];
      const firsts = new Map<string, number[]>();
      const seen = new Set<Entry>();
      let [place, left] = [0, 0];
      const nameOf = ({ message }: Entry): string => `${message.priority} ${message.key}`;
      for (const step of steps) {
        if (step.what === 'offer') {
          const { entry } = step;
          left++;
          lanes.offer(
            entryAt(place++, {
              priority: entry.priority,
              ...(entry.key === undefined ? {} : { key: entry.key }),
            }),
          );
        } else if (step.what === 'take') {
          const { ready } = lanes;
          const entry = lanes.take(0);
          t.is(entry === undefined, ready === 0);
          if (entry === undefined) continue;
          if (entry.key !== undefined) t.false(taken.some((other) => nameOf(other) === nameOf(entry)));
          taken.push(entry);
          if (seen.has(entry)) continue;
          seen.add(entry);
          firsts.set(nameOf(entry), [...(firsts.get(nameOf(entry)) ?? []), entry.place.revision]);
        } else if ('index' in step) {
          const [entry] = taken.splice(step.index, 1);
          if (entry === undefined) continue;
          if (step.what === 'again') lanes.again(entry);
          else {
            left--;
            lanes.release(entry);
          }
        }
      }
      for (const places of firsts.values())
        t.deepEqual(
          places,
          places.toSorted((a, b) => a - b),
        );
      // None is forgotten: with every key freed, all that are left come.
      left -= taken.length;
      for (const entry of taken) lanes.release(entry);
      for (let entry = lanes.take(0); entry !== undefined; entry = lanes.take(0)) {
        left--;
        lanes.release(entry);
      }
      t.is(left, 0);
    }),
    seeded,
  );
});
