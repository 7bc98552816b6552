import test from 'ava';
import fc from 'fast-check';
import { encodeReplayCursor, parseReplayCursor } from '../../src/bus/subscription/replay-cursor.ts';
import { seeded } from '../support/arbitraries.ts';
import { positionAt } from '../support/recorded.ts';

const anyMs = fc.integer({ min: 1, max: 4_000_000_000_000 });
const anyProgress = fc.record({
  position: fc.nat().map(positionAt),
  messages: fc.nat(),
  anchor: fc.option(fc.record({ publishedMs: anyMs, dueMs: anyMs }), { nil: undefined }),
});

test('a cursor of replays › is read as it was written', (t) => {
  fc.assert(
    fc.property(fc.nat(), fc.option(anyProgress, { nil: undefined }), (request, progress) => {
      const cursor = { request, progress };
      t.deepEqual(parseReplayCursor(encodeReplayCursor(cursor)), cursor);
    }),
    seeded,
  );
});

test('a cursor of replays › is some cursor, whatever stands there', (t) => {
  t.deepEqual(parseReplayCursor('7'), { request: 7, progress: undefined });
  t.deepEqual(parseReplayCursor('-1.x'), { request: 0, progress: undefined });
  t.deepEqual(parseReplayCursor('3.nowhere.4'), { request: 3, progress: undefined });
  fc.assert(
    fc.property(fc.string(), (text) => {
      const { request } = parseReplayCursor(text);
      t.true(Number.isSafeInteger(request) && request >= 0);
    }),
    seeded,
  );
});
