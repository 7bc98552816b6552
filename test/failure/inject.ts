import { spawnSync } from 'node:child_process';

/** All threads, stopped by the system for the calls that are asked for and no others: stopped for each, a hub takes tenfold. */
const flags = ['-f', '--seccomp-bpf'];

/** What to run a program under, which it becomes. */
export const traced = (output: string, ...words: readonly string[]): string[] => [
  ...['strace', '-D', ...flags, '-o', output],
  ...words,
];

/** Why faults cannot be injected into a process here, or undefined when they can. */
export const whyNoInjection = (): string | undefined => {
  const fault = ['-e', 'inject=fdatasync:error=EIO:when=1'];
  const tried = spawnSync('strace', [...flags, '-o', '/dev/null', ...fault, 'true']);
  if (tried.error !== undefined) return `strace cannot be started (${tried.error.message})`;
  return tried.status === 0 ? undefined : `strace may not trace here (${tried.stderr.toString().trim()})`;
};

/**
 * What to run a program under, so that `calls` on `file` fail with EIO: those that `when` counts, on each thread by itself
 * (`3` the third, `3+` from the third on).
 */
export const failing = (file: string, calls: string, when: string): string[] =>
  traced(
    '/dev/null',
    ...['-P', file, '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO:when=${when}`],
  );
