import type { Json } from '../../domain/event.ts';
import { asPosition } from '../../domain/event.ts';
import { byBytes } from '../../src/by-bytes.ts';
import { snapshotText } from '../../src/state/snapshot-format.ts';

export type SampleEntry = { readonly key: string; readonly value: Json; readonly expiresAt?: string };

/** A snapshot of these entries as a hub would have written it. */
export const snapshotOf = async (entries: readonly SampleEntry[], prefix?: string): Promise<string> => {
  const sorted = entries.toSorted((left, right) => byBytes(left.key, right.key));
  const position = asPosition('0000000000000001');
  const pages = async function* () {
    yield sorted.map((entry) => ({
      ...entry,
      version: 1,
      updatedAt: '2030-01-01T00:00:00.000Z',
      updatedBy: 'local',
      position,
    }));
  };
  const head = { logId: 'another-log', position, takenAt: '2030-01-01T00:00:00.000Z' };
  let text = '';
  for await (const block of snapshotText(prefix === undefined ? head : { ...head, prefix }, pages()))
    text += block;
  return text;
};

/** What a snapshot's text says of keys. */
export const entriesIn = (text: string): readonly SampleEntry[] => {
  const { entries } = JSON.parse(text) as { readonly entries: readonly SampleEntry[] };
  return entries.map(({ key, value, expiresAt }) =>
    expiresAt === undefined ? { key, value } : { key, value, expiresAt },
  );
};

const odd: readonly Json[] = [
  null,
  false,
  -0.5,
  1e300,
  '',
  '\u2028 \u2029 \r\n \u0000',
  '"},\n{"',
  '\ud800',
  '😀',
  [],
  {},
  [[[{ '': [null] }]]],
  { 'a/b~c"': { ü: 'ü' } },
];

/** So many keys, with values and names of every kind among them, the same ones each time. */
export const sampleEntries = (count: number): readonly SampleEntry[] =>
  Array.from({ length: count }, (_, index) => {
    const name = ['k', 'ü/', 'a b"\\', '😀', '\u2028', '__proto__', '%2F'][index % 7] ?? 'k';
    return { key: `${name}${index}`, value: odd[index % odd.length] ?? null };
  });
