import { closeSync, openSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { LogError } from './event-log.ts';

export type Lock = { release(): Promise<void> };

const ownerFile = 'owner';
const socketFile = 'lock';
const maxTries = 5;

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

/** What a file system says that can hold no socket; there the other lock has to do. */
const unsupported: readonly unknown[] = [
  'EOPNOTSUPP',
  'ENOTSUP',
  'EPERM',
  'EINVAL',
  'ENOSYS',
  'ENAMETOOLONG',
];

const ownerOf = (directory: string): string => {
  try {
    return readFileSync(join(directory, ownerFile), 'utf8').trim();
  } catch {
    return 'an unknown process';
  }
};

const listen = async (path: string): Promise<Server> => {
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ path, exclusive: true }, resolve);
  await promise;
  return server.unref();
};

const close = (server: Server): Promise<void> => new Promise((done) => server.close(() => done()));

const inodeOf = (path: string): number | undefined => {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
};

/** False for the socket of a process that was killed: nobody answers at it. */
const isAlive = async (path: string): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path, () => resolve(true));
  socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(String(codeOf(error)))));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
};

/**
 * A name that the operating system frees by itself when its holder ends, however that ends; undefined where there is
 * none. On Linux it holds within one network namespace.
 */
const systemName = (directory: string): string | undefined => {
  const { dev, ino } = statSync(directory);
  const name = `nexus-${dev.toString(36)}-${ino.toString(36)}`;
  if (process.platform === 'linux') return `\0${name}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : undefined;
};

/**
 * Holds a socket in the folder itself, which holds between containers too; undefined where the file system takes none.
 * That of a process that was killed is replaced.
 *
 * @throws an error with the code EADDRINUSE when another process answers at it.
 */
const holdSocket = async (path: string): Promise<Server | undefined> => {
  for (let tries = 1; ; tries++) {
    const before = inodeOf(path);
    try {
      return await listen(path);
    } catch (error) {
      if (unsupported.includes(codeOf(error))) return undefined;
      if (codeOf(error) !== 'EADDRINUSE' || tries === maxTries || (await isAlive(path))) throw error;
    }
    // Only what was seen to be dead is removed, not what another one has put in its place since.
    if (before !== undefined && inodeOf(path) === before) unlinkSync(path);
  }
};

/**
 * Makes sure that one process of this machine uses `directory`, which exists, also when it is shared between containers.
 * A process that was killed does not hold it any longer.
 *
 * @param what the folder is, for the message: `the event log`.
 * @throws {LogError} `log_failed` when another process, or this one, has it open.
 */
export const lockDirectory = async (directory: string, what: string): Promise<Lock> => {
  const held: Server[] = [];
  // The name of a socket has 107 bytes at most, and a folder's path may be longer.
  const folder = process.platform === 'linux' ? openSync(directory, 'r') : undefined;
  const release = async (): Promise<void> => {
    for (const server of held.splice(0).reverse()) await close(server);
    if (folder !== undefined) closeSync(folder);
  };
  try {
    const name = systemName(directory);
    if (name !== undefined) held.push(await listen(name));
    if (process.platform !== 'win32') {
      const base = folder === undefined ? directory : `/proc/self/fd/${folder}`;
      const socket = await holdSocket(join(base, socketFile));
      if (socket !== undefined) held.push(socket);
    }
    const since = new Date().toISOString();
    writeFileSync(join(directory, ownerFile), `process ${process.pid} on ${hostname()} since ${since}\n`);
  } catch (error) {
    await release();
    if (codeOf(error) !== 'EADDRINUSE') throw error;
    const owner = ownerOf(directory);
    throw new LogError('log_failed', `${what} in ${directory} is open already, by ${owner}`, {
      directory,
      owner,
    });
  }
  let released: Promise<void> | undefined;
  return {
    release: () => {
      released ??= release();
      return released;
    },
  };
};
