import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { errorTable } from '../../src/errors.ts';

const text = readFileSync(join(import.meta.dirname, '../../docs/errors.md'), 'utf8');

/** Rows `| code | status | title | … |` of the document. */
const rows = text.split('\n').flatMap((line) => {
  const match = /^\| `([a-z_]+)` \| (\d{3}) \| ([^|]+) \|/.exec(line);
  return match === null ? [] : [{ code: match[1], status: Number(match[2]), title: match[3]?.trim() }];
});

test('docs/errors.md › has a row for each error, with its status and title, and no other', (t) => {
  t.deepEqual(
    rows,
    Object.entries(errorTable).map(([code, { status, title }]) => ({ code, status, title })),
  );
});
