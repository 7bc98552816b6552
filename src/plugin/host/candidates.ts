import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isPluginName, type Manifest } from '../../../domain/plugin/manifest.ts';
import type { Config } from '../../config.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import type { Offer } from '../runtime.ts';
import { bundleApart } from './bundler.ts';
import { readFolder } from './folder.ts';
import { readKeys, signerOf } from './integrity.ts';
import type { KeptVersion, KeptVersions } from './kept-versions.ts';
import { readManifest } from './manifest.ts';

/** A version that could be started: checked, and not bundled before it is. */
export type Candidate = {
  readonly manifest: Manifest;
  readonly hash: string;
  readonly signature: string | null;
  readonly signedBy: string | null;
  readonly bundled: boolean;
  /** One ES module, made of what was hashed. */
  code(): Promise<Result<string>>;
};

export const offerOf = ({ manifest, hash, signedBy, bundled }: Candidate): Offer => ({
  manifest,
  hash,
  signedBy,
  bundled,
});

/** The versions that this node has: in folders, and kept. */
export type Candidates = {
  /** What the folder holds now. `not_found`, `plugin_rejected`, `invalid` with pointers into the manifest. */
  inFolder(name: string): Promise<Result<Candidate>>;
  /** Undefined when it is not kept. */
  kept(name: string, hash: string): Promise<Candidate | undefined>;
  keep(candidate: Candidate, code: string): Promise<void>;
  /** Of all folders that could be a plugin's, sorted. */
  names(): Promise<readonly string[]>;
  /** Where the plugin's folder is; undefined when there is none. */
  folderOf(name: string): Promise<string | undefined>;
};

const packageRoot = join(import.meta.dirname, '../../..');
const bundledDirectory = join(packageRoot, 'plugins');
const maxNames = 1_000;

const namesIn = async (directory: string): Promise<readonly string[]> => {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && isPluginName(entry.name))
      .map(({ name }) => name)
      .slice(0, maxNames);
  } catch {
    return [];
  }
};

export const createCandidates = (
  { pluginDir, pluginKeys }: Pick<Config, 'pluginDir' | 'pluginKeys'>,
  versions: KeptVersions,
  logger: Logger,
): Candidates => {
  const signer = async (hash: string, signature: string | null): Promise<string | null> => {
    if (signature === null || pluginKeys === null) return null;
    try {
      return signerOf(hash, signature, await readKeys(pluginKeys));
    } catch (error) {
      logger.error({ error, file: pluginKeys }, 'the keys of plugins cannot be read: no signature is good');
      return null;
    }
  };

  /** The operator's goes before the one of the same name that comes with the hub. */
  const directoryOf = async (name: string): Promise<string | undefined> => {
    if (!isPluginName(name)) return undefined;
    for (const directory of [pluginDir, bundledDirectory]) {
      if ((await namesIn(directory)).includes(name)) return directory;
    }
    return undefined;
  };

  const ofKept = async ({ code, ...version }: KeptVersion): Promise<Candidate> => ({
    ...version,
    signedBy: await signer(version.hash, version.signature),
    code: async () => ok(code),
  });

  return {
    async inFolder(name) {
      const directory = await directoryOf(name);
      if (directory === undefined)
        return fault(problem('not_found', `there is no folder of a plugin ${name.slice(0, 64)}`));
      const read = await readFolder(join(directory, name));
      if (!read.ok) return read;
      const { files, hash, signature } = read.value;
      const manifest = readManifest(name, files);
      if (!manifest.ok) return manifest;
      const bundled = directory === bundledDirectory;
      return ok({
        manifest: manifest.value,
        hash,
        signature,
        signedBy: await signer(hash, signature),
        bundled,
        code: () =>
          bundleApart({ name, entry: manifest.value.entry, files, ...(bundled ? { packageRoot } : {}) }),
      });
    },
    async kept(name, hash) {
      const version = await versions.read(name, hash);
      return version === undefined ? undefined : ofKept(version);
    },
    keep: ({ manifest, hash, signature, bundled }, code) =>
      versions.keep({ manifest, hash, signature, bundled, code }),
    async names() {
      const all = await Promise.all([pluginDir, bundledDirectory].map(namesIn));
      return [...new Set(all.flat())].toSorted();
    },
    async folderOf(name) {
      const directory = await directoryOf(name);
      return directory === undefined ? undefined : join(directory, name);
    },
  };
};
