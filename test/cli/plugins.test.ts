import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { runHere } from '../support/cli.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { hookOf, hookSource, writePlugin } from '../support/plugin-folder.ts';
import { hashOf } from '../support/plugin-samples.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';

let hub: Hub;
let folder: string;
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nexus-cli-plugins-'));
  hub = await openHub({ jwtSecret, pluginDir: join(folder, 'plugins') });
});
test.after.always(async () => {
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

const run = (...args: string[]) =>
  runHere(['plugins', ...args], { NEXUS_URL: hub.url, NEXUS_TOKEN: signToken('me', 'admin') });
const path = (name: string) => join(folder, name);
const write = (name: string, source: string, version = '1.0.0') =>
  writePlugin(path('plugins'), name, {
    version,
    manifest: {
      configSchema: { type: 'object', properties: { limit: { type: 'number' } } },
      permissions: {
        publish: ['cli.>'],
        fetch: ['https://api.example.com'],
        hooks: { before_publish: { match: ['cli.>'], timeoutMs: 10_000 } },
      },
    },
    source,
  });
const asked = hookSource('before_publish', 'return undefined;');

test('plugins › are listed, enabled with what a file grants, shown, and disabled', async (t) => {
  await write('first', asked);
  for (const args of [[], ['list']]) {
    const { code, stdout } = await run(...args);
    t.is(code, 0);
    t.regex(stdout, /^first\t1\.0\.0\tavailable\tnever enabled$/m);
  }
  await writeFile(path('grant.json'), '{"permissions":{"publish":["cli.a"]},"limits":{"memoryMb":16}}');
  await writeFile(path('config.json'), '{"limit":3}');
  const enabled = await run(
    'enable',
    'first',
    '--grant',
    path('grant.json'),
    '--config',
    path('config.json'),
  );
  t.deepEqual([enabled.code, enabled.stderr], [0, '']);
  t.regex(enabled.stdout, /^first\t1\.0\.0\tenabled\t/);
  t.regex(enabled.stdout, /^may:\n {2}publish\tcli\.a\n/m);
  t.regex(enabled.stdout, /^asks for, and may not:\n(?: {2}.*\n)* {2}fetch\thttps:\/\/api\.example\.com\n/m);
  t.regex(enabled.stdout, /^ {2}hooks\.before_publish\tcli\.>, 10000 ms, else skip\n/m);
  t.regex(enabled.stdout, /^ {2}memoryMb\t16$/m);
  t.is((await run('show', 'first')).stdout, enabled.stdout);
  const json = JSON.parse((await run('show', 'first', '--json')).stdout) as Record<string, unknown>;
  t.like(json, { name: 'first', permissions: { publish: ['cli.a'] } });
  const disabled = await run('disable', 'first', '--reason', 'enough of it');
  t.is(disabled.stdout, 'first\t1.0.0\tdisabled\tenough of it\n');
});

test('plugins › a new version is tried, and taken by reload', async (t) => {
  const source = (mark: string) => hookSource('before_publish', `return { change: { payload: '${mark}' } };`);
  const tried = (version: string) =>
    writePlugin(path('plugins'), 'tried', {
      version,
      manifest: hookOf('before_publish', { match: ['tried.>'] }),
      source: source(version),
    });
  await tried('1.0.0');
  await run('enable', 'tried');
  const headers = { authorization: `Bearer ${signToken('me', 'admin')}` };
  await request(hub.url, 'POST', '/events/tried.a', { headers, body: { payload: 1 } });
  await tried('2.0.0');
  t.regex((await run('show', 'tried')).stdout, /^in the folder\t2\.0\.0\tsha256-[\w-]{43}$/m);
  const shadow = await run('shadow', 'tried', '--minutes', '5');
  t.regex(shadow.stdout, /^calls\t1\nnotShown\t0\ndifferentAnswers\t1\n/, shadow.stderr);
  const reloaded = await run('reload', 'tried');
  t.regex(reloaded.stdout, /^tried\t2\.0\.0\tenabled\t/);
});

test('plugins › one that is refused, or does not run, exits with 1 and one line that says why', async (t) => {
  const none = await run('enable', 'nowhere');
  t.is(none.code, 1);
  t.regex(none.stderr, /^nexus: not_found: [^\n]+\n$/);
  await write('unlucky', 'export const initialize = () => { throw new Error("no luck"); };');
  const failed = await run('enable', 'unlucky');
  t.is(failed.code, 1);
  t.regex(failed.stderr, /^nexus: unlucky is failed: [^\n]*no luck[^\n]*\n$/);
  await write('named', asked);
  const other = await run('enable', 'named', '--hash', hashOf('x'));
  t.is(other.code, 1);
  t.regex(other.stderr, /^nexus: plugin_rejected: [^\n]+\n$/);
});

test('plugins › wrong usage exits with 2 and says how it is used', async (t) => {
  await writeFile(path('list.json'), '[]');
  await writeFile(path('broken.json'), '{');
  await writeFile(path('more.json'), '{"config":1}');
  for (const args of [
    ['nonsense'],
    ['show'],
    ['show', '..'],
    ['enable'],
    ['enable', 'a', 'b'],
    ['enable', 'a', '--grant', path('absent.json')],
    ['enable', 'a', '--grant', path('list.json')],
    ['enable', 'a', '--grant', path('more.json')],
    ['enable', 'a', '--config', path('broken.json')],
    ['shadow', 'a', '--minutes', 'x'],
  ]) {
    const { code, stdout, stderr } = await run(...args);
    t.deepEqual([code, stdout], [2, ''], args.join(' '));
    t.regex(stderr, /^nexus: [^\n]+\n\nUsage:/, args.join(' '));
  }
  const help = await run('--help');
  t.is(help.code, 0);
  for (const action of ['list', 'show', 'enable', 'disable', 'reload', 'shadow', 'create'])
    t.true(help.stdout.includes(`nexus plugins ${action}`), action);
});
