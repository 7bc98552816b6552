import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** An empty folder that is deleted at the end of the test, after what was opened in it has been closed. */
export const temporaryFolder = (t: ExecutionContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'nexus-projection-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};
