import { spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import type { Json } from '../../domain/event.ts';
import { defaultLimits } from '../../domain/plugin/manifest.ts';
import type { Result } from '../../src/errors.ts';
import { bundle } from '../../src/plugin/host/bundle.ts';
import { bundleApart } from '../../src/plugin/host/bundler.ts';
import { completeConfig, createRedaction } from '../../src/plugin/host/config.ts';
import { readFolder } from '../../src/plugin/host/folder.ts';
import { parseKeys, signerOf } from '../../src/plugin/host/integrity.ts';
import { readManifest } from '../../src/plugin/host/manifest.ts';

const root = await mkdtemp(join(tmpdir(), 'nexus-bundle-'));
test.after.always(() => rm(root, { recursive: true, force: true }));

let folders = 0;
const folderOf = async (files: Readonly<Record<string, string>>): Promise<string> => {
  const folder = join(root, `folder-${folders++}`);
  await mkdir(folder);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
};
const made = <Value>(result: Result<Value>): Value => {
  if (!result.ok) throw new Error(result.problem.detail);
  return result.value;
};
const faultOf = (result: Result<unknown>): string => (result.ok ? 'no fault' : result.problem.detail);

const bundled = async (files: Readonly<Record<string, string>>, packageRoot?: string) => {
  const read = made(await readFolder(await folderOf(files)));
  return bundle({
    name: 'mine',
    entry: 'index.ts',
    files: read.files,
    ...(packageRoot === undefined ? {} : { packageRoot }),
  });
};
/** What the bundle exports as `value`. */
const run = async (code: string): Promise<unknown> => {
  const loaded: { readonly value?: unknown } = await import(
    `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
  );
  return loaded.value;
};

test('bundle › makes one module of TypeScript, JavaScript, JSON and the packages of the folder', async (t) => {
  const code = made(
    await bundled({
      'index.ts': [
        `import type { PluginContext } from 'nexus-integration-core/plugin';`,
        `import { half } from './lib/half.js';`,
        `import table from './table.json';`,
        `import { named } from '@scope/pack/deep';`,
        `import old from 'old';`,
        `import { inner } from 'pack';`,
        `export const initialize = (_: PluginContext) => undefined;`,
        `export const value: unknown = [half(4), table.n, named, old.answer, inner];`,
      ].join('\n'),
      'lib/half.ts': 'export const half = (n: number): number => n / 2;',
      'table.json': '{"n":7}',
      'node_modules/@scope/pack/package.json':
        '{"exports":{"./*":{"types":"./x.d.ts","import":"./esm/*.mjs","require":"./cjs/*.js"}}}',
      'node_modules/@scope/pack/esm/deep.mjs': 'export const named = "esm";',
      'node_modules/@scope/pack/cjs/deep.js': 'exports.named = "cjs";',
      'node_modules/old/package.json': '{"main":"lib/main"}',
      'node_modules/old/lib/main.js': 'exports.answer = require("./other").answer;',
      'node_modules/old/lib/other.js': 'exports.answer = 42;',
      'node_modules/pack/package.json': '{"exports":"./a.js","imports":{"#in":"./b.js"},"type":"module"}',
      'node_modules/pack/a.js': 'export { inner } from "#in";',
      'node_modules/pack/b.js': 'export const inner = "b";',
    }),
  );
  t.deepEqual(await run(code), [2, 7, 'esm', 42, 'b']);
  t.true(code.includes('sourceMappingURL=data:application/json'));
});

test('bundle › takes the packages of the hub for plugins that come with it, and for no other', async (t) => {
  const files = { 'index.ts': `import { valid } from 'semver'; export const value = valid('1.0.0');` };
  const hub = join(import.meta.dirname, '../..');
  t.is(await run(made(await bundled(files, hub))), '1.0.0');
  t.regex(faultOf(await bundled(files)), /semver is not in the node_modules of the plugin's folder/);
});

const imports: readonly (readonly [what: string, source: string, why: RegExp])[] = [
  ['a module of Node', `import 'node:fs';`, /index\.ts:1:8: .*node:fs.*context\.state/],
  ['a module of Node by its bare name', `import 'http';`, /context\.fetch/],
  ['a module of Node without a substitute', `import 'vm';`, /plugins have no modules of Node's \(vm\)/],
  ['a file outside', `import '../../../etc/passwd';`, /is no file in the folder/],
  ['an absolute path', `import '/etc/passwd';`, /nothing that plugins can import/],
  ['a file URL', `import 'file:///etc/passwd';`, /nothing that plugins can import/],
  ['a data URL', `import 'data:text/javascript,1';`, /nothing that plugins can import/],
  ['an address', `import 'https://example.com/x.js';`, /nothing that plugins can import/],
  ['a required file outside', `require('../../secret.js');`, /is no file in the folder/],
  ['a dynamic import of what is outside', `import('../x.js');`, /is no file in the folder/],
  ['a package that is not there', `import 'left-pad';`, /install it there/],
  ['a package whose main leads out', `import 'evil';`, /install it there/],
  ['a file of another kind', `import './a.bin';`, /neither TypeScript, JavaScript nor JSON/],
  ['a name that the module does not have', `import { x } from './b.js'; x();`, /index\.ts:1:10/],
  ['what does not parse', `export const = 1;`, /index\.ts:1:14/],
];
for (const [what, source, why] of imports) {
  test(`bundle › refuses ${what}, and says where`, async (t) => {
    const result = await bundled({
      'index.ts': source,
      'a.bin': 'x',
      'b.js': 'export const y = 1;',
      'node_modules/evil/package.json': '{"main":"../../../../../../etc/hostname"}',
    });
    t.regex(faultOf(result), why);
    t.is(result.ok ? undefined : result.problem.code, 'plugin_rejected');
  });
}

test('bundle › heeds no tsconfig and no package.json beside the code', async (t) => {
  const code = made(
    await bundled({
      'index.ts': 'class A { x?: number } export const value = Object.keys(new A());',
      'tsconfig.json':
        '{"compilerOptions":{"useDefineForClassFields":false,"paths":{"*":["/etc/*"]}},"extends":"/etc/passwd"}',
      'package.json': '{"browser":{"./index.ts":"/etc/passwd"}}',
    }),
  );
  t.deepEqual(await run(code), ['x']);
});

test('bundle › refuses one that is too large', async (t) => {
  const half = `export const a = "${'x'.repeat(2_200_000)}";`;
  const source = `import { a } from './a.js'; import { a as b } from './b.js'; export const value = a + b;`;
  t.regex(
    faultOf(await bundled({ 'index.ts': source, 'a.js': half, 'b.js': half })),
    /more than 4194304 bytes/,
  );
});

test('bundle › looks at a package.json once, however often it is imported past', async (t) => {
  const modules = Array.from({ length: 500 }, (_, at) => [`f/${at}.js`, 'export {};'] as const);
  const code = await bundled({
    'index.ts': modules.map(([path]) => `import './${path}';`).join('\n'),
    'package.json': `{"x":[${'[],'.repeat(50_000)}0],"sideEffects":true}`,
    ...Object.fromEntries(modules),
  });
  t.true(code.ok);
});

test('bundleApart › gives what bundle gives, and ends the process of a module that takes too long', async (t) => {
  const filesOf = (text: string) => new Map([['index.ts', Buffer.from(text)]]);
  const apart = (text: string, maxMs?: number) =>
    bundleApart({ name: 'mine', entry: 'index.ts', files: filesOf(text) }, maxMs);
  t.is(await run(made(await apart('export const value: number = 5;'))), 5);
  t.regex(faultOf(await apart('import "node:fs";')), /index\.ts:1:8: plugins have no modules of Node's/);
  // Each of these is told of with the whole line: more than any process has memory for.
  const flood = apart('let a;'.repeat(200_000), 3_000);
  t.is(await run(made(await apart('export const value = 6;'))), 6);
  t.regex(faultOf(await flood), /it took (longer|more) than|has ended/);
  t.is(await run(made(await apart('export const value = 7;'))), 7);
});

test('bundleApart › says so when the system has no process for it, and bundles when it has one again', async (t) => {
  const program = spawn(
    'sh',
    [
      '-c',
      'ulimit -n 80 && exec "$0" "$1"',
      process.execPath,
      join(import.meta.dirname, 'bundle-short-of-files.ts'),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [text, [code]] = await Promise.all([
    program.stdout.setEncoding('utf8').toArray(),
    once(program, 'exit'),
  ]);
  t.is(code, 0);
  const { without, again } = JSON.parse(text.join(''));
  t.like(without, { ok: false, problem: { code: 'plugin_rejected' } });
  t.regex(without.problem.detail, /no process/);
  t.true(again);
});

test('readFolder › has one hash for one content, and another for any other', async (t) => {
  const hash = async (files: Readonly<Record<string, string>>) =>
    made(await readFolder(await folderOf(files))).hash;
  const first = await hash({ a: '1', 'b/c': '2' });
  t.regex(first, /^sha256-[A-Za-z0-9_-]{43}$/);
  t.is(await hash({ 'b/c': '2', a: '1' }), first);
  t.is(await hash({ 'b/c': '2', a: '1', 'plugin.sig': 'x', '.git/HEAD': 'x' }), first);
  const others = [
    { a: '1', 'b/c': '3' },
    { a: '1', b: '2' },
    { a: '1' },
    { a: '12', 'b/c': '' },
    { a1: '', 'b/c': '2' },
  ];
  for (const files of others) t.not(await hash(files), first);
});

test('readFolder › follows links within the folder, and refuses those that leave it', async (t) => {
  const folder = await folderOf({ 'lib/a.js': '1' });
  await symlink('lib/a.js', join(folder, 'b.js'));
  await symlink('lib', join(folder, 'other'));
  const { files } = made(await readFolder(folder));
  t.deepEqual([...files.keys()], ['b.js', 'lib/a.js', 'other/a.js']);
  await symlink('/etc/hostname', join(folder, 'lib/c.js'));
  t.regex(faultOf(await readFolder(folder)), /lib\/c\.js leads out of the folder/);
});

test('readFolder › ends with links in a circle, and with too many files', async (t) => {
  const folder = await folderOf({ 'a/x': '1' });
  await symlink('..', join(folder, 'a/up'));
  t.regex(faultOf(await readFolder(folder)), /leads out|too many/);
  const many = Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`f${index}`, '']));
  t.regex(faultOf(await readFolder(await folderOf(many))), /there may be 1000/);
  t.is((await readFolder(join(root, 'nowhere'))).ok, false);
});

const manifest = (changes: Readonly<Record<string, Json>>) =>
  readManifest(
    'mine',
    new Map([
      ['index.ts', Buffer.from('')],
      ['plugin.json', Buffer.from(JSON.stringify({ name: 'mine', version: '1.0.0', ...changes }))],
    ]),
  );

test('readManifest › fills in what is not given', (t) => {
  const read = made(manifest({ limits: { memoryMb: 64 }, permissions: { publish: ['a.>'] } }));
  t.is(read.entry, 'index.ts');
  t.deepEqual(read.limits, { ...defaultLimits, memoryMb: 64 });
  t.deepEqual(read.permissions.publish, ['a.>']);
  t.deepEqual(read.permissions.hooks, {});
});

const wrongManifests: readonly (readonly [changes: Readonly<Record<string, Json>>, pointer: string])[] = [
  [{ name: 'other' }, '/name'],
  [{ name: '../x' }, '/name'],
  [{ version: '1' }, '/version'],
  [{ entry: '../index.ts' }, '/entry'],
  [{ entry: 'other.ts' }, '/entry'],
  [{ extra: 1 }, ''],
  [{ permissions: { publish: ['a..b'] } }, '/permissions/publish/0'],
  [{ permissions: { hooks: { before_everything: { match: ['>'] } } } }, '/permissions/hooks'],
  [{ limits: { memoryMb: 9_999 } }, '/limits/memoryMb'],
  [{ dependencies: { other: 'not a range' } }, '/dependencies/other'],
  [{ dependencies: { mine: '*' } }, '/dependencies/mine'],
  [{ configSchema: { type: 'string', pattern: '(a+)+$' } }, '/configSchema/pattern'],
  [{ configSchema: { type: 'object', patternProperties: {} } }, '/configSchema/patternProperties'],
  [{ configSchema: { type: 'string', format: 'email' } }, '/configSchema/format'],
  [{ configSchema: { $ref: 'https://example.com/x' } }, '/configSchema/$ref'],
  [
    { configSchema: { $ref: '#/$defs/a', $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } } } },
    '/configSchema/allOf/0/$ref',
  ],
  [{ configSchema: { type: 'object', required: ['a'] } }, '/configSchema/required'],
  [{ configSchema: { minLength: 1 } }, '/configSchema/minLength'],
];
for (const [changes, pointer] of wrongManifests) {
  test(`readManifest › refuses ${JSON.stringify(changes)}`, (t) => {
    const result = manifest(changes);
    const errors = result.ok ? [] : result.problem.facts?.errors;
    t.like(errors, [{ pointer }]);
  });
}

test('readManifest › refuses a schema of references that multiply', (t) => {
  const definitions: Record<string, Json> = { d0: { type: 'string' } };
  for (let level = 1; level <= 30; level++) {
    const before = { $ref: `#/$defs/d${level - 1}` };
    definitions[`d${level}`] = { allOf: [before, before] };
  }
  t.regex(
    faultOf(manifest({ configSchema: { $ref: '#/$defs/d30', $defs: definitions } })),
    /more than 2000 parts/,
  );
});

const configSchema: Json = {
  type: 'object',
  properties: {
    url: { type: 'string', minLength: 1 },
    key: { type: 'string' },
    retries: { type: 'integer', default: 3 },
    stolen: { default: { $secret: 'KEY' } },
  },
  required: ['url'],
  additionalProperties: false,
};

test('completeConfig › puts secrets in and fills in defaults, which name no secret', (t) => {
  const env = { NEXUS_PLUGIN_WEB_HOOK_KEY: 'hidden-value' };
  const given: Json = { url: 'x', key: { $secret: 'key' } };
  t.deepEqual(made(completeConfig('web-hook', configSchema, given, env)), {
    config: { url: 'x', key: 'hidden-value', retries: 3, stolen: { $secret: 'KEY' } },
    secrets: ['hidden-value'],
  });
});

const wrongConfigs: readonly (readonly [config: Json, pointer: string])[] = [
  [{}, '/url'],
  [{ url: 7 }, '/url'],
  [{ url: 'x', other: 1 }, ''],
  [{ url: { $secret: 'ABSENT' } }, '/url'],
  [{ url: { $secret: '../x' } }, '/url'],
  [{ url: { $secret: 'KEY', more: 1 } }, '/url'],
  [[], ''],
];
for (const [config, pointer] of wrongConfigs) {
  test(`completeConfig › refuses ${JSON.stringify(config)}`, (t) => {
    const result = completeConfig('p', configSchema, config, { NEXUS_PLUGIN_P_KEY: 'k' });
    const errors = result.ok ? [] : result.problem.facts?.errors;
    t.like(errors, [{ pointer }]);
  });
}

test('createRedaction › blanks secrets in texts and in JSON', (t) => {
  const redaction = createRedaction(['hidden', 'hidden-value']);
  t.is(redaction.text('a hidden-value, hidden'), 'a ***, ***');
  t.deepEqual(redaction.json({ a: ['xhidden'], hidden: 1 }), { a: ['x***'], '***': 1 });
});

test('signerOf › names the key of a good signature, and none for another hash or key', async (t) => {
  const [one, two] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
  const pem = one.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const jwk = { ...two.publicKey.export({ format: 'jwk' }), kid: 'second' };
  const byPem = await parseKeys(pem + two.publicKey.export({ format: 'pem', type: 'spki' }).toString());
  const bySet = await parseKeys(JSON.stringify({ keys: [jwk] }));
  const signature = (key: typeof one, text: string) =>
    sign(null, Buffer.from(text), key.privateKey).toString('base64url');
  t.is(signerOf('sha256-x', signature(one, 'sha256-x'), byPem), byPem[0]?.name ?? null);
  t.is(signerOf('sha256-x', signature(two, 'sha256-x'), bySet), 'second');
  t.is(signerOf('sha256-y', signature(two, 'sha256-x'), bySet), null);
  t.is(signerOf('sha256-x', signature(one, 'sha256-x'), bySet), null);
  for (const none of [null, '', 'x', 'x'.repeat(86)]) t.is(signerOf('sha256-x', none, byPem), null);
  await t.throwsAsync(parseKeys(JSON.stringify(two.privateKey.export({ format: 'jwk' }))), {
    message: /no public JWK/,
  });
  await t.throwsAsync(parseKeys('nothing'), { message: /neither PEM/ });
});
