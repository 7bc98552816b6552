import { appendFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';

const tell = (t: ExecutionContext, name: string, reason: string): string => {
  const line = `SKIPPED ${name}: ${reason}`;
  t.log(line);
  const file = process.env.NEXUS_SKIPS;
  if (file !== undefined && file !== '') appendFileSync(file, `${line}\n`);
  return line;
};

/**
 * Says that a test did not run because this machine lacks something. A line `SKIPPED name: reason` goes to the test's
 * log and to the file that NEXUS_SKIPS names, from which the runner prints it last. Under CI=true it is a failure.
 */
export const skipped = (t: ExecutionContext, name: string, reason: string): void => {
  const line = tell(t, name, reason);
  if (process.env.CI === 'true') t.fail(line);
  else t.pass();
};

/** True when the long tests were asked for (NEXUS_LONG=1). */
export const isLong = process.env.NEXUS_LONG === '1';

/** The same for a test that runs only when it is asked for: nothing is missing, so it is no failure anywhere. */
export const skippedUnasked = (t: ExecutionContext, name: string, reason: string): void => {
  tell(t, name, reason);
  t.pass();
};

export const skippedUnlessLong = (t: ExecutionContext, name: string): void =>
  skippedUnasked(t, name, 'a long test: set NEXUS_LONG=1');
