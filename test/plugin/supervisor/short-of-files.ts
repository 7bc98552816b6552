import { closeSync, openSync } from 'node:fs';
import { until } from '../../support/until.ts';
import { openReal, pid } from './real.ts';

/**
 * A program to be run with few file descriptors: one plugin runs, then there are none left, a plugin is started, the process
 * of the first is killed, and there are some again. Writes what came of that.
 */
const { sandbox, start } = openReal();
const one = await start('one');
const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // That was the last one.
}
const refused = await start('low', { trust: 'low' }).then(
  () => 'it started',
  (error: unknown) => String(error),
);
process.kill(pid(one.guest), 'SIGKILL');
await until(() => one.told.includes('down'));
for (const descriptor of taken) closeSync(descriptor);
await until(() => one.told.at(-1) === 'ready');
await sandbox.close();
process.stdout.write(JSON.stringify({ refused, told: one.told }));
