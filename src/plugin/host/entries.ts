import type { HookName } from '../../../domain/plugin/manifest.ts';
import { hookNames } from '../../../domain/plugin/manifest.ts';
import { effectivePermissions } from '../../../domain/plugin/permissions.ts';
import type { PluginDocument } from '../../../projections/documents.ts';
import type { HookEntry } from '../hooks/hooks.ts';
import type { CallAnswer } from '../sandbox/sandbox.ts';
import type { Instance } from './instance.ts';

/** The hooks of a version that runs. */
export const entriesOf = (
  instance: Instance,
  unusable: (hook: HookName, reason: string) => void,
): readonly HookEntry[] =>
  instance.registered().hooks.flatMap((hook) => {
    const declaration = instance.permissions.hooks[hook];
    if (declaration === undefined) return [];
    const entry: HookEntry = {
      plugin: instance.program.name,
      hook,
      declaration,
      call: (input, timeoutMs) => instance.call(`hook:${hook}`, input, timeoutMs),
      unusable: (reason) => unusable(hook, reason),
    };
    return [entry];
  });

/** What holds the place of a plugin that is enabled and does not run: its hooks that refuse when it is away. */
export const guardsOf = (
  { name, installed, grant }: PluginDocument,
  call: (hook: HookName, input: Parameters<HookEntry['call']>[0], timeoutMs: number) => Promise<CallAnswer>,
): readonly HookEntry[] => {
  if (installed === null || grant === null) return [];
  const granted = effectivePermissions(installed.permissions, grant.permissions).hooks;
  return hookNames.flatMap((hook) => {
    const declaration = granted[hook];
    if (declaration?.onFailure !== 'refuse') return [];
    return [
      {
        plugin: name,
        hook,
        declaration,
        call: (input, timeoutMs) => call(hook, input, timeoutMs),
      } satisfies HookEntry,
    ];
  });
};
