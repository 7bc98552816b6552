import { access, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { type HookName, hookNames, isPluginName } from '../../domain/plugin/manifest.ts';
import { readText } from '../config/read-text.ts';
import { parseConfig } from '../config.ts';
import { type Action, CallFailed, type Invocation, textOf, textsOf, UsageError } from './command.ts';
import { pluginTemplate } from './plugin-template.ts';

/** Of the package: where the types of authors stand. */
const home = join(import.meta.dirname, '../..');
const packageName = 'nexus-integration-core';

const isHook = (name: string): name is HookName => hookNames.some((known) => known === name);

const hooksIn = (invocation: Invocation): readonly HookName[] => {
  const hooks: HookName[] = [];
  for (const name of textsOf(invocation, 'hook')) {
    if (!isHook(name))
      throw new UsageError(`there is no hook ${JSON.stringify(name)}: ${hookNames.join(', ')}`);
    if (!hooks.includes(name)) hooks.push(name);
  }
  return hooks.length === 0 ? ['before_publish'] : hooks;
};

/** Where the hub looks for plugins when it is started here. */
const pluginDir = ({ env }: Invocation): string => {
  const parsed = parseConfig([], { ...env }, readText);
  if (!parsed.ok) throw new CallFailed(parsed.message);
  return parsed.config.pluginDir;
};

const exists = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

const resolves = (folder: string): boolean => {
  try {
    createRequire(join(folder, 'index.ts')).resolve(`${packageName}/plugin`);
    return true;
  } catch {
    return false;
  }
};

/**
 * Makes the types resolve from the folder: inside the package they do, elsewhere a link stands beside the plugin, in
 * `node_modules`, as all that lies in its own folder is hashed and shipped.
 */
const linkTypes = async (folder: string): Promise<string | undefined> => {
  if (resolves(folder)) return undefined;
  const link = join(dirname(folder), 'node_modules', packageName);
  await mkdir(dirname(link), { recursive: true });
  await symlink(home, link, 'dir');
  return link;
};

export const createPlugin: Action = {
  usage: 'NAME [--dir DIR] [--hook HOOK]…',
  summary: `makes a folder with a plugin that runs, and a test of it, in DIR (pluginDir unless given); HOOK is one of ${hookNames.join(', ')}`,
  words: [1, 1],
  options: { dir: { type: 'string' }, hook: { type: 'string', multiple: true } },
  run: async (invocation) => {
    const { words, output, json } = invocation;
    const [name = ''] = words;
    if (!isPluginName(name)) {
      throw new UsageError(
        `a plugin is called [a-z][a-z0-9-]{0,63}: a lower-case letter, then letters, digits and hyphens, not ${JSON.stringify(name)}`,
      );
    }
    const hooks = hooksIn(invocation);
    const folder = resolve(textOf(invocation, 'dir') ?? pluginDir(invocation), name);
    if (await exists(folder)) throw new CallFailed(`${folder} is there already`);
    const files = pluginTemplate(name, hooks);
    try {
      await mkdir(dirname(folder), { recursive: true });
      // Not recursive: whoever was faster keeps what is theirs.
      await mkdir(folder);
      for (const [file, text] of Object.entries(files))
        await writeFile(join(folder, file), text, { flag: 'wx' });
      const link = await linkTypes(folder);
      if (json) {
        await output.line(JSON.stringify({ name, folder, files: Object.keys(files), link: link ?? null }));
        return;
      }
      for (const file of Object.keys(files)) await output.line(join(folder, file));
      if (link !== undefined) await output.line(`${link} -> ${home}`);
    } catch (error) {
      throw new CallFailed(
        `${folder} cannot be written: ${error instanceof Error ? error.message : String(error)}`,
        {
          cause: error,
        },
      );
    }
  },
};
