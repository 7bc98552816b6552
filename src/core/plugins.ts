import { isPluginName } from '../../domain/plugin/manifest.ts';
import { shadowSchema } from '../command/plugin-schemas.ts';
import { fault, invalid, ok, problem } from '../errors.ts';
import type { PluginApi } from '../nexus-plugins.ts';
import { demand } from './demand.ts';
import type { Parts } from './parts.ts';
import { pluginViewOf, pluginViews } from './plugin-view.ts';
import type { Reads } from './reads.ts';
import { validate } from './validate.ts';

const scope = { scope: 'plugins:admin' } as const;

/** Plugins as operators see them: what was wanted of them, what folders hold, and what this node runs. */
export const createPluginQueries = (reads: Reads, parts: Pick<Parts, 'runner' | 'plugins'>): PluginApi => ({
  plugins: async (context) => {
    const at = await reads.begin(context, scope);
    return at.ok ? ok({ plugins: await pluginViews(parts), position: at.value.position }) : at;
  },

  plugin: async (name, context) => {
    const at = await reads.begin(context, scope);
    if (!at.ok) return at;
    return isPluginName(name)
      ? pluginViewOf(parts, name)
      : fault(problem('not_found', 'no plugin can have this name', { plugin: name.slice(0, 64) }));
  },

  shadowPlugin: async (name, data, context) => {
    const denied = demand(context, scope);
    if (denied !== undefined) return denied;
    if (!isPluginName(name)) return invalid('/name', 'must match [a-z][a-z0-9-]{0,63}');
    const checked = validate(shadowSchema, data ?? {});
    if (!checked.ok) return checked;
    const known = await pluginViewOf(parts, name);
    return known.ok ? parts.plugins.shadow(name, checked.value.minutes) : known;
  },
});
