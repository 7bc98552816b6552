import { appendFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';

/**
 * Says that a test did not run because this machine lacks something. A line `SKIPPED name: reason` goes to the test's
 * log and to the file that NEXUS_SKIPS names, from which the runner prints it last. Under CI=true it is a failure.
 */
export const skipped = (t: ExecutionContext, name: string, reason: string): void => {
  const line = `SKIPPED ${name}: ${reason}`;
  t.log(line);
  const file = process.env.NEXUS_SKIPS;
  if (file !== undefined && file !== '') appendFileSync(file, `${line}\n`);
  if (process.env.CI === 'true') t.fail(line);
  else t.pass();
};
