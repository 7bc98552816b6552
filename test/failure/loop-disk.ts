import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A small ext4 file system of its own, which can lose its power. */
export type LoopDisk = {
  readonly directory: string;
  /** Whatever was not flushed is gone; the file system refuses everything until it is mounted again. */
  cutPower(): void;
  remount(): void;
  remove(): void;
};

const tools = ['mkfs.ext4', 'mount', 'umount', 'xfs_io', 'truncate'];

const run = (command: string, ...words: string[]): void => {
  const { status, stderr, error } = spawnSync(command, words);
  if (status !== 0) throw new Error(`${command} ${words.join(' ')}: ${error?.message ?? stderr.toString()}`);
};

/** Why no file system can be mounted here, or undefined when one can. */
export const whyNoLoopDisk = (): string | undefined => {
  if (process.getuid?.() !== 0) return 'mounting needs root';
  const missing = tools.filter((tool) => spawnSync('which', [tool]).status !== 0);
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  try {
    mountLoopDisk(16).remove();
    return undefined;
  } catch (error) {
    return `no loop mount: ${error instanceof Error ? error.message : error}`;
  }
};

export const mountLoopDisk = (megabytes: number): LoopDisk => {
  const folder = mkdtempSync(join(tmpdir(), 'nexus-loop-'));
  const image = join(folder, 'image');
  const mountPoint = join(folder, 'disk');
  const mount = (): void => run('mount', '-o', 'loop', image, mountPoint);
  mkdirSync(mountPoint);
  try {
    run('truncate', '-s', `${megabytes}M`, image);
    // Nothing is kept back for root: full is full.
    run('mkfs.ext4', '-q', '-F', '-m', '0', image);
    mount();
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    directory: mountPoint,
    cutPower: () => run('xfs_io', '-x', '-c', 'shutdown', mountPoint),
    remount: () => {
      run('umount', mountPoint);
      mount();
    },
    remove: () => {
      run('umount', mountPoint);
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
