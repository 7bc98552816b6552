import type { HookName } from '../../../domain/plugin/manifest.ts';
import { BoundedMap } from '../../bounded-map.ts';
import type { HookCount } from './hooks.ts';

type Kind = 'skipped' | 'failed' | 'dropped';
type Counted = { readonly plugin: string; readonly hook: HookName } & { [Name in Kind]: number };

/** Plugins and hooks; those of longest ago go first. */
const maxCounts = 8_192;

/** What came of hooks that gave no answer of use. */
export type HookCounts = {
  add(plugin: string, hook: HookName, kind: Kind): void;
  all(): readonly HookCount[];
};

export const createHookCounts = (): HookCounts => {
  const counts = new BoundedMap<string, Counted>(maxCounts);
  return {
    add(plugin, hook, kind) {
      const name = `${plugin} ${hook}`;
      const counted = counts.get(name) ?? { plugin, hook, skipped: 0, failed: 0, dropped: 0 };
      counted[kind]++;
      counts.set(name, counted);
    },
    all: () => [...counts.values()].map((counted) => ({ ...counted })),
  };
};
