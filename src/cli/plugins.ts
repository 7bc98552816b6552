import type { Actions } from './command.ts';
import { createPlugin } from './create-plugin.ts';
import {
  disablePlugin,
  enablePlugin,
  listPlugins,
  reloadPlugin,
  shadowPlugin,
  showPlugin,
} from './manage-plugins.ts';
import { hashPlugin, signPlugin } from './sign-plugin.ts';

export const pluginActions: Actions = {
  '': listPlugins,
  list: listPlugins,
  show: showPlugin,
  enable: enablePlugin,
  disable: disablePlugin,
  reload: reloadPlugin,
  shadow: shadowPlugin,
  create: createPlugin,
  hash: hashPlugin,
  sign: signPlugin,
};
