import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { appendMixed, run } from './world.ts';

/** Appends and folds until it is killed; one line on stdout per batch that can be read. */
const [logDirectory = '', directory = '', first = '0'] = process.argv.slice(2);
const log = await openEmbeddedLog({ directory: logDirectory, watchdogMs: 60_000 });
const { runner } = await run(log, directory);
runner.onFolded((_changes, position) => process.stdout.write(`${position}\n`));
for (let n = Number(first); ; n += 200) await appendMixed(log, 200, n);
