import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { isPluginName, type Manifest } from '../../../domain/plugin/manifest.ts';
import type { Logger } from '../../logger.ts';
import { manifestOfKept } from './manifest.ts';

/** A version as it ran, so that it can run again when its folder holds another one. */
export type KeptVersion = {
  readonly manifest: Manifest;
  /** Of the folder that it was made from. */
  readonly hash: string;
  readonly signature: string | null;
  readonly bundled: boolean;
  readonly code: string;
};

/** The newest versions of each plugin, on this node's disk. */
export type KeptVersions = {
  /** Undefined when it is not kept, or was damaged. */
  read(name: string, hash: string): Promise<KeptVersion | undefined>;
  /** Also makes it the newest. Durable when it resolves; failures are logged. */
  keep(version: KeptVersion): Promise<void>;
};

const maxVersions = 3;
const isHash = (text: string): boolean => /^sha256-[A-Za-z0-9_-]{43}$/.test(text);
const digestOf = (body: string): string => createHash('sha256').update(body).digest('base64url');

const keptSchema = z.strictObject({
  manifest: z.unknown(),
  hash: z.string().refine(isHash),
  signature: z.string().nullable(),
  bundled: z.boolean(),
  code: z.string(),
});

/** @param directory is made when the first version is kept. One file `HASH` each: the digest of its body, and the body. */
export const openKeptVersions = (directory: string, logger: Logger): KeptVersions => {
  const fileOf = (name: string, hash: string): string | undefined =>
    isPluginName(name) && isHash(hash) ? join(directory, name, hash) : undefined;

  const removeOldest = async (folder: string): Promise<void> => {
    const files = await Promise.all(
      (await readdir(folder)).map(async (file) => ({ file, ms: (await stat(join(folder, file))).mtimeMs })),
    );
    const oldest = files.toSorted((one, other) => other.ms - one.ms).slice(maxVersions);
    await Promise.all(oldest.map(({ file }) => rm(join(folder, file), { force: true })));
  };

  const write = async (file: string, version: KeptVersion): Promise<void> => {
    const folder = join(file, '..');
    await mkdir(folder, { recursive: true });
    const body = JSON.stringify(version);
    const beside = `${file}.new`;
    {
      await using handle = await open(beside, 'w');
      await handle.writeFile(`${digestOf(body)}\n${body}`);
      await handle.sync();
    }
    await rename(beside, file);
    await removeOldest(folder);
  };

  return {
    async read(name, hash) {
      const file = fileOf(name, hash);
      if (file === undefined) return undefined;
      let text: string;
      try {
        text = await readFile(file, 'utf8');
      } catch {
        return undefined;
      }
      const end = text.indexOf('\n');
      const body = text.slice(end + 1);
      if (text.slice(0, Math.max(end, 0)) !== digestOf(body)) {
        logger.error({ plugin: name, hash }, 'a kept version of a plugin is damaged, and removed');
        await rm(file, { force: true });
        return undefined;
      }
      const parsed = keptSchema.safeParse(JSON.parse(body));
      const manifest = parsed.success ? manifestOfKept(name, parsed.data.manifest) : undefined;
      if (!parsed.success || parsed.data.hash !== hash || manifest === undefined) return undefined;
      return { ...parsed.data, manifest };
    },
    async keep(version) {
      const file = fileOf(version.manifest.name, version.hash);
      if (file === undefined) return;
      try {
        const now = new Date();
        // There already: its content is the same.
        await utimes(file, now, now).catch(() => write(file, version));
      } catch (error) {
        logger.warn({ plugin: version.manifest.name, error }, 'a version of a plugin could not be kept');
      }
    },
  };
};
