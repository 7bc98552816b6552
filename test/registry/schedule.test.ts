import test from 'ava';
import fc from 'fast-check';
import { createSchedule } from '../../src/registry/schedule.ts';
import { createTestClock } from './support.ts';

test('alarms ring in the order of their times, whatever the order in which they are set, moved and cancelled', (t) => {
  const operation = fc.record({
    alarm: fc.nat({ max: 15 }),
    atMs: fc.nat({ max: 1_000 }),
    what: fc.constantFrom('set', 'move', 'cancel'),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const clock = createTestClock(0);
      const schedule = createSchedule(clock);
      const rung: { readonly alarm: number; readonly atMs: number }[] = [];
      const alarms = new Map<number, ReturnType<typeof schedule.alarm>>();
      const expected = new Map<number, number>();
      for (const { alarm, atMs, what } of operations) {
        const known = alarms.get(alarm);
        if (known === undefined) {
          alarms.set(
            alarm,
            schedule.alarm(atMs, () => rung.push({ alarm, atMs: clock.now() })),
          );
          expected.set(alarm, atMs);
        } else if (what === 'cancel') {
          known.cancel();
          expected.delete(alarm);
        } else {
          known.move(atMs);
          expected.set(alarm, atMs);
        }
      }
      clock.advance(2_000);
      t.deepEqual(
        Object.fromEntries(rung.map(({ alarm, atMs: at }) => [alarm, at])),
        Object.fromEntries(expected),
      );
      t.is(rung.length, expected.size);
      t.deepEqual(
        rung.map(({ atMs }) => atMs),
        rung.map(({ atMs }) => atMs).sort((a, b) => a - b),
      );
    }),
    { numRuns: 300, seed: 7 },
  );
});

test('an alarm may set itself again while it rings', (t) => {
  const clock = createTestClock(0);
  const schedule = createSchedule(clock);
  const rung: number[] = [];
  const alarm = schedule.alarm(10, () => {
    rung.push(clock.now());
    if (rung.length < 3) alarm.move(clock.now() + 10);
  });
  clock.advance(100);
  t.deepEqual(rung, [10, 20, 30]);
});

test('an alarm beyond the longest timer of the runtime rings at its time', (t) => {
  const clock = createTestClock(0);
  const schedule = createSchedule(clock);
  let rung = 0;
  schedule.alarm(90 * 86_400_000, () => rung++);
  clock.advance(89 * 86_400_000);
  t.is(rung, 0);
  clock.advance(2 * 86_400_000);
  t.is(rung, 1);
});

test('nothing rings after close', (t) => {
  const clock = createTestClock(0);
  const schedule = createSchedule(clock);
  let rung = 0;
  const alarm = schedule.alarm(10, () => rung++);
  schedule.close();
  alarm.move(5);
  clock.advance(100);
  t.is(rung, 0);
});
