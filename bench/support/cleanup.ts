import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a benchmark leaves to nobody: ended and removed when it ends, also when it is interrupted. */
const children = new Set<ChildProcess>();
const folders = new Set<string>();

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  // Those that were just killed may still write.
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** Has `child` killed at the end of this process, if it still runs then. */
export const endWithUs = (child: ChildProcess): void => {
  children.add(child);
  child.once('exit', () => children.delete(child));
};

/** A new folder in `NEXUS_BENCH_DIR`, or where the system has its temporary files. */
export const temporaryFolder = (name: string): string => {
  const folder = mkdtempSync(join(process.env.NEXUS_BENCH_DIR ?? tmpdir(), `nexus-${name}-`));
  folders.add(folder);
  return folder;
};

export const removeFolder = (folder: string): void => {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
};
