import test from 'ava';
import { holdMs, holdOf } from '../../../src/registry/health/hold.ts';

const good = Date.UTC(2030, 0, 1, 12);
const ago = (...minutes: readonly number[]): string[] =>
  minutes.map((minute) => new Date(good - minute * 60_000).toISOString());

test('a hold begins with the third fall at 10 s, doubles with each, and is 5 min at most', (t) => {
  t.deepEqual(
    [0, 1, 2, 3, 4, 5, 6, 7, 8].map((falls) => holdMs(falls) / 1_000),
    [0, 0, 0, 10, 20, 40, 80, 160, 300],
  );
});

const cases: readonly [claim: string, falls: readonly string[], seconds: number | undefined][] = [
  ['nobody is held who never fell', [], undefined],
  ['two falls hold nobody', ago(0, 1), undefined],
  ['three falls within 10 minutes do', ago(0, 5, 9), 10],
  ['a fall exactly 10 minutes ago counts no more', ago(0, 5, 10), undefined],
  ['older falls do not make it longer', ago(0, 5, 9, 11, 12), 10],
  ['eight falls hold for 5 minutes', ago(0, 1, 2, 3, 4, 5, 6, 7), 300],
];

for (const [claim, falls, seconds] of cases) {
  test(claim, (t) => {
    const hold = holdOf(falls, good);
    t.is(hold?.forMs, seconds === undefined ? undefined : seconds * 1_000);
    t.is(hold?.untilMs, seconds === undefined ? undefined : good + seconds * 1_000);
  });
}

test('an instance that fell while it was good is held from its fall on', (t) => {
  const falls = ago(-2, 1, 2);
  t.is(holdOf(falls, good)?.untilMs, good + 120_000 + 10_000);
});
