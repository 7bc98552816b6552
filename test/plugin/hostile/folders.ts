import {
  bounded,
  type HostilePlugin,
  inHook,
  lives,
  notOffered,
  notStarted,
  type Planted,
  row,
} from './hostile-plugin.ts';

const plain =
  'export const initialize = (context) => { context.hooks.register("before_publish", () => undefined); };';
/** A module that shows what it has imported in the message that it changes. */
const showing = (statement: string, value = 'stolen'): string =>
  `${statement}\n${inHook(`return { change: { payload: { found: ${value} == null ? [] : [String(typeof ${value} === "object" ? JSON.stringify(${value}) : ${value})] } } };`)}`;

const manifest = (name: string, attack: string, more: Readonly<Record<string, unknown>>): HostilePlugin =>
  row(name, attack, plain, notOffered, { by: 'start', manifest: more });

const text = (name: string, attack: string, planted: Planted): HostilePlugin =>
  row(name, attack, plain, notOffered, { by: 'start', files: { 'plugin.json': planted } });

const bundle = (
  name: string,
  attack: string,
  code: string,
  files: Readonly<Record<string, Planted>> = {},
): HostilePlugin => row(name, attack, code, notOffered, { by: 'start', files });

const permissions = (more: Readonly<Record<string, unknown>>) => ({ permissions: more });

/** SECRET is the path of a file outside of the plugin's folder, of which the text must never be seen. */
export const folders: readonly HostilePlugin[] = [
  manifest('manifest-entry-outside', 'an entry outside of its folder', { entry: '../../secret.mjs' }),
  manifest('manifest-entry-absolute', 'an entry with an absolute path', { entry: 'SECRET' }),
  manifest('manifest-entry-address', 'an entry at an address', { entry: 'http://127.0.0.1:9/x.js' }),
  manifest('manifest-entry-builtin', 'an entry that is a module of Node', { entry: 'node:fs' }),
  manifest('manifest-entry-folder', 'an entry that is a folder', { entry: '.' }),
  manifest('manifest-entry-zero', 'an entry with a zero in its path', { entry: 'index.js\u0000.txt' }),
  manifest('manifest-name-outside', 'a name that is a path', { name: '../witness' }),
  manifest('manifest-name-other', 'the name of another plugin', { name: 'witness' }),
  manifest('manifest-name-proto', 'a name of __proto__', { name: '__proto__' }),
  manifest('manifest-name-long', 'a name of 100,000 characters', { name: 'a'.repeat(60_000) }),
  manifest('manifest-version', 'a version that is none', { version: '1'.repeat(60_000) }),
  manifest('manifest-limits', 'limits beyond what there is', {
    limits: { memoryMb: 1e9, cpuMsPerCall: -1, timeoutMs: 1e12, callsPerSec: 0, messageBytes: 1e18 },
  }),
  manifest('manifest-limits-types', 'limits that are no numbers', {
    limits: { memoryMb: '32', cpuMsPerCall: null, timeoutMs: {}, callsPerSec: [] },
  }),
  manifest(
    'manifest-hooks',
    'hooks that there are not',
    permissions({
      hooks: {
        before_everything: { match: ['*'], order: 0, timeoutMs: 100, onFailure: 'skip' },
      },
    }),
  ),
  manifest(
    'manifest-hooks-many',
    'a hook for 5,000 patterns',
    permissions({
      hooks: {
        before_publish: {
          match: Array.from({ length: 5_000 }, (_, i) => `a.${i}`),
          order: 0,
          timeoutMs: 100,
          onFailure: 'skip',
        },
      },
    }),
  ),
  manifest(
    'manifest-hooks-time',
    'a hook that holds each call for a year',
    permissions({
      hooks: { before_publish: { match: ['>'], order: -1e9, timeoutMs: 3e10, onFailure: 'refuse' } },
    }),
  ),
  manifest(
    'manifest-fetch',
    'origins with wildcards, paths and names',
    permissions({ fetch: ['http://*', 'file://', 'https://a.example/x', 'https://user@a.example', '*'] }),
  ),
  manifest(
    'manifest-permissions-many',
    'ten thousand topics',
    permissions({ publish: Array(10_000).fill('a') }),
  ),
  manifest('manifest-dependency-self', 'a dependency on itself', {
    dependencies: { 'manifest-dependency-self': '*' },
  }),
  manifest('manifest-dependency-range', 'a range of versions that takes ages to read', {
    dependencies: { other: `${'>=1.0.0 '.repeat(1_000)}||`.repeat(5) },
  }),
  manifest('manifest-dependency-proto', 'a dependency named __proto__', {
    dependencies: JSON.parse('{"__proto__":"*","../x":"*"}'),
  }),
  manifest('manifest-schema', 'a schema that refers to itself and to files', {
    configSchema: { $ref: '#', allOf: [{ $ref: 'file:///etc/passwd' }, { $ref: '#/allOf/0' }] },
  }),
  manifest(
    'manifest-schema-pattern',
    'a schema with a pattern that backtracks for ages, and a default that it is tried on',
    {
      configSchema: {
        type: 'object',
        properties: { a: { type: 'string', pattern: '^(a+)+$', default: `${'a'.repeat(40)}!` } },
      },
    },
  ),

  text('manifest-large', 'a manifest of 64 MB', { holeBytes: 64_000_000 }),
  text('manifest-deep', 'a manifest 1,000,000 deep', { repeat: '[', times: 1_000_000 }),
  text('manifest-no-json', 'a manifest that is no JSON', '{"name":'),
  text(
    'manifest-keys',
    'a manifest with __proto__',
    '{"__proto__":{"name":"x"},"constructor":{"prototype":{}},"name":"manifest-keys"}',
  ),
  text('manifest-link', 'a manifest that is a link to a file outside', { link: 'SECRET' }),
  text('manifest-pipe', 'a manifest that is a pipe nobody writes to', { pipe: true }),
  text('manifest-device', 'a manifest that is a device without an end', { link: '/dev/zero' }),
  bundle('entry-link', 'an entry that is a link to a file outside', plain, {
    'index.js': { link: 'SECRET' },
  }),
  bundle('entry-pipe', 'an entry that is a pipe nobody writes to', plain, { 'index.js': { pipe: true } }),
  bundle('entry-device', 'an entry that is a device without an end', plain, {
    'index.js': { link: '/dev/zero' },
  }),
  bundle('entry-missing', 'an entry that is not there', plain, { 'index.js': { link: './nowhere.js' } }),
  bundle(
    'import-outside',
    'an import of a file above its folder',
    showing('import stolen from "../../secret.json";'),
  ),
  bundle(
    'import-absolute',
    'an import of a file by its absolute path',
    showing('import stolen from "SECRET";'),
  ),
  bundle(
    'import-text',
    'an import of any file as text',
    showing('import stolen from "SECRET" with { type: "text" };'),
  ),
  bundle(
    'import-link',
    'an import of a link to a file outside',
    showing('import stolen from "./link.json";'),
    { 'link.json': { link: 'SECRET' } },
  ),
  bundle(
    'import-link-folder',
    'an import through a link to a folder outside',
    showing('import stolen from "./up/secret.json";'),
    { up: { link: '../..' } },
  ),
  bundle(
    'import-alias',
    'an import that tsconfig.json sends elsewhere',
    showing('import stolen from "alias";'),
    { 'tsconfig.json': '{"compilerOptions":{"baseUrl":"../..","paths":{"alias":["./secret.json"]}}}' },
  ),
  row(
    'import-browser-field',
    'an import that package.json sends elsewhere',
    showing('import stolen from "./here.json";'),
    bounded,
    {
      files: {
        'here.json': 'null',
        'package.json': '{"browser":{"./here.json":"../../secret.json"}}',
      },
    },
  ),
  bundle(
    'import-imports-field',
    'an import that the imports of package.json send elsewhere',
    showing('import stolen from "#x";'),
    { 'package.json': '{"imports":{"#x":"../../secret.json"}}' },
  ),
  row(
    'import-package-large',
    'a package.json of 10 MB, which is looked at for each of 900 imports',
    `${Array.from({ length: 900 }, (_, i) => `import './f/${i}.js';`).join('')}${plain}`,
    bounded,
    {
      by: 'start',
      files: {
        ...Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`f/${i}.js`, 'export {};'])),
        'package.json': { before: '{"x":[', repeat: '[],', times: 3_300_000, after: '0]}' },
      },
    },
  ),

  bundle(
    'import-package-link',
    'a package that is a link to a folder outside',
    showing('import stolen from "pkg/secret.json";'),
    { 'node_modules/pkg': { link: '../../..' } },
  ),
  bundle(
    'import-package',
    "a package of the hub's own",
    showing('import * as stolen from "isolated-vm";', 'Object.keys(stolen)'),
  ),
  bundle(
    'import-builtin',
    'a module of Node',
    showing(
      'import { readFileSync } from "node:fs"; let stolen; try { stolen = readFileSync("SECRET", "utf8"); } catch {}',
    ),
  ),
  bundle(
    'import-builtin-bare',
    'a module of Node, by its old name',
    showing('import fs from "fs"; let stolen; try { stolen = fs.readFileSync("SECRET", "utf8"); } catch {}'),
  ),
  bundle(
    'import-address',
    'an import from an address',
    showing('import stolen from "http://127.0.0.1:9/x.js";'),
  ),
  bundle('import-addon', 'an import of a native module', showing('import stolen from "./x.node";'), {
    'x.node': '\u007fELF',
  }),
  bundle(
    'import-css',
    'a style sheet that takes in files',
    showing('import "./x.css"; const stolen = undefined;'),
    { 'x.css': '@import "SECRET"; a { background: url("SECRET"); }' },
  ),
  bundle('bundle-large', 'a module of 100 MB', plain, {
    'index.js': { holeBytes: 100_000_000 },
  }),
  bundle('bundle-module', 'a module of 6 MB', plain, {
    'index.js': { repeat: `/*${'x'.repeat(1_020)}*/\n`, times: 6_000 },
  }),
  bundle(
    'bundle-files',
    '2,000 files',
    plain,
    Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`f/${i}.js`, 'export {};'])),
  ),
  bundle('bundle-syntax', 'a module that is no JavaScript', 'export const initialize = ('),
  row(
    'bundle-nested',
    'a module of which the parser goes 100,000 deep',
    `export const initialize = () => ${'('.repeat(100_000)}1${')'.repeat(100_000)};`,
    bounded,
    { by: 'start', long: true },
  ),

  row(
    'bundle-nested-deeper',
    'a module that takes the bundler down, and a gigabyte with it',
    `export const initialize = () => ${'('.repeat(1_000_000)}1${')'.repeat(1_000_000)};`,
    notOffered,
    { by: 'start', long: true },
  ),
  row(
    'module-throws-looping',
    'a module that throws a proxy whose traps loop',
    'throw new Proxy(new Error("x"), { get() { for (;;); }, getPrototypeOf() { for (;;); } }); export const initialize = () => {};',
    { end: 'refused', by: 'start', child: 'may' },
    { by: 'start' },
  ),
  row(
    'import-data',
    'an import from a data address, which is its own code',
    'import { initialize as inner } from "data:text/javascript,export const initialize = (c) => { c.hooks.register(%22before_publish%22, () => undefined); }"; export const initialize = inner;',
    { end: 'either', answer: ['ok'], causes: ['initialize'] },
    { by: 'start' },
  ),
  row(
    'module-throws',
    'a module that throws when it is imported',
    'throw new Error("at import"); export const initialize = () => {};',
    notStarted,
    { by: 'start' },
  ),
  row(
    'module-throws-odd',
    'a module that throws what is no error',
    'throw new Proxy({}, { get() { throw 1; } }); export const initialize = () => {};',
    notStarted,
    { by: 'start' },
  ),
  row('module-empty', 'a module that exports nothing', 'export {};', notStarted, { by: 'start' }),
  row(
    'module-no-function',
    'an initialize that is no function',
    'export const initialize = { call() {}, apply() {} };',
    notStarted,
    { by: 'start' },
  ),
  row(
    'module-throwing-initialize',
    'an initialize that throws',
    'export const initialize = () => { throw new Error("no"); };',
    notStarted,
    { by: 'start' },
  ),
  row(
    'module-rejecting-initialize',
    'an initialize that rejects with a proxy',
    'export const initialize = async () => { throw new Proxy({}, { get() { throw 1; } }); };',
    notStarted,
    { by: 'start' },
  ),
  row(
    'module-proxy',
    'an initialize that is a proxy, and a shutdown that is none',
    'export const initialize = new Proxy(() => {}, { apply(_, __, [context]) { context.hooks.register("before_publish", () => undefined); } }); export const shutdown = 5;',
    lives('ok'),
  ),
  row(
    'module-then',
    'a module that exports `then`',
    'export const then = (resolve) => { for (const f of [resolve]) try { f({ initialize() {} }); } catch {} }; export const initialize = (context) => { context.hooks.register("before_publish", () => undefined); };',
    { end: 'either', answer: ['ok', 'no_handler'], causes: ['initialize'] },
  ),
];
