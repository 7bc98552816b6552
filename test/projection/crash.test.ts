import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import { temporaryFolder } from './folder.ts';
import { openLog, run, settled } from './world.ts';

const child = join(import.meta.dirname, 'crash-child.ts');

test('killed in the middle of folding, again and again, the read models are those of a rebuild', async (t) => {
  const [logDirectory, directory] = [temporaryFolder(t), temporaryFolder(t)];
  // Lines until the kill: as the first write goes on, between writes, and far into it.
  for (const [round, lines] of [1, 3, 20, 7, 41, 12].entries()) {
    const running = spawn(process.execPath, [child, logDirectory, directory, `${round * 1_000_000}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(running, 'exit');
    let seen = 0;
    for await (const line of createInterface({ input: running.stdout })) {
      if (line !== '' && ++seen === lines) running.kill('SIGKILL');
    }
    const [, signal] = await exited;
    t.is(signal, 'SIGKILL');
  }
  const log = await openLog(t, logDirectory);
  const survivor = await run(log, directory);
  // Nothing was thrown away: it went on from its checkpoint.
  t.deepEqual(readdirSync(directory), ['generation-1']);
  await settled(survivor, log);
  const hash = await survivor.runner.contentHash();
  t.deepEqual(survivor.runner.parked(), []);
  await survivor.close();
  const anew = await run(log, temporaryFolder(t));
  await settled(anew, log);
  t.is(await anew.runner.contentHash(), hash);
  await anew.close();
});
