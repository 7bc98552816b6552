import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/**
 * Runs the whole suite and says at its end, loudly and by name, what could not run for want of a server, and how many
 * tests passed and failed. Arguments go to AVA (`npm test -- test/log/embedded.test.ts --match='…'`).
 */
const folder = mkdtempSync(join(tmpdir(), 'nexus-test-'));
const skips = join(folder, 'skips');
const child = spawn(
  process.execPath,
  [join(import.meta.dirname, '../node_modules/ava/entrypoints/cli.js'), ...process.argv.slice(2)],
  {
    stdio: ['inherit', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NEXUS_SKIPS: skips,
      NEXUS_LOG_LEVEL: 'silent',
      // Each of some 250 files is a process of its own that loads the hub.
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
    },
  },
);

let tail = '';
child.stdout.on('data', (chunk: Buffer) => {
  process.stdout.write(chunk);
  tail = (tail + chunk.toString()).slice(-16_384);
});

/** AVA's own closing lines: `N tests passed`, `N tests failed`, `N uncaught exceptions` and the like. */
const count = (pattern: RegExp): number =>
  stripVTControlCharacters(tail)
    .split('\n')
    .reduce((sum, line) => sum + Number(pattern.exec(line.trim())?.[1] ?? 0), 0);

child.on('close', (code, signal) => {
  const passed = count(/^(\d+) tests? passed$/);
  const failed = count(
    /^(\d+) (?:tests? failed|hooks? failed|uncaught exceptions?|unhandled rejections?|tests? remained pending.*)$/,
  );
  let skipped: string[] = [];
  try {
    skipped = [...new Set(readFileSync(skips, 'utf8').trim().split('\n'))];
  } catch {
    // No test has skipped anything.
  }
  rmSync(folder, { recursive: true, force: true });
  if (skipped.length > 0) process.stdout.write(`\n${skipped.join('\n')}\n`);
  const broken = code !== 0 || signal !== null;
  process.stdout.write(`\n${passed} passed, ${broken ? Math.max(failed, 1) : failed} failed\n`);
  process.exitCode = broken ? 1 : 0;
});
