import test from 'ava';
import fc from 'fast-check';
import { asPosition, type Json } from '../../../domain/event.ts';
import {
  decodeState,
  encodeState,
  freshState,
  resetState,
  type Saved,
  type SavedSource,
  type SavedState,
} from '../../../src/bus/subscription/checkpoint.ts';
import { anyJson, seeded } from '../../support/arbitraries.ts';
import { positionAt } from '../../support/recorded.ts';

const anyPosition = fc.nat().map((place) => positionAt(place));
const anySaved: fc.Arbitrary<Saved> = fc.record(
  {
    stream: fc.constantFrom('topic-a', 'topic-b.c', 'subscription-s', '__proto__'),
    revision: fc.maxSafeNat(),
    attempts: fc.nat({ max: 100 }),
    dueAtMs: fc.maxSafeNat(),
    failures: fc.array(
      fc.record({
        at: fc.constant('2030-01-01T00:00:00.000Z'),
        reason: fc.string({ unit: 'binary', maxLength: 60 }),
      }),
      { maxLength: 3 },
    ),
    editedBy: fc.nat(),
  },
  { requiredKeys: ['stream', 'revision', 'attempts', 'dueAtMs', 'failures'] },
);
const anySource = (cursor: fc.Arbitrary<string>): fc.Arbitrary<SavedSource> =>
  fc.record(
    { cursor, pending: fc.array(anySaved, { maxLength: 4 }), floor: anyPosition },
    { requiredKeys: ['cursor', 'pending'] },
  );
const anyState: fc.Arbitrary<SavedState> = fc.record({
  resets: fc.nat(),
  lanes: fc.record({
    LOW: anySource(anyPosition),
    NORMAL: anySource(anyPosition),
    HIGH: anySource(anyPosition),
    CRITICAL: anySource(anyPosition),
  }),
  scheduled: anySource(
    fc.constantFrom('2030-01-01T00:00:00.000Z', `2030-01-01T00:00:00.000Z/${positionAt(1)}`),
  ),
  redrive: anySource(fc.constantFrom('0', '12.3')),
  replay: anySource(fc.string()),
  gap: fc.option(fc.record({ from: anyPosition, to: anyPosition }), { nil: undefined }),
});

/** As it comes back from the log. */
const stored = (state: Json): unknown => JSON.parse(JSON.stringify(state));
const bytesOf = (state: SavedState): number => Buffer.byteLength(JSON.stringify(encodeState(state)));

test('what is encoded comes back', (t) => {
  fc.assert(
    fc.property(anyState, (state) => {
      t.deepEqual(decodeState(stored(encodeState(state))), state);
    }),
    { ...seeded, numRuns: 60 },
  );
});

test('rubbish is undefined, and never an error: also what is a checkpoint but for one value', (t) => {
  fc.assert(
    fc.property(anyJson, (value) => {
      t.is(decodeState(value), undefined);
    }),
    seeded,
  );
  const spots = (
    value: unknown,
    path: readonly (string | number)[] = [],
  ): (readonly (string | number)[])[] =>
    typeof value === 'object' && value !== null
      ? [path, ...Object.entries(value).flatMap(([key, inner]) => spots(inner, [...path, key]))]
      : [path];
  const put = (value: unknown, [key, ...rest]: readonly (string | number)[], what: unknown): unknown => {
    if (key === undefined) return what;
    if (Array.isArray(value))
      return value.map((one, index) => (index === Number(key) ? put(one, rest, what) : one));
    const record = value as Readonly<Record<string, unknown>>;
    return { ...record, [key]: put(record[key], rest, what) };
  };
  fc.assert(
    fc.property(anyState, anyJson, fc.nat(), (state, what, spot) => {
      const good = stored(encodeState(state));
      const all = spots(good);
      t.notThrows(() => decodeState(put(good, all[spot % all.length] ?? [], what)));
    }),
    { ...seeded, numRuns: 60 },
  );
});

const wide = (place: number) => asPosition(place.toString(16).padStart(32, '0'));
const failures = (count: number, reason: string) =>
  Array.from({ length: count }, () => ({ at: '2030-01-01T00:00:00.000Z', reason }));

/** As full as a subscription gets: `each` pending entries in each lane, and what the other sources may hold. */
const fullState = (each: number, reason: string, streamOf: (index: number) => string): SavedState => {
  const saved = (index: number): Saved => ({
    stream: streamOf(index),
    revision: 1_000_000_000 + index,
    attempts: 20,
    dueAtMs: 1_900_000_000_000,
    failures: failures(20, reason),
  });
  const source = (cursor: string, count: number): SavedSource => ({
    cursor,
    pending: Array.from({ length: count }, (_, index) => saved(index)),
  });
  const lane: SavedSource = {
    ...source(wide(each), each),
    floor: wide(0),
    before: Array.from({ length: each }, (_, index) => wide(index)),
  };
  return {
    resets: 1,
    lanes: { LOW: lane, NORMAL: lane, HIGH: lane, CRITICAL: lane },
    scheduled: source(`2030-01-01T00:00:00.000Z/${wide(1)}`, 512),
    redrive: source('1000000000.499', 320),
    replay: source('x'.repeat(200), 512),
  };
};

test('size › 5,000 unsettled and what their lanes hold fit whole, with their newest failures as far as these fit', (t) => {
  const each = 5_000 / 4 + 2_048;
  const state = fullState(each, 'because '.repeat(64), () => 'topic-orders.created');
  const bytes = bytesOf(state);
  t.log(`${4 * each + 1_344} entries: ${bytes} bytes`);
  t.true(bytes < 900_000);
  const back = decodeState(stored(encodeState(state)));
  t.deepEqual(
    Object.values(back?.lanes ?? {}).map(({ cursor, pending }) => [cursor, pending.length]),
    [each, each, each, each].map((count) => [wide(count), count]),
  );
});

test('size › reasons of wide characters, of quotes or of control characters make no event too large', (t) => {
  for (const reason of ['漢', '"', '\u0001', '\ud83d\ude00', '\ud800']) {
    const bytes = bytesOf(fullState(5_000 / 4 + 2_048, reason.repeat(512), () => 'topic-a'));
    t.true(bytes < 900_000, `${JSON.stringify(reason)}: ${bytes}`);
  }
});

test('size › what does not fit is read anew: the cursor of a lane is where the first that was left out stands', (t) => {
  const long = (index: number) => `topic-${`${index}.`.repeat(40).slice(0, 200)}`;
  const state = fullState(3_000, 'x', long);
  t.true(bytesOf(state) < 900_000);
  const back = decodeState(stored(encodeState(state)));
  t.deepEqual([back?.scheduled.pending.length, back?.redrive.pending.length], [512, 320]);
  const lanes = Object.entries(back?.lanes ?? {});
  t.true(lanes.some(([, { pending }]) => pending.length < 3_000));
  for (const [name, { cursor, pending }] of lanes) t.is(cursor, wide(pending.length), name);
  const [low, , , critical] = lanes.map(([, { pending }]) => pending.length);
  t.true(Number(critical) >= Number(low), 'the most urgent is kept longest');
});

test('reset › begins the lanes and the schedule anew, and keeps what was redriven', (t) => {
  const state = fullState(3, 'x', () => 'topic-a');
  const fresh = freshState(wide(7), 2, '2031-01-01T00:00:00.000Z', 5);
  const reset = resetState(state, wide(7), 2, '2031-01-01T00:00:00.000Z');
  t.deepEqual([reset.lanes, reset.scheduled, reset.resets], [fresh.lanes, fresh.scheduled, 2]);
  t.deepEqual(reset.redrive, state.redrive);
});
