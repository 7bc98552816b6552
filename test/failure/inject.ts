import { spawnSync } from 'node:child_process';

/** Why faults cannot be injected into a process here, or undefined when they can. */
export const whyNoInjection = (): string | undefined => {
  const tried = spawnSync('strace', [
    '-f',
    '-o',
    '/dev/null',
    '-e',
    'inject=fdatasync:error=EIO:when=1',
    'true',
  ]);
  if (tried.error !== undefined) return `strace cannot be started (${tried.error.message})`;
  return tried.status === 0 ? undefined : `strace may not trace here (${tried.stderr.toString().trim()})`;
};

/**
 * What to run a program under, which it becomes, so that `calls` on `file` fail with EIO: those that `when` counts, on each
 * thread by itself (`3` the third, `3+` from the third on).
 */
export const failing = (file: string, calls: string, when: string): string[] => [
  'strace',
  ...['-D', '-f', '-o', '/dev/null'],
  ...['-P', file, '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO:when=${when}`],
];
