import { writeSync } from 'node:fs';

const complain = (line: string): void => {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads it, or its disk is full: the end must come all the same.
  }
};

/**
 * Writes `line` to stderr and ends the process with `code`, at once and whatever its other threads do.
 *
 * `process.exit` waits for the calls that they are in: on a disk that hangs, for ever; and after a failed write of lmdb
 * it frees a heap that may be damaged. A process that becomes another program leaves all that behind.
 */
export const endProcess = (line: string, code: number): never => {
  complain(line);
  // Windows has no such call.
  if (process.execve !== undefined && process.platform !== 'win32') {
    process.execve(process.execPath, [process.execPath, '--eval', `process.exit(${code})`], {});
  }
  process.exit(code);
};
