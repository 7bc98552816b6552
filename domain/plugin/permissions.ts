import { matchesKey, patternContains, prefixOf } from '../names.ts';
import type { HookDeclaration, HookName, PluginLimits, PluginPermissions } from './manifest.ts';
import { hookNames } from './manifest.ts';

/**
 * What a plugin may do in the end: what it asks for and what was granted, whichever is less (docs/adr/0049-life-of-plugins.md).
 * Two patterns meet in the narrower one, when one of them contains the other; those that only overlap meet in nothing.
 */

type Contains = (outer: string, inner: string) => boolean;

/** Keys, names and paths: text, or a prefix and `*` behind it. */
const prefixContains: Contains = (outer, inner) => {
  const wide = prefixOf(outer);
  const narrow = prefixOf(inner);
  if (narrow === undefined) return matchesKey(outer, inner);
  return wide !== undefined && narrow.startsWith(wide);
};

const same: Contains = (outer, inner) => outer === inner;

const meet = (
  asked: readonly string[],
  granted: readonly string[],
  contains: Contains,
): readonly string[] => {
  const both = new Set<string>();
  for (const own of asked) {
    for (const given of granted) {
      if (contains(given, own)) both.add(own);
      else if (contains(own, given)) both.add(given);
    }
  }
  return [...both];
};

const containsIn = (hook: HookName): Contains =>
  hook === 'before_publish' || hook === 'after_publish' ? patternContains : prefixContains;

/** The operator's order counts, the shorter time-out, and the plugin's policy unless the operator's refuses. */
const declarationOf = (
  hook: HookName,
  asked: HookDeclaration | undefined,
  granted: HookDeclaration | undefined,
): HookDeclaration | undefined => {
  if (asked === undefined || granted === undefined) return undefined;
  const match = meet(asked.match, granted.match, containsIn(hook));
  if (match.length === 0) return undefined;
  return {
    match,
    order: granted.order,
    timeoutMs: Math.min(asked.timeoutMs, granted.timeoutMs),
    onFailure: granted.onFailure,
  };
};

const hooksOf = (asked: PluginPermissions, granted: PluginPermissions): PluginPermissions['hooks'] => {
  const hooks: { [Name in HookName]?: HookDeclaration } = {};
  for (const hook of hookNames) {
    const declaration = declarationOf(hook, asked.hooks[hook], granted.hooks[hook]);
    if (declaration !== undefined) hooks[hook] = declaration;
  }
  return hooks;
};

/** `*` asks for whatever is granted, and grants nothing. */
const originsOf = (asked: readonly string[], granted: readonly string[]): readonly string[] => {
  const named = granted.filter((origin) => origin !== '*');
  return asked.includes('*') ? [...new Set(named)] : meet(asked, named, same);
};

export const effectivePermissions = (
  asked: PluginPermissions,
  granted: PluginPermissions,
): PluginPermissions => ({
  publish: meet(asked.publish, granted.publish, patternContains),
  subscribe: meet(asked.subscribe, granted.subscribe, patternContains),
  state: {
    read: meet(asked.state.read, granted.state.read, prefixContains),
    write: meet(asked.state.write, granted.state.write, prefixContains),
  },
  services: {
    list: asked.services.list && granted.services.list,
    invoke: meet(asked.services.invoke, granted.services.invoke, prefixContains),
  },
  fetch: originsOf(asked.fetch, granted.fetch),
  hooks: hooksOf(asked, granted),
  resolvers: meet(asked.resolvers, granted.resolvers, same),
});

/** Of each limit the lesser. */
export const effectiveLimits = (asked: PluginLimits, granted: PluginLimits): PluginLimits => ({
  memoryMb: Math.min(asked.memoryMb, granted.memoryMb),
  cpuMsPerCall: Math.min(asked.cpuMsPerCall, granted.cpuMsPerCall),
  timeoutMs: Math.min(asked.timeoutMs, granted.timeoutMs),
  callsPerSec: Math.min(asked.callsPerSec, granted.callsPerSec),
  messageBytes: Math.min(asked.messageBytes, granted.messageBytes),
});
