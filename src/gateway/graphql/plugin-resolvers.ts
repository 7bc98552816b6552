import type { PluginView, ShadowReport } from '../../nexus-plugins.ts';
import { command, given, got, gotOrNull, type Resolve, refuseKey } from './resolving.ts';

const plugins: Resolve<object, readonly PluginView[]> = async (_, _args, { core, context }) =>
  got(await core.plugins(context)).plugins;

const plugin: Resolve<{ name: string }, PluginView | null> = async (_, { name }, { core, context }) =>
  gotOrNull(await core.plugin(name ?? '', context));

export const pluginQueries = { plugins, plugin } as const;

type EnableArgs = { name: string; permissions: object; limits: object; config: unknown; hash: string };
const enablePlugin: Resolve<EnableArgs, object> = async (_, args, at) => {
  const { limits, ...rest } = given(args);
  return command('EnablePlugin', { ...rest, ...(limits === undefined ? {} : { limits: given(limits) }) }, at);
};

const disablePlugin: Resolve<{ name: string; reason: string }, object> = async (_, args, at) =>
  command('DisablePlugin', given(args), at);

const reloadPlugin: Resolve<{ name: string; hash: string }, object> = async (_, args, at) =>
  command('ReloadPlugin', given(args), at);

const shadowPlugin: Resolve<{ name: string; minutes: number }, ShadowReport> = async (_, args, at) => {
  refuseKey(at, 'a shadow install changes nothing');
  const { name = '', ...options } = given(args);
  return got(await at.core.shadowPlugin(name, options, at.context));
};

export const pluginMutations = { enablePlugin, disablePlugin, reloadPlugin, shadowPlugin } as const;
