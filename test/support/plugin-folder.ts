import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Json } from '../../domain/event.ts';

export type PluginFolder = {
  /** 1.0.0 unless given. */
  readonly version?: string;
  /** What `plugin.json` has beside name and version. */
  readonly manifest?: Readonly<Record<string, Json>>;
  /** Of index.ts. */
  readonly source: string;
};

/** Puts a plugin into `directory`, in place of the one that is there, as a whole. */
export const writePlugin = async (
  directory: string,
  name: string,
  { version = '1.0.0', manifest = {}, source }: PluginFolder,
): Promise<void> => {
  const beside = join(directory, `.${name}.new`);
  await mkdir(beside, { recursive: true });
  await writeFile(join(beside, 'plugin.json'), JSON.stringify({ name, version, ...manifest }));
  await writeFile(join(beside, 'index.ts'), source);
  await rm(join(directory, name), { recursive: true, force: true });
  await rename(beside, join(directory, name));
};

const typed = `import type { PluginContext } from 'nexus-integration-core/plugin';`;

/** A plugin that answers `hook` with what `body` returns; `input` and `context` are there. */
export const hookSource = (hook: string, body: string): string =>
  [
    typed,
    'export const initialize = (context: PluginContext): void => {',
    `  context.hooks.register('${hook}', async (input) => { ${body} });`,
    '};',
  ].join('\n');

/** Of a manifest: the hook for everything, with limits that no innocent call meets on a busy machine. */
export const hookOf = (
  hook: string,
  declaration: Readonly<Record<string, Json>> = {},
): Record<string, Json> => ({
  permissions: { hooks: { [hook]: { match: ['>'], timeoutMs: 10_000, ...declaration } } },
  limits: { cpuMsPerCall: 10_000, timeoutMs: 10_000 },
});
