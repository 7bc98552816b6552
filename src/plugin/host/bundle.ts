import { lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import type { BuildContext, BuildFailure, Loader, Message, Plugin } from 'esbuild';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import { withEsbuild } from '../esbuild.ts';
import type { PluginFiles } from './folder.ts';
import { resolveModule, type Tree, typesModule } from './resolve.ts';

/** One ES module is made of a plugin's files, and of nothing else (docs/adr/0049-life-of-plugins.md). */

export const maxBundleBytes = 4 * 1_048_576;
const maxBundleMs = 15_000;
const maxFaults = 5;
/** Of one module: what is larger is data, or meant to take the bundler down. */
const maxModuleBytes = 4 * 1_048_576;

const loaders: Readonly<Record<string, Loader>> = {
  '.ts': 'ts',
  '.mts': 'ts',
  '.cts': 'ts',
  '.js': 'js',
  '.mjs': 'js',
  '.cjs': 'js',
  '.json': 'json',
};

const treeOf = (files: PluginFiles['files']): Tree => ({
  has: (path) => files.has(path),
  read: (path) => files.get(path),
});

/** Packages that plugins which come with the hub may use: those that stand beside it. Nothing else of the disk. */
const packagesOf = (root: string): Tree => {
  const home = realpathSync(join(root, 'node_modules'));
  const inside = (path: string): string | undefined => {
    if (!path.startsWith('node_modules/')) return undefined;
    try {
      const real = realpathSync(join(home, path.slice('node_modules/'.length)));
      return real.startsWith(`${home}${sep}`) && lstatSync(real).isFile() ? real : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    has: (path) => inside(path) !== undefined,
    read(path) {
      const real = inside(path);
      return real === undefined || statSync(real).size > maxModuleBytes ? undefined : readFileSync(real);
    },
  };
};

/** Of what is told of one fault: names that a plugin imports may be as long as its modules. */
const maxFaultText = 500;

const locatedText = ({ text, location }: Message): string => {
  const told = text.slice(0, maxFaultText);
  if (location === null) return told;
  const file = location.file.replace(/^(plugin|package):/, '');
  return `${file}:${location.line}:${location.column + 1}: ${told}`;
};

export const notBundled = (name: string, detail: string): Problem =>
  problem('plugin_rejected', `the plugin ${name} cannot be bundled: ${detail}`, {
    plugin: name,
    reason: 'bundle',
  });

/** Answers each import, so that esbuild itself never looks at the disk. */
const readingOnly = (tree: Tree, packages: Tree | undefined): Plugin => ({
  name: 'plugin-folder',
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path, importer, namespace, kind }) => {
      if (kind === 'entry-point') return { path, namespace: 'plugin' };
      if (path === typesModule) return { path, namespace: 'types' };
      const from = namespace === 'package' && packages !== undefined ? packages : tree;
      const required = kind === 'require-call' || kind === 'require-resolve';
      const sought = resolveModule(path, importer, from, packages, required);
      if (!sought.ok) return { errors: [{ text: sought.why }] };
      const { found } = sought;
      return {
        path: found.path,
        namespace: found.tree === tree ? 'plugin' : 'package',
        sideEffects: found.sideEffects,
      };
    });
    build.onLoad({ filter: /.*/, namespace: 'types' }, () => ({ contents: '', loader: 'js' }));
    build.onLoad({ filter: /.*/ }, ({ path, namespace }) => {
      const source = namespace === 'package' ? packages : tree;
      const loader = loaders[extname(path)];
      const contents = source?.read(path);
      if (loader === undefined)
        return { errors: [{ text: `${path} is neither TypeScript, JavaScript nor JSON` }] };
      if (contents === undefined || contents.length > maxModuleBytes) {
        return { errors: [{ text: `${path} cannot be read, or is larger than ${maxModuleBytes} bytes` }] };
      }
      return { contents, loader };
    });
  },
});

const isBuildFailure = (error: unknown): error is BuildFailure =>
  error instanceof Error && 'errors' in error && Array.isArray(error.errors);

export type BundleInput = {
  readonly name: string;
  /** Path of the entry module in the folder. */
  readonly entry: string;
  readonly files: PluginFiles['files'];
  /** Folder of the hub's package, for plugins that come with it: its node_modules are theirs too. */
  readonly packageRoot?: string;
};

/**
 * One ES module, with a source map that names the author's files. `plugin_rejected` with the places of what is wrong, for a
 * bundle of more than 4 MiB, and after 15 s.
 */
export const bundle = (input: BundleInput): Promise<Result<string>> =>
  withEsbuild((esbuild) => bundleWith(esbuild, input));

const bundleWith = async (
  esbuild: typeof import('esbuild'),
  { name, entry, files, packageRoot }: BundleInput,
): Promise<Result<string>> => {
  const deadline = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => deadline.resolve('late'), maxBundleMs);
  let context: BuildContext | undefined;
  try {
    context = await esbuild.context({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'neutral',
      target: 'node24',
      charset: 'utf8',
      legalComments: 'none',
      sourcemap: 'inline',
      sourcesContent: false,
      tsconfigRaw: '{}',
      absWorkingDir: '/',
      define: { 'process.env.NODE_ENV': '"production"' },
      logLevel: 'silent',
      plugins: [readingOnly(treeOf(files), packageRoot === undefined ? undefined : packagesOf(packageRoot))],
    });
    const built = await Promise.race([context.rebuild(), deadline.promise]);
    if (built === 'late') {
      await context.cancel();
      return fault(notBundled(name, `it took longer than ${maxBundleMs} ms`));
    }
    const [output] = built.outputFiles ?? [];
    if (output === undefined) return fault(notBundled(name, 'there is no output'));
    if (output.contents.length > maxBundleBytes) {
      return fault(notBundled(name, `it has more than ${maxBundleBytes} bytes`));
    }
    return ok(output.text);
  } catch (error) {
    if (!isBuildFailure(error) || error.errors.length === 0) {
      // Its process is gone: the next bundle starts another one.
      await esbuild.stop();
      return fault(notBundled(name, error instanceof Error ? error.message : String(error)));
    }
    const texts = error.errors.slice(0, maxFaults).map(locatedText);
    return fault(notBundled(name, texts.join('; ')));
  } finally {
    clearTimeout(timer);
    await context?.dispose().catch(() => undefined);
  }
};
