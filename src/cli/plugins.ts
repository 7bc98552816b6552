import type { Actions } from './command.ts';
import { createPlugin } from './create-plugin.ts';

export const pluginActions: Actions = { create: createPlugin };
