import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';

const root = join(import.meta.dirname, '../..');

/** An installation with its own place for what was compiled. */
const install = (t: ExecutionContext): { readonly folder: string; readonly cache: string } => {
  const folder = mkdtempSync(join(tmpdir(), 'nexus-compiled-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'src'), join(folder, 'src'));
  mkdirSync(join(folder, 'node_modules/.cache'), { recursive: true });
  return { folder, cache: join(folder, 'node_modules/.cache/nexus') };
};

const help = (folder: string) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'bin/nexus.js'), '--help'], {
    env: {},
    encoding: 'utf8',
  });
  return { status, stderr, says: stdout.slice(0, 20) };
};

const helped = { status: 0, stderr: '', says: 'Usage: nexus COMMAND' };

test('what Node compiled is kept with the packages', (t) => {
  const { folder, cache } = install(t);
  t.deepEqual(help(folder), helped);
  const kept = globSync('*/*', { cwd: cache });
  t.true(kept.length > 5, kept.join());
  t.deepEqual(help(folder), helped);
  t.deepEqual(globSync('*/*', { cwd: cache }), kept);
});

test('a program that can keep nothing runs all the same', (t) => {
  const { folder, cache } = install(t);
  writeFileSync(cache, 'in the way');
  t.deepEqual(help(folder), helped);
});
