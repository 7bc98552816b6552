import test from 'ava';
import fc from 'fast-check';
import { exceeds } from '../../src/plugin/capabilities/sizes.ts';

test('a value exceeds a size exactly when its text does', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(400), (value, maxBytes) => {
      // As it comes from JSON: without a negative zero.
      const json = JSON.parse(JSON.stringify(value));
      t.is(exceeds(json, maxBytes), Buffer.byteLength(JSON.stringify(json)) > maxBytes);
    }),
    { numRuns: 5_000 },
  );
});
