import { isPluginName } from '../../domain/plugin/manifest.ts';
import type { Config } from '../config.ts';
import type { Option } from './options.ts';
import { choice, list, onOff, optional, text } from './values.ts';

type PluginOption = Extract<keyof Config, `plugin${string}`>;

const trusts: ReadonlySet<string> = new Set(['low', 'trusted']);

/** `NAME=low` or `NAME=trusted`. */
const parseTrust = (value: string): string | undefined => {
  const equals = value.indexOf('=');
  const name = value.slice(0, Math.max(equals, 0));
  return isPluginName(name) && trusts.has(value.slice(equals + 1)) ? value : undefined;
};

/** The options of plugins, in the order of the documents. */
export const pluginOptions: { readonly [Name in PluginOption]: Option<Config[Name]> } = {
  pluginDir: {
    kind: text('a path'),
    env: 'NEXUS_PLUGIN_DIR',
    flag: '--plugin-dir',
    default: 'nexus_plugins',
    meaning: "folder of the operator's plugins, one folder each (docs/plugins.md); it may be absent",
  },
  pluginIntegrity: {
    kind: choice(['none', 'hash', 'signature']),
    env: 'NEXUS_PLUGIN_INTEGRITY',
    flag: null,
    default: 'none',
    meaning:
      'what a plugin must have to run: a hash that was named when it was enabled, or a signature by one of pluginKeys',
  },
  pluginKeys: {
    kind: optional(text('a path')),
    env: 'NEXUS_PLUGIN_KEYS',
    flag: null,
    default: null,
    meaning:
      'file of Ed25519 public keys (PEM blocks, a JWK or a JWK set) that signatures of plugins are checked with',
  },
  pluginTrust: {
    kind: list('NAME=low or NAME=trusted', parseTrust),
    env: 'NEXUS_PLUGIN_TRUST',
    flag: null,
    default: [],
    meaning:
      "plugins that run without JIT (low), or in the hub's own process (trusted: they can do all that the hub can)",
  },
  pluginSandbox: {
    kind: choice(['auto', 'bubblewrap', 'process']),
    env: 'NEXUS_PLUGIN_SANDBOX',
    flag: null,
    default: 'auto',
    meaning:
      'what sandbox processes stand in: bubblewrap (no plugin runs without it), a plain process, or bubblewrap where the machine has it',
  },
  pluginWatch: {
    kind: onOff,
    env: 'NEXUS_PLUGIN_WATCH',
    flag: '--plugin-watch',
    default: false,
    meaning: 'whether a change in the folder of an enabled plugin reloads it, for development',
  },
};
