import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { byBytes } from '../../by-bytes.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';

/** What a plugin's folder held when it was read: what is checked, hashed and bundled is this, and nothing else. */
export type PluginFiles = {
  /** By path from the folder, with `/`; sorted by bytes. Without `plugin.sig` and names that begin with a dot. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** `sha256-` and base64url, over paths and contents. */
  readonly hash: string;
  /** What `plugin.sig` holds. */
  readonly signature: string | null;
};

export const signatureFile = 'plugin.sig';

const maxFiles = 1_000;
const maxBytes = 20 * 1_048_576;
const maxFolders = 2_000;
const maxSignatureBytes = 4_096;
const maxDepth = 32;

/** Over the files sorted by path, each with its length in front, so that no two folders have the same text. */
export const hashFiles = (files: ReadonlyMap<string, Buffer>): string => {
  const hash = createHash('sha256');
  for (const [path, content] of files) {
    hash.update(`${Buffer.byteLength(path)}:${path}${content.length}:`).update(content);
  }
  return `sha256-${hash.digest('base64url')}`;
};

class FolderFault extends Error {
  readonly problem: Problem;
  constructor(found: Problem) {
    super(found.detail);
    this.problem = found;
  }
}

const refuse = (path: string, detail: string): never => {
  throw new FolderFault(problem('plugin_rejected', `${path} ${detail}`, { reason: 'folder', path }));
};

/** At most `max` bytes of a regular file; undefined beyond. Neither follows a link nor waits for a pipe. */
const readRegular = async (path: string, max: number): Promise<Buffer | 'too_large' | 'irregular'> => {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const stats = await file.stat();
  if (!stats.isFile()) return 'irregular';
  if (stats.size > max) return 'too_large';
  const buffer = Buffer.alloc(stats.size);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
};

/**
 * Reads the folder once. `not_found` when there is none, `plugin_rejected` for links that leave it, more than 1,000 files or
 * 20 MiB, and what is no file.
 */
export const readFolder = async (folder: string): Promise<Result<PluginFiles>> => {
  const found = new Map<string, Buffer>();
  let signature: string | null = null;
  let bytes = 0;
  let folders = 0;

  const readFile = async (real: string, path: string): Promise<void> => {
    if (path === signatureFile) {
      const content = await readRegular(real, maxSignatureBytes);
      if (!Buffer.isBuffer(content)) return refuse(path, 'is no signature');
      signature = content.toString('utf8').trim();
      return;
    }
    if (found.size >= maxFiles) refuse(path, `is one file too many: there may be ${maxFiles}`);
    const content = await readRegular(real, maxBytes - bytes);
    if (content === 'irregular') return refuse(path, 'is no file');
    if (content === 'too_large') return refuse(path, `makes it more than ${maxBytes} bytes`);
    bytes += content.length;
    found.set(path, content);
  };

  const walk = async (root: string, directory: string, prefix: string, depth: number): Promise<void> => {
    folders += 1;
    if (folders > maxFolders || depth > maxDepth) refuse(prefix, 'has too many folders in it');
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const path = `${prefix}${entry.name}`;
      if (!entry.name.isWellFormed() || entry.name.includes('\\')) refuse(path, 'has a name that is refused');
      const real = await realpath(join(directory, entry.name));
      if (!real.startsWith(`${root}${sep}`)) refuse(path, 'leads out of the folder');
      if (entry.isDirectory()) await walk(root, real, `${path}/`, depth + 1);
      else if (entry.isFile()) await readFile(real, path);
      else if (entry.isSymbolicLink()) await linked(root, real, path, depth);
      else refuse(path, 'is no file');
    }
  };

  const linked = async (root: string, real: string, path: string, depth: number): Promise<void> => {
    const isFolder = await readdir(real).then(
      () => true,
      () => false,
    );
    await (isFolder ? walk(root, real, `${path}/`, depth + 1) : readFile(real, path));
  };

  try {
    const root = await realpath(folder);
    await walk(root, root, '', 0);
  } catch (error) {
    if (error instanceof FolderFault) return fault(error.problem);
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return fault(
        problem('not_found', 'the folder of the plugin is not there, or changed while it was read'),
      );
    }
    const reason = error instanceof Error ? error.message : String(error);
    return fault(problem('plugin_rejected', `the folder cannot be read: ${reason}`, { reason: 'folder' }));
  }
  const files = new Map([...found].toSorted(([one], [other]) => byBytes(one, other)));
  return ok({ files, hash: hashFiles(files), signature });
};
