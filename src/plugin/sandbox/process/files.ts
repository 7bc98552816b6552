import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { withEsbuild } from '../../esbuild.ts';

/** What a child process reads; all paths are real ones. */
export type ChildFiles = {
  /** A private folder, with the three below in it. */
  readonly folder: string;
  readonly child: string;
  readonly guest: string;
  /** Where the process stands: empty. */
  readonly empty: string;
  /** isolated-vm's native part for this platform. */
  readonly addon: string;
};

const addonPath = (): string => {
  const require = createRequire(import.meta.url);
  const folder = realpathSync(dirname(require.resolve('isolated-vm/package.json')));
  const locate: { path(folder: string): string } = createRequire(join(folder, 'package.json'))(
    'node-gyp-build',
  );
  return realpathSync(locate.path(folder));
};

const source = (name: string): string => join(import.meta.dirname, name);

const write = async (): Promise<ChildFiles> => {
  const addon = addonPath();
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'nexus-sandbox-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const files = {
    folder,
    child: join(folder, 'child.mjs'),
    guest: join(folder, 'guest.js'),
    empty: join(folder, 'empty'),
    addon,
  };
  mkdirSync(files.empty);
  await withEsbuild(({ build }) =>
    Promise.all([
      build({
        entryPoints: [source('child/main.ts')],
        outfile: files.child,
        bundle: true,
        platform: 'node',
        format: 'esm',
        target: 'node24',
        logLevel: 'silent',
      }),
      build({
        entryPoints: [source('guest/runtime.ts')],
        outfile: files.guest,
        bundle: true,
        platform: 'neutral',
        format: 'iife',
        target: 'es2024',
        minifyWhitespace: true,
        minifySyntax: true,
        banner: { js: '"use strict";' },
        logLevel: 'silent',
      }),
    ]),
  );
  return files;
};

let written: Promise<ChildFiles> | undefined;

/** Made once for this process, at the first use; gone when it ends. */
export const childFiles = (): Promise<ChildFiles> => {
  written ??= write().catch((error: unknown) => {
    written = undefined;
    throw error;
  });
  return written;
};
