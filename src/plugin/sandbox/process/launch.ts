import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Isolation } from '../process.ts';
import type { ChildFiles } from './files.ts';

/** What a program runs as, inside the walls: its own arguments stand behind `args`. */
export type Launch = {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly isolation: 'bubblewrap' | 'process';
};

const probeMs = 10_000;

const nodePath = (): string => realpathSync(process.execPath);

const nodeFlags = (files: ChildFiles, jitless: boolean): string[] => [
  // isolated-vm and Node's start-up snapshot do not go together.
  '--no-node-snapshot',
  '--permission',
  '--allow-addons',
  ...[files.child, files.guest, files.addon].map((path) => `--allow-fs-read=${path}`),
  ...(jitless ? ['--jitless'] : []),
  '--disable-warning=SecurityWarning',
  // A child holds little of its own; the isolates have heaps of theirs.
  '--max-semi-space-size=2',
];

/** Where programs of this system look for what they are linked with. */
const libraries = ['/lib', '/lib64', '/usr/lib', '/usr/lib64', '/usr/local/lib', '/etc/ld.so.cache'];

const libraryArgs = (): string[] =>
  libraries
    .filter(existsSync)
    .flatMap((path) =>
      lstatSync(path).isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path],
    );

const bubblewrapArgs = (files: ChildFiles): string[] => [
  '--unshare-all',
  '--unshare-user',
  // Nobody: of no use to who looks for files of a user's.
  ...['--uid', '65534', '--gid', '65534'],
  '--die-with-parent',
  '--new-session',
  '--clearenv',
  ...['--cap-drop', 'ALL'],
  ...['--hostname', 'sandbox'],
  ...['--tmpfs', '/'],
  ...libraryArgs(),
  ...['--ro-bind', nodePath(), nodePath()],
  ...['--ro-bind', files.folder, files.folder],
  ...['--ro-bind', files.addon, files.addon],
  ...['--remount-ro', '/'],
  ...['--chdir', files.empty],
  '--',
];

const findBubblewrap = (): string | undefined =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'bwrap'))
    .find(existsSync);

/** No process could be made at this moment: that says nothing of bubblewrap. */
const isShortage = (code: unknown): boolean =>
  typeof code === 'string' && ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(code);

/**
 * Undefined, or why no program runs under bubblewrap here: some containers do not let one make namespaces.
 *
 * @throws {Error} that could not be found out.
 */
const probe = (bwrap: string, files: ChildFiles): Promise<string | undefined> =>
  new Promise((resolve, reject) => {
    const args = [...bubblewrapArgs(files), nodePath(), '--no-node-snapshot', '--version'];
    execFile(bwrap, args, { env: {}, cwd: files.empty, timeout: probeMs }, (error, _out, complaint) => {
      if (error === null) resolve(undefined);
      else if (error.killed === true || isShortage(error.code)) {
        reject(new Error('whether bubblewrap works could not be found out', { cause: error }));
      } else resolve((complaint || error.message).trim().slice(0, 500));
    });
  });

export type Bubblewrap =
  | { readonly works: true; readonly path: string }
  | { readonly works: false; readonly reason: string };

let probed: Promise<Bubblewrap> | undefined;

/**
 * Whether bubblewrap works on this machine, found out once.
 *
 * @throws {Error} that could not be found out now; the next call tries again.
 */
export const bubblewrap = (files: ChildFiles): Promise<Bubblewrap> => {
  probed ??= (async (): Promise<Bubblewrap> => {
    const path = process.platform === 'linux' ? findBubblewrap() : undefined;
    if (path === undefined) return { works: false, reason: 'it is not installed' };
    const reason = await probe(path, files);
    return reason === undefined ? { works: true, path } : { works: false, reason };
  })().catch((error: unknown) => {
    probed = undefined;
    throw error;
  });
  return probed;
};

/** @throws {Error} bubblewrap is demanded and does not work, or it cannot be found out whether it does. */
export const launchOf = async (
  isolation: Isolation,
  files: ChildFiles,
  jitless: boolean,
): Promise<Launch & { readonly why: string }> => {
  const node = [nodePath(), ...nodeFlags(files, jitless)] as const;
  const [command, ...args] = node;
  const bare = { command, args, cwd: files.empty, isolation: 'process' as const };
  if (isolation === 'process') return { ...bare, why: 'as configured' };
  const found = await bubblewrap(files);
  if (found.works) {
    return {
      command: found.path,
      args: [...bubblewrapArgs(files), ...node],
      cwd: files.empty,
      isolation: 'bubblewrap',
      why: 'it works here',
    };
  }
  if (isolation === 'bubblewrap') throw new Error(`bubblewrap does not work here: ${found.reason}`);
  return { ...bare, why: `bubblewrap does not work here: ${found.reason}` };
};

/** @param program a script and its arguments; descriptor 3 is a pipe both ways. */
export const spawnLaunch = (launch: Launch, program: readonly string[]): ChildProcess =>
  spawn(launch.command, [...launch.args, ...program], {
    cwd: launch.cwd,
    env: {},
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    serialization: 'json',
    windowsHide: true,
  });

const childrenOf = (pid: number): number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter((text) => text.trim() !== '')
      .map(Number);
  } catch {
    return [];
  }
};

/** The process that runs Node: bubblewrap stands twice before it, outside and as the first process within. */
export const innerPid = (launch: Launch, pid: number): number => {
  let inner = pid;
  if (launch.isolation === 'process') return inner;
  for (let [next] = childrenOf(pid); next !== undefined; [next] = childrenOf(next)) inner = next;
  return inner;
};

const pageBytes = 4_096;

/** Resident memory of a process; 0 where that cannot be read. */
export const rssOf = (pid: number): number => {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1] ?? 0) * pageBytes;
  } catch {
    return 0;
  }
};

/** The fields of /proc/PID/stat behind the name, which may hold anything; none where they cannot be read. */
const statOf = (pid: number): readonly string[] => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
};

/** Processor time of a process, in ms, in steps of 10 (USER_HZ is 100 wherever Linux runs Node); 0 where it cannot be read. */
export const cpuMsOf = (pid: number): number => {
  const fields = statOf(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
};

/** By a signal: it waits for nothing that the machine has too little of. */
export const isStopped = (pid: number): boolean => statOf(pid)[0] === 'T';
