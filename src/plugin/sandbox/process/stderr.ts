import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Logger } from '../../../logger.ts';

/** So much is kept of what a process said last; V8 says there why it gives up. */
const keptChars = 4_096;
const maxLines = 100;
const maxLineChars = 1_000;

/** What a process writes to its stdout and stderr: bounded, for the log and for the reason of its end. */
export const createStderr = (child: ChildProcess, logger: Logger) => {
  let kept = '';
  let lines = 0;
  const take = (piece: Buffer): void => {
    const text = piece.subarray(0, keptChars).toString('utf8');
    if (kept.length < keptChars) kept += text;
    if (lines++ < maxLines)
      logger.debug({ pid: child.pid, text: text.slice(0, maxLineChars) }, 'a sandbox process says');
  };
  for (const stream of [child.stdout, child.stderr] satisfies (Readable | null)[]) stream?.on('data', take);
  return {
    /** The line that tells most, or nothing. */
    tail(): string {
      const found = kept.split('\n').filter((line) => line.trim() !== '');
      const telling =
        found.find((line) => /fatal|error|out of memory|bwrap/i.test(line)) ?? found.at(-1) ?? '';
      return telling.trim().slice(0, 300);
    },
  };
};
