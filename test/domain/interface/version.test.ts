import test from 'ava';
import fc from 'fast-check';
import { compare, valid } from 'semver';
import { compareVersions, majorOf, parseVersion } from '../../../domain/interface/version.ts';
import { seeded } from '../../support/arbitraries.ts';

const majors: Readonly<Record<string, string>> = {
  '1.2.3': '1',
  '1.0.0-rc.1': '1',
  'v12.0.0+build-7': '12',
  '0.3.9': '0.3',
  '0.0.7': '0.0.7',
  '0.0.0': '0.0.0',
};
for (const [text, major] of Object.entries(majors)) {
  test(`majorOf › ${text} belongs to ${major}`, (t) => {
    const version = parseVersion(text);
    t.is(version && majorOf(version), major);
  });
}

for (const text of ['', '1', '1.2', '1.2.3.4', '01.2.3', '1.2.x', 'a.b.c', '1.2.3 4', '-1.0.0', '1..3']) {
  test(`parseVersion › ${JSON.stringify(text)} is no version`, (t) => {
    t.is(parseVersion(text), undefined);
  });
}

const identifier = fc.constantFrom('0', '1', '2', '10', 'alpha', 'beta', 'rc-1', 'a1');
const anyVersion = fc
  .tuple(
    fc.tuple(fc.nat({ max: 11 }), fc.nat({ max: 2 }), fc.nat({ max: 2 })),
    fc.array(identifier, { maxLength: 3 }),
    fc.constantFrom('', '+1', '+a-b.2'),
  )
  .map(
    ([numbers, pre, build]) => `${numbers.join('.')}${pre.length === 0 ? '' : `-${pre.join('.')}`}${build}`,
  );

test('compareVersions › orders any two as npm does', (t) => {
  const property = fc.property(anyVersion, anyVersion, (left, right) => {
    t.not(valid(left), null);
    const [own, other] = [parseVersion(left), parseVersion(right)];
    if (own === undefined || other === undefined) return t.fail(`${left} ${right}`);
    t.is(Math.sign(compareVersions(own, other)), compare(left, right), `${left} ${right}`);
  });
  t.notThrows(() => fc.assert(property, { ...seeded, numRuns: 3_000 }));
});
