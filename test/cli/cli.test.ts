import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import jwt from 'jsonwebtoken';
import { nexus, runHere, startNexus } from '../support/cli.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { until } from '../support/rest.ts';
import { entriesIn, sampleEntries, snapshotOf } from '../support/snapshots.ts';
import { jwtSecret, signToken } from '../support/token.ts';

let hub: Hub;
let folder: string;
test.before(async () => {
  hub = await openHub({ jwtSecret });
  folder = await mkdtemp(join(tmpdir(), 'nexus-cli-'));
});
test.after.always(async () => {
  await hub.close();
  await rm(folder, { recursive: true });
});

const admin = () => ({ NEXUS_URL: hub.url, NEXUS_TOKEN: signToken('me', 'admin') });
const run = (...args: string[]) => runHere(args, admin());
const path = (name: string) => join(folder, name);

test('wrong usage exits with 2, says what is wrong in one line and how it is used', async (t) => {
  const wrong = [
    [],
    ['nonsense'],
    ['constructor'],
    ['snapshot'],
    ['snapshot', 'nonsense'],
    ['snapshot', 'load'],
    ['snapshot', 'save', 'a', 'b'],
    ['state', 'get'],
    ['state', 'get', 'k', '--nonsense'],
    ['state', 'get', 'k', '--version', 'x'],
    ['state', 'set', 'k', 'no json'],
    ['state', 'watch'],
    ['state', 'get', 'k', '--url', 'ftp://x'],
    ['state', 'get', 'k', '--token', 'a\nb'],
    ['api-keys'],
    ['api-keys', 'create', 'a'],
    ['api-keys', 'create', 'a', '--scope', ' '],
    ['api-keys', 'revoke'],
    ['revoke-token'],
    ['revoke-token', 'a.b.c', '--jti', 'a'],
  ];
  const answers = await Promise.all(wrong.map((args) => run(...args)));
  for (const [index, { code, stdout, stderr }] of answers.entries()) {
    const what = `${wrong[index]?.join(' ')}: ${stderr}`;
    t.is(code, 2, what);
    t.is(stdout, '', what);
    t.regex(stderr, /^nexus: [^\n]+\n\nUsage:/, what);
  }
  const spawned = await nexus(['state', 'get'], folder);
  t.is(spawned.code, 2);
  t.is(spawned.stdout, '');
  for (const args of [['--help'], ['help'], ['state', '--help'], ['snapshot', 'save', '-h']]) {
    const { code, stdout, stderr } = await run(...args);
    t.is(code, 0);
    t.regex(stdout, /^Usage:/);
    t.is(stderr, '');
  }
});

test('token › makes one that the hub takes, for the scopes, the subject and the time asked for', async (t) => {
  const env = { NEXUS_URL: hub.url, NEXUS_JWT_SECRET: jwtSecret };
  const made = await runHere(['token', '--scope', 'state:read:cli/* state:write:cli/*'], env);
  t.deepEqual([made.code, made.stderr], [0, '']);
  t.regex(made.stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const asked = { ...env, NEXUS_TOKEN: made.stdout.trim() };
  t.is((await runHere(['state', 'set', 'cli/token', '1'], asked)).code, 0);
  t.regex((await runHere(['state', 'set', 'other', '1'], asked)).stderr, /^nexus: forbidden/);

  const args = [
    '--scope',
    'admin',
    '--sub',
    'ci',
    '--ttl',
    '7d',
    '--issuer',
    'me',
    '--audience',
    'hub',
    '--json',
  ];
  const [one, two] = await Promise.all(
    [1, 2].map(async () => JSON.parse((await runHere(['token', ...args], env)).stdout)),
  );
  t.like(one, { sub: 'ci', scope: 'admin', iss: 'me', aud: 'hub', exp: one.iat + 7 * 86_400 });
  t.is(one.expiresAt, new Date(one.exp * 1_000).toISOString());
  t.not(one.jti, two.jti, 'each can be revoked by itself');
});

test('token › is wrong usage with what is no scope, a subject of the hub, or a time that is none', async (t) => {
  for (const args of [
    [],
    ['--scope', ' '],
    ['--scope', 'state:reads:*'],
    ['--scope', 'admin', '--sub', 'system'],
    ['--scope', 'admin', '--ttl', '0s'],
    ['--scope', 'admin', '--ttl', '367d'],
    ['--scope', 'admin', '--ttl', '1 hour'],
  ]) {
    const { code, stdout, stderr } = await runHere(['token', ...args], { NEXUS_JWT_SECRET: jwtSecret });
    t.deepEqual([code, stdout], [2, ''], args.join(' '));
    t.regex(stderr, /^nexus: [^\n]+\n\nUsage:/);
  }
});

test('token › takes secret, issuer and audience from nexus.config.json, and says where a secret would come from', async (t) => {
  const none = await runHere(['token', '--scope', 'admin'], {});
  t.is(none.code, 1);
  t.regex(none.stderr, /^nexus: there is no jwtSecret: set NEXUS_JWT_SECRET [^\n]*\n$/);
  const short = await runHere(['token', '--scope', 'admin'], { NEXUS_JWT_SECRET: 'short' });
  t.is(short.code, 1);
  t.regex(short.stderr, /^nexus: jwtSecret: a value of 5 bytes[^\n]*\n$/);
  const config = { jwtSecret, jwtIssuer: 'issuer', jwtAudience: 'hub' };
  const own = await mkdtemp(join(tmpdir(), 'nexus-cli-'));
  t.teardown(() => rm(own, { recursive: true }));
  await writeFile(join(own, 'nexus.config.json'), JSON.stringify(config));
  const made = await nexus(['token', '--scope', 'admin', '--json'], own);
  t.like(JSON.parse(made.stdout), { sub: 'cli', iss: 'issuer', aud: 'hub' });
});

test('a call that fails exits with 1 and one line', async (t) => {
  const token = signToken('me', 'state:read:a/*');
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/^nexus: not_found: .*\n$/, 'state', 'get', 'cli/none'],
    [
      /^nexus: http:\/\/127.0.0.1:1 cannot be reached: .*\n$/,
      'state',
      'get',
      'k',
      '--url',
      'http://127.0.0.1:1',
    ],
    [/^nexus: forbidden: .*\n$/, 'state', 'get', 'k', '--token', token],
    [/^nexus: forbidden: .*\n$/, 'snapshot', 'save', path('forbidden.json'), '--token', token],
    [/^nexus: unauthorized: .*\n$/, 'state', 'get', 'k', '--token', 'x'],
    [/^nexus: \/none\/none.json cannot be loaded: .*\n$/, 'snapshot', 'load', '/none/none.json'],
    [/^nexus: \/none\/x.json cannot be written: .*\n$/, 'snapshot', 'save', '/none/x.json'],
  ];
  await Promise.all(
    cases.map(async ([line, ...args]) => {
      const { code, stdout, stderr } = await run(...args);
      t.is(code, 1, args.join(' '));
      t.is(stdout, '', args.join(' '));
      t.regex(stderr, line);
      t.is(stderr.split('\n').length, 2);
    }),
  );
  t.false((await readdir(folder)).some((name) => name.startsWith('forbidden')));
});

test('state › sets, reads, lists, tells the history and deletes, as text and as JSON', async (t) => {
  const key = 'cli/ü 1';
  t.regex((await run('state', 'set', key, '{"a":[1]}')).stdout, /^version 1 at position [0-9a-f]{16}\n$/);
  const again = await run('state', 'set', key, '"two"', '--expected-version', '1', '--json');
  t.like(JSON.parse(again.stdout) as object, { key, value: 'two', version: 2 });
  const stale = await run('state', 'set', key, '3', '--expected-version', '1');
  t.is(stale.code, 1);
  t.regex(stale.stderr, /^nexus: version_conflict: /);
  t.is((await run('state', 'get', key)).stdout, '"two"\n');
  t.is((await run('state', 'get', key, '--version', '1')).stdout, '{"a":[1]}\n');
  t.like(JSON.parse((await run('state', 'get', key, '--json')).stdout) as object, { version: 2 });
  t.is((await run('state', 'list', 'cli/ü')).stdout, `${key}\t2\t"two"\n`);
  t.is((await run('state', 'delete', key)).stdout, 'deleted\n');
  const history = (await run('state', 'history', key)).stdout.trim().split('\n');
  t.deepEqual(
    history.map((line) => [line.split('\t')[0], line.split('\t')[3]]),
    [
      ['3', 'deleted'],
      ['2', '"two"'],
      ['1', '{"a":[1]}'],
    ],
  );
});

test('state watch › prints each change from a position on, and ends at a signal', async (t) => {
  await run('state', 'set', 'watch/a', '1');
  const watching = startNexus(['state', 'watch', '--prefix', 'watch/', '--after', 'start'], folder, admin());
  await run('state', 'set', 'watch/b', '2');
  await run('state', 'delete', 'watch/a');
  const wanted = 'watch/a\t1\t1\nwatch/b\t1\t2\nwatch/a\t2\tdeleted\n';
  await until(
    async () => watching.stdout(),
    (text) => text.length >= wanted.length,
  );
  watching.child.kill('SIGINT');
  const { code, stdout, stderr } = await watching.ended;
  t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: wanted, stderr: '' });
});

test('snapshot › what one hub saves another loads, whole; a damaged or a plain file is told apart before anything is sent', async (t) => {
  const other = await openHub();
  t.teardown(() => other.close());
  const on = ['--url', other.url];
  const entries = sampleEntries(2_500);
  await writeFile(path('in.json'), await snapshotOf(entries));
  const dry = await run('snapshot', 'load', path('in.json'), '--dry-run', '--json', ...on);
  t.like(JSON.parse(dry.stdout) as object, { entries: 2_500, written: 2_500 });
  const first = await run('snapshot', 'load', path('in.json'), ...on);
  t.is(first.code, 0, first.stderr);
  t.regex(first.stdout, /^2500 keys are done: 2500 written; position [0-9a-f]{16}\n$/);
  t.is(first.stderr, '', 'stderr is no terminal');

  const saved = await nexus(['snapshot', 'save', '--json', ...on], folder);
  t.like(JSON.parse(saved.stdout) as object, { file: 'nexus_snapshot.json', entries: 2_500 });
  const text = await readFile(path('nexus_snapshot.json'), 'utf8');
  t.is(entriesIn(text).length, 2_500);
  const piped = await run('snapshot', 'save', '-', '--prefix', 'ü/', ...on);
  t.deepEqual(
    entriesIn(piped.stdout),
    entriesIn(text).filter(({ key }) => key.startsWith('ü/')),
  );

  const sound = Buffer.from(text);
  sound[1_000] = (sound[1_000] ?? 0) ^ 1;
  await writeFile(path('damaged.json'), sound);
  const refused = await nexus(['snapshot', 'load', 'damaged.json', ...on], folder);
  t.is(refused.code, 1);
  t.is(refused.stderr, 'nexus: damaged.json cannot be loaded: the file does not match its checksum\n');

  await writeFile(path('plain.json'), '{ "ü/1": "new", "k/new": {} }');
  const plain = await run('snapshot', 'load', path('plain.json'), '--replace', '--json', ...on);
  t.like(JSON.parse(plain.stdout) as object, { entries: 2, written: 1 + 1, deleted: 2_500 - 1 });
  const undone = await run('snapshot', 'load', path('nexus_snapshot.json'), '--replace', '--json', ...on);
  t.like(JSON.parse(undone.stdout) as object, { entries: 2_500, written: 2_500, deleted: 1 });
  await run('snapshot', 'save', path('after.json'), ...on);
  t.deepEqual(entriesIn(await readFile(path('after.json'), 'utf8')), entriesIn(text));
  t.false((await readdir(folder)).some((name) => name.endsWith('.tmp')));
});

test('an API key is made, shown once, listed and revoked', async (t) => {
  const made = await run(
    'api-keys',
    'create',
    'cli key',
    '--scope',
    'services:read state:read:*',
    '--ttl',
    '1m',
  );
  t.is(made.stderr, '');
  const [, id = ''] = /^nxk_([0-9a-f]{24})_[A-Za-z0-9_-]{43}\n$/.exec(made.stdout) ?? [];
  t.regex(
    (await run('api-keys', 'list')).stdout,
    new RegExp(`^${id}\tcli key\tkey:${id}\tservices:read state:read:\\*\t20.*Z$`, 'm'),
  );
  const token = made.stdout.trim();
  t.is((await run('state', 'list', '--token', token)).code, 0);
  t.is((await run('api-keys', 'revoke', id)).stdout, 'revoked\n');
  t.regex((await run('state', 'list', '--token', token)).stderr, /^nexus: unauthorized: /);
  t.regex((await run('api-keys', 'revoke', id)).stderr, /^nexus: not_found: /);
  const json = await run('api-keys', 'create', 'j', '--scope', 'admin', '--sub', 'ci', '--json');
  t.like(JSON.parse(json.stdout), { subject: 'ci', scopes: ['admin'], keyShown: true, expiresAt: null });
  t.regex(
    (await run('api-keys', 'create', 'j', '--scope', 'admin', '--sub', 'local')).stderr,
    /^nexus: invalid: /,
  );
  t.is((await run('api-keys', 'create', 'j', '--scope', 'root')).code, 2);
});

test('a token is revoked by itself, or by its jti', async (t) => {
  const token = jwt.sign({ scope: 'state:read:*' }, jwtSecret, {
    subject: 'ada',
    expiresIn: 600,
    jwtid: 'cli-1',
  });
  t.is((await run('state', 'list', '--token', token)).code, 0);
  t.regex((await run('revoke-token', token)).stdout, /^cli-1 is revoked until 20.*Z\n$/);
  t.regex((await run('state', 'list', '--token', token)).stderr, /^nexus: unauthorized: /);
  const done = await run('revoke-token', '--jti', 'cli-2', '--expires-at', '2040-01-01T00:00:00Z', '--json');
  t.like(JSON.parse(done.stdout), { jti: 'cli-2', expiresAt: '2040-01-01T00:00:30.000Z' });
  t.regex((await run('revoke-token', signToken('ada', 'admin'))).stderr, /^nexus: invalid: .*jti/);
});
