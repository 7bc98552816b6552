import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { heapFlag } from '../src/heap.ts';

const textOf = (path: string): string => readFileSync(join(import.meta.dirname, '..', path), 'utf8');

test('npm start and the command itself begin with the limit of the young generation', (t) => {
  t.is(textOf('bin/nexus.js').split('\n')[0], `#!/usr/bin/env -S node ${heapFlag}`);
  const { scripts } = JSON.parse(textOf('package.json'));
  t.is(scripts.start, `node ${heapFlag} bin/nexus.js start`);
});
