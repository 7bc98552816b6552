import { closeSync, openSync } from 'node:fs';
import { bundleApart } from '../../src/plugin/host/bundler.ts';

/** A program to be run with few file descriptors: bundles when there are none left, and when there are some again. */
const files = new Map([['index.ts', Buffer.from('export const value = 5;')]]);
const apart = () => bundleApart({ name: 'mine', entry: 'index.ts', files });
const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // That was the last one.
}
const without = await apart();
for (const descriptor of taken) closeSync(descriptor);
const again = await apart();
process.stdout.write(JSON.stringify({ without, again: again.ok }));
