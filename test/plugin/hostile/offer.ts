import { execFile } from 'node:child_process';
import { mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { HostilePlugin, Planted } from './hostile-plugin.ts';

const run = promisify(execFile);

/** Where a hub of these tests finds its plugins, and what lies beside them that no plugin may see. */
export type Ground = {
  readonly pluginDir: string;
  /** Path of a file outside of all plugins' folders. */
  readonly secretFile: string;
  /** Address of the server that stands in manifests as OPEN. */
  readonly open: string;
};

const plant = async (path: string, planted: Planted, { secretFile, open }: Ground): Promise<void> => {
  await mkdir(dirname(path), { recursive: true });
  const known = (text: string): string => text.replaceAll('SECRET', secretFile).replaceAll('OPEN', open);
  if (typeof planted === 'string') await writeFile(path, known(planted));
  else if ('link' in planted) await symlink(known(planted.link), path);
  else if ('pipe' in planted) await run('mkfifo', [path]);
  else if ('holeBytes' in planted) {
    await writeFile(path, '');
    await truncate(path, planted.holeBytes);
  } else {
    const { before = '', after = '', repeat, times } = planted;
    await writeFile(path, `${before}${repeat.repeat(times)}${after}`);
  }
};

/** The manifest that the plugin has unless it attacks that too: a hook on its own topic, and that topic's messages. */
const manifestOf = ({ name, attack, permissions, limits, manifest }: HostilePlugin): object => ({
  name,
  version: '1.0.0',
  description: attack,
  entry: 'index.js',
  permissions: {
    subscribe: [`attack.${name}`],
    ...permissions,
    hooks: {
      before_publish: { match: [`attack.${name}`], order: 0, timeoutMs: 3_000, onFailure: 'skip' },
    },
  },
  limits: { timeoutMs: 500, ...limits },
  configSchema: {
    type: 'object',
    properties: { trap: { type: 'string' }, open: { type: 'string' } },
  },
  ...manifest,
});

/** Makes the folder of `plugin`, and whatever it attacks with. */
export const offerPlugin = async (ground: Ground, plugin: HostilePlugin): Promise<void> => {
  const folder = join(ground.pluginDir, plugin.name);
  await mkdir(folder, { recursive: true });
  const files: Record<string, Planted> = {
    'plugin.json': JSON.stringify(manifestOf(plugin)),
    'index.js': plugin.code,
    ...plugin.files,
  };
  for (const [path, planted] of Object.entries(files)) {
    await plant(join(folder, path), planted, ground);
  }
};

export const withdrawPlugin = (ground: Ground, name: string): Promise<void> =>
  rm(join(ground.pluginDir, name), { recursive: true, force: true });
