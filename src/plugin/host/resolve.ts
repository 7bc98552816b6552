import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { isJsonObject, type JsonObject } from '../../../domain/json.ts';
import { parseJson } from '../../gateway/json.ts';
import { exportOf, importConditions, importOf, requireConditions } from './package-exports.ts';

/** Files that modules are looked for in; paths have `/` and stand below it. */
export type Tree = {
  has(path: string): boolean;
  read(path: string): Buffer | undefined;
};

export type Found = {
  readonly tree: Tree;
  readonly path: string;
  /** False where the package says that its modules do nothing when they are loaded. */
  readonly sideEffects: boolean;
};
export type Sought =
  | { readonly ok: true; readonly found: Found }
  | { readonly ok: false; readonly why: string };

/** What authors import types from: nothing of it is there when the plugin runs. */
export const typesModule = 'nexus-integration-core/plugin';

const extensions = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.json'];
/** What stands in for the file that TypeScript would have written. */
const writtenFrom: Readonly<Record<string, readonly string[]>> = {
  '.js': ['.ts'],
  '.mjs': ['.mts'],
  '.cjs': ['.cts'],
};

const instead: Readonly<Record<string, string>> = {
  fs: 'keep data with context.state',
  http: 'use context.fetch',
  https: 'use context.fetch',
  http2: 'use context.fetch',
  net: 'use context.fetch',
  tls: 'use context.fetch',
  timers: 'use context.timers',
  process: 'use context.config',
  events: 'use context.messageBus',
};

const builtinFault = (name: string): string => {
  const bare = name.replace(/^node:/, '').split('/')[0] ?? '';
  const hint = Object.hasOwn(instead, bare) ? `: ${instead[bare]}` : '';
  return `plugins have no modules of Node's (${name})${hint}`;
};

const fileOf = (tree: Tree, path: string): string | undefined => {
  if (tree.has(path)) return path;
  const extension = posix.extname(path);
  for (const other of writtenFrom[extension] ?? []) {
    const source = `${path.slice(0, -extension.length)}${other}`;
    if (tree.has(source)) return source;
  }
  return extensions.map((one) => `${path}${one}`).find((one) => tree.has(one));
};

/** Of one package.json; a larger one is as if it were not there. */
const maxPackageBytes = 262_144;

/** What the package.json of each folder says: it is asked for with every import, so it is parsed once. */
const manifests = new WeakMap<Tree, Map<string, JsonObject | undefined>>();

const manifestIn = (tree: Tree, folder: string): JsonObject | undefined => {
  let known = manifests.get(tree);
  if (known === undefined) {
    known = new Map();
    manifests.set(tree, known);
  }
  if (known.has(folder)) return known.get(folder);
  const content = tree.read(posix.join(folder, 'package.json'));
  const parsed = content === undefined || content.length > maxPackageBytes ? undefined : parseJson(content);
  const manifest = parsed?.ok && isJsonObject(parsed.value) ? parsed.value : undefined;
  known.set(folder, manifest);
  return manifest;
};

/** The folders from the one of `path` up to the root, which is `.`. */
const foldersUp = (path: string): readonly string[] => {
  const folders: string[] = [];
  for (let folder = posix.dirname(path); ; folder = posix.dirname(folder)) {
    folders.push(folder);
    if (folder === '.' || folder === '/') return folders;
  }
};

const withoutEffects = (tree: Tree, path: string): boolean => {
  for (const folder of foldersUp(path)) {
    const manifest = manifestIn(tree, folder);
    if (manifest?.sideEffects !== undefined) return manifest.sideEffects === false;
  }
  return false;
};

const at = (tree: Tree, path: string): Found | undefined => {
  const inside = posix.normalize(path);
  if (inside.startsWith('..') || inside.startsWith('/')) return undefined;
  const file = fileOf(tree, inside) ?? fileOf(tree, mainOf(tree, inside));
  return file === undefined ? undefined : { tree, path: file, sideEffects: !withoutEffects(tree, file) };
};

/** Of a folder that is imported by its path. */
const mainOf = (tree: Tree, folder: string): string => {
  const main = manifestIn(tree, folder)?.main;
  return posix.join(folder, typeof main === 'string' ? main : 'index');
};

const packageName = (name: string): string =>
  name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');

const inPackages = (tree: Tree, importer: string, name: string, required: boolean): Found | undefined => {
  const wanted = packageName(name);
  const subpath = name === wanted ? '.' : `.${name.slice(wanted.length)}`;
  for (const folder of foldersUp(importer)) {
    const home = posix.join(folder, 'node_modules', wanted);
    const manifest = manifestIn(tree, home);
    if (manifest === undefined) continue;
    const target = exportOf(manifest, subpath, required ? requireConditions : importConditions);
    return target === undefined ? undefined : at(tree, posix.join(home, target));
  }
  return undefined;
};

const internal = (tree: Tree, importer: string, name: string, required: boolean): Found | undefined => {
  for (const folder of foldersUp(importer)) {
    const manifest = manifestIn(tree, folder);
    if (manifest === undefined) continue;
    const target = importOf(manifest, name, required ? requireConditions : importConditions);
    return target === undefined ? undefined : at(tree, posix.join(folder, target));
  }
  return undefined;
};

const isPackageName = (name: string): boolean => /^(@[\w.-]+\/)?[\w-][\w.-]*(\/[\w.@/-]+)?$/.test(name);

/**
 * Where the module `name` is that the file `importer` of `tree` asks for: in the same tree, or in the packages that come
 * with the hub.
 *
 * @param packages undefined for plugins that do not come with it.
 */
export const resolveModule = (
  name: string,
  importer: string,
  tree: Tree,
  packages: Tree | undefined,
  required: boolean,
): Sought => {
  const asked = (found: Found | undefined, why: string): Sought =>
    found === undefined ? { ok: false, why } : { ok: true, found };
  if (/^\.{1,2}(\/|$)/.test(name)) {
    return asked(
      at(tree, posix.join(posix.dirname(importer), name)),
      `${name} is no file in the folder of the plugin`,
    );
  }
  if (name.startsWith('#')) {
    return asked(internal(tree, importer, name, required), `no package.json has an import ${name}`);
  }
  if (name.startsWith('node:')) return { ok: false, why: builtinFault(name) };
  if (!isPackageName(name))
    return { ok: false, why: `${name.slice(0, 100)} is nothing that plugins can import` };
  const own = inPackages(tree, importer, name, required);
  // A package may have the name of a module of Node's.
  if (own !== undefined) return { ok: true, found: own };
  const shared = packages === undefined ? undefined : inPackages(packages, 'x', name, required);
  if (shared !== undefined) return { ok: true, found: shared };
  if (isBuiltin(name)) return { ok: false, why: builtinFault(name) };
  return {
    ok: false,
    why: `${name} is not in the node_modules of the plugin's folder: install it there, or import it by its path`,
  };
};
