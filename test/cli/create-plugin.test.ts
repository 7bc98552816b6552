import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { hookNames, isPluginName } from '../../domain/plugin/manifest.ts';
import { nexus, runHere } from '../support/cli.ts';

const root = join(import.meta.dirname, '../..');

const folderOf = async (t: ExecutionContext): Promise<string> => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'nexus-create-')));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const run = async (command: string, args: readonly string[], cwd: string) => {
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code]: unknown[] = await once(child, 'close');
  return { code, output };
};

test('nexus plugins create › makes a folder that type-checks and runs, in which each hook has a handler and a test', async (t) => {
  t.timeout(120_000);
  const dir = await folderOf(t);
  const hooks = hookNames.flatMap((hook) => ['--hook', hook]);
  const made = await runHere(['plugins', 'create', 'my-plugin', '--dir', dir, ...hooks], {});
  t.is(made.code, 0, made.stderr);
  const folder = join(dir, 'my-plugin');
  const files = (await readdir(folder)).sort();
  t.deepEqual(files, ['README.md', 'index.test.ts', 'index.ts', 'plugin.json', 'tsconfig.json']);
  for (const file of files) t.true(made.stdout.includes(join(folder, file)));
  const manifest: unknown = JSON.parse(await readFile(join(folder, 'plugin.json'), 'utf8'));
  t.like(manifest, { name: 'my-plugin', version: '0.1.0', entry: 'index.ts' });
  const entry = await readFile(join(folder, 'index.ts'), 'utf8');
  for (const hook of hookNames) t.true(entry.includes(`hooks.register('${hook}'`), hook);
  const checked = await run(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder],
    dir,
  );
  t.is(checked.code, 0, checked.output);
  const tested = await run(process.execPath, ['--test', join(folder, 'index.test.ts')], dir);
  t.is(tested.code, 0, tested.output);
  t.regex(tested.output, new RegExp(`^# pass ${hookNames.length}$|pass ${hookNames.length}$`, 'm'));
});

test('nexus plugins create › with one hook has nothing of the others, and before_publish when none is named', async (t) => {
  const dir = await folderOf(t);
  await runHere(['plugins', 'create', 'one', '--dir', dir, '--hook', 'after_publish'], {});
  const one = await readFile(join(dir, 'one/index.ts'), 'utf8');
  t.true(one.includes("'after_publish'"));
  t.false(one.includes('before_publish') || one.includes('config'));
  const made = await runHere(['plugins', 'create', 'none', '--dir', dir, '--json'], {});
  t.like(JSON.parse(made.stdout), { name: 'none', folder: join(dir, 'none'), link: null });
  t.true((await readFile(join(dir, 'none/index.ts'), 'utf8')).includes("'before_publish'"));
});

test('nexus plugins create › goes where the hub looks for plugins, and refuses a folder that is there', async (t) => {
  const dir = await folderOf(t);
  const env = { NEXUS_PLUGIN_DIR: join(dir, 'deep/plugins') };
  t.is((await runHere(['plugins', 'create', 'here'], env)).code, 0);
  await access(join(dir, 'deep/plugins/here/plugin.json'));
  const again = await runHere(['plugins', 'create', 'here'], env);
  t.is(again.code, 1);
  t.regex(again.stderr, /is there already/);
  await mkdir(join(dir, 'deep/plugins/empty'));
  t.is((await runHere(['plugins', 'create', 'empty'], env)).code, 1);
  t.deepEqual(await readdir(join(dir, 'deep/plugins/empty')), [], 'nothing is written to it');
});

test('nexus plugins create › refuses names that a plugin cannot have, and hooks that there are not', async (t) => {
  const dir = await folderOf(t);
  for (const name of ['../up', 'Upper', '1st', '', 'a/b', 'x'.repeat(65), '.', 'a b']) {
    t.false(isPluginName(name));
    const refused = await runHere(['plugins', 'create', name, '--dir', dir], {});
    t.is(refused.code, 2, name);
    t.regex(refused.stderr, /a plugin is called/);
  }
  const hook = await nexus(['plugins', 'create', 'x', '--dir', dir, '--hook', 'before_lunch'], dir);
  t.is(hook.code, 2);
  t.regex(hook.stderr, /there is no hook "before_lunch": before_service_register/);
  t.deepEqual(await readdir(dir), []);
});
