import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogError } from './event-log.ts';

export type Lock = { release(): Promise<void> };

const ownerFile = 'owner.json';

const isInUse = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';

/** A name that the operating system frees by itself when its holder ends, however that ends. */
const addressOf = (directory: string): string => {
  const { dev, ino } = statSync(directory);
  const name = `nexus-log-${dev.toString(36)}-${ino.toString(36)}`;
  if (process.platform === 'linux') return `\0${name}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\${name}`;
  return join(tmpdir(), name);
};

const ownerOf = (directory: string): string => {
  try {
    return readFileSync(join(directory, ownerFile), 'utf8').trim();
  } catch {
    return 'an unknown process';
  }
};

/**
 * Makes sure that one process of this machine uses `directory`, which exists. The lock is a socket name made of the
 * folder's device and inode: nothing is left behind by a process that was killed.
 *
 * @param what the folder is, for the message: `the event log`.
 * @throws {LogError} `log_failed` when another process, or this one, has it open.
 */
export const lockDirectory = async (directory: string, what: string): Promise<Lock> => {
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ path: addressOf(directory), exclusive: true }, resolve);
  try {
    await promise;
  } catch (error) {
    if (!isInUse(error)) throw error;
    const owner = ownerOf(directory);
    throw new LogError('log_failed', `${what} in ${directory} is open already, by ${owner}`, {
      directory,
      owner,
    });
  }
  server.unref();
  const since = new Date().toISOString();
  writeFileSync(join(directory, ownerFile), `process ${process.pid} on ${hostname()} since ${since}\n`);
  return {
    release: () =>
      new Promise((done) => {
        server.close(() => done());
      }),
  };
};
