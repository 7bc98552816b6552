import { fault, problem } from '../errors.ts';
import type { PluginRuntime } from './runtime.ts';

const nothing = () => fault(problem('not_found', 'there is no folder of this plugin'));

/** A node that has no folders of plugins. */
export const noPlugins: PluginRuntime = {
  offer: async () => nothing(),
  offers: async () => [],
  admit: async () => nothing(),
  dependants: () => [],
  facts: () => undefined,
  processes: () => 0,
  settled: async () => {},
  prepare: async () => nothing(),
  shadow: async () => nothing(),
};
