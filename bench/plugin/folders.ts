import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A plugin of this benchmark: a folder with a manifest and a module. */
export type PluginSource = {
  readonly name: string;
  readonly version?: string;
  readonly hooks?: object;
  readonly module: string;
};

/** Writes the folder beside its place and moves it there, so that nobody meets half of it. */
export const writePlugin = (directory: string, source: PluginSource): void => {
  const { name, version = '1.0.0', hooks = {}, module } = source;
  const beside = join(directory, '..', `${name}.new`);
  rmSync(beside, { recursive: true, force: true });
  mkdirSync(beside, { recursive: true });
  mkdirSync(directory, { recursive: true });
  const manifest = {
    name,
    version,
    description: 'of a benchmark',
    entry: 'index.js',
    permissions: { hooks },
  };
  writeFileSync(join(beside, 'plugin.json'), JSON.stringify(manifest));
  writeFileSync(join(beside, 'index.js'), module);
  rmSync(join(directory, name), { recursive: true, force: true });
  renameSync(beside, join(directory, name));
};

/** Counts messages of `topics` in `before_publish` and changes none. */
export const seeing = (name: string, topics: string): PluginSource => ({
  name,
  hooks: { before_publish: { match: [topics] } },
  module: `
    let seen = 0;
    export const initialize = ({ hooks }) => { hooks.register('before_publish', () => { seen += 1; return undefined; }); };
  `,
});

/** Writes its version, and whether \`initialize\` was done, into a header of each message. */
export const stamping = (name: string, version: string, fails = ''): PluginSource => ({
  name,
  version,
  hooks: { before_publish: { match: ['bench.stamped'], onFailure: 'skip' } },
  module: `
    let ready = 'half';
    let calls = 0;
    export const initialize = async ({ hooks, timers }) => {
      hooks.register('before_publish', () => {
        calls += 1;
        ${fails}
        return { change: { headers: { stamp: '${version}-' + ready } } };
      });
      await new Promise((done) => timers.after(20, done));
      ready = 'ready';
    };
  `,
});
